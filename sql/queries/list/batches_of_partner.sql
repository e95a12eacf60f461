-- $1 partner, $2 status or NULL, $3 the lowest and the highest id, $4 how many are passed over, $5 most rows. The oldest
-- first. What nobody sees yet, or was given up, is not there. What they sell is in memory.
SELECT
    batch_id, version, partner_id, partner_batch_id, body_hash, status, quantity, units_kept,
    distribution_mode, reseller, created_at, ends_at, NULL::json AS offer, reservation_id
FROM batch_rows
WHERE partner_id = $1 AND batch_id BETWEEN ($3::uuid[])[1] AND ($3::uuid[])[2] AND status IN ('active', 'expired')
    AND ($2::text IS NULL OR status = $2)
ORDER BY batch_id
OFFSET $4
LIMIT $5

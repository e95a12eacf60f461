-- $1 partner, $2 status or NULL, $3 the lowest and the highest id, $4 now, $5 how many are passed over, $6 most rows. The oldest
-- first. What nobody was promised is not there, and what is over has expired, swept or not. Prices are of those that are active.
SELECT
    reservation_id, version, partner_id, idempotency_key, body_hash, template_id, template_version,
    product_id, quantity, remaining, units_kept, units_told, status, created_at, expires_at, ended_at,
    CASE WHEN status = 'active' THEN offer END AS offer
FROM partner_reservation_rows
WHERE partner_id = $1 AND reservation_id BETWEEN ($3::uuid[])[1] AND ($3::uuid[])[2] AND units_told IS NOT NULL
    AND ($2::text IS NULL OR $2 = CASE WHEN status = 'active' AND expires_at <= $4 THEN 'expired' ELSE status END)
ORDER BY reservation_id
OFFSET $5
LIMIT $6

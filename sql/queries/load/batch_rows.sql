-- $1 batches.
SELECT
    batch_id, version, partner_id, partner_batch_id, body_hash, status, quantity, units_kept,
    distribution_mode, reseller, created_at, ends_at, offer, reservation_id
FROM batch_rows
WHERE batch_id = ANY ($1)

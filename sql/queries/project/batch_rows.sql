INSERT INTO batch_rows AS held (
    batch_id, version, partner_id, partner_batch_id, body_hash, status, quantity, units_kept,
    distribution_mode, reseller, created_at, ends_at, offer, reservation_id
)
SELECT
    batch_id, version, partner_id, partner_batch_id, body_hash, status, quantity, units_kept,
    distribution_mode, reseller, created_at, ends_at, offer, reservation_id
FROM unnest($1::batch_rows[])
ON CONFLICT (batch_id) DO UPDATE SET
    version = excluded.version, partner_id = excluded.partner_id,
    partner_batch_id = excluded.partner_batch_id, body_hash = excluded.body_hash, status = excluded.status,
    quantity = excluded.quantity, units_kept = excluded.units_kept,
    distribution_mode = excluded.distribution_mode, reseller = excluded.reseller,
    created_at = excluded.created_at, ends_at = excluded.ends_at,
    offer = coalesce(excluded.offer, held.offer), reservation_id = excluded.reservation_id
WHERE held.version < excluded.version

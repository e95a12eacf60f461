INSERT INTO partner_reservation_rows AS held (
    reservation_id, version, partner_id, idempotency_key, body_hash, template_id, template_version,
    product_id, quantity, remaining, units_kept, units_told, status, created_at, expires_at, ended_at, offer
)
SELECT
    reservation_id, version, partner_id, idempotency_key, body_hash, template_id, template_version,
    product_id, quantity, remaining, units_kept, units_told, status, created_at, expires_at, ended_at, offer
FROM unnest($1::partner_reservation_rows[])
ON CONFLICT (reservation_id) DO UPDATE SET
    version = excluded.version, partner_id = excluded.partner_id, idempotency_key = excluded.idempotency_key,
    body_hash = excluded.body_hash, template_id = excluded.template_id,
    template_version = excluded.template_version, product_id = excluded.product_id,
    quantity = excluded.quantity, remaining = excluded.remaining, units_kept = excluded.units_kept,
    units_told = excluded.units_told, status = excluded.status, created_at = excluded.created_at,
    expires_at = excluded.expires_at, ended_at = excluded.ended_at,
    offer = coalesce(excluded.offer, held.offer)
WHERE held.version < excluded.version

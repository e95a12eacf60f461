-- $1 partner.
SELECT
    reservation_id, version, partner_id, idempotency_key, body_hash, template_id, template_version,
    product_id, quantity, remaining, units_kept, units_told, status, created_at, expires_at, ended_at, offer
FROM partner_reservation_rows
WHERE partner_id = $1

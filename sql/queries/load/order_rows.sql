-- $1 ids of orders.
SELECT
    order_id, version, traveller_id, idempotency_key, body_hash, status, locale, contact_name, contact_phone,
    contact_email, currency, total_minor, created_at, first_lock_expires_at, lock_expires_at, paid_at,
    completed_at, cancelled_at, cancel_reason, seat_epoch, outstanding, channel, items, passengers,
    price_lines, promotions
FROM order_rows
WHERE order_id = ANY ($1)

INSERT INTO order_rows AS held (
    order_id, version, traveller_id, idempotency_key, body_hash, status, locale, contact_name, contact_phone,
    contact_email, currency, total_minor, created_at, first_lock_expires_at, lock_expires_at, paid_at,
    completed_at, cancelled_at, cancel_reason, seat_epoch, outstanding, channel, items, passengers,
    price_lines, promotions
)
SELECT
    order_id, version, traveller_id, idempotency_key, body_hash, status, locale, contact_name, contact_phone,
    contact_email, currency, total_minor, created_at, first_lock_expires_at, lock_expires_at, paid_at,
    completed_at, cancelled_at, cancel_reason, seat_epoch, outstanding, channel, items, passengers,
    price_lines, promotions
FROM unnest($1::order_rows[])
ON CONFLICT (order_id) DO UPDATE SET
    version = excluded.version, traveller_id = excluded.traveller_id,
    idempotency_key = excluded.idempotency_key, body_hash = excluded.body_hash, status = excluded.status,
    locale = excluded.locale, contact_name = excluded.contact_name, contact_phone = excluded.contact_phone,
    contact_email = excluded.contact_email, currency = excluded.currency, total_minor = excluded.total_minor,
    created_at = excluded.created_at, first_lock_expires_at = excluded.first_lock_expires_at,
    lock_expires_at = excluded.lock_expires_at, paid_at = excluded.paid_at,
    completed_at = excluded.completed_at, cancelled_at = excluded.cancelled_at,
    cancel_reason = excluded.cancel_reason, seat_epoch = excluded.seat_epoch,
    outstanding = excluded.outstanding, channel = excluded.channel,
    items = coalesce(excluded.items, held.items), passengers = coalesce(excluded.passengers, held.passengers),
    price_lines = coalesce(excluded.price_lines, held.price_lines),
    promotions = coalesce(excluded.promotions, held.promotions)
WHERE held.version < excluded.version

INSERT INTO orders AS held (
    order_id, version, traveller_id, idempotency_key, body_hash, status, locale, contact_name, contact_phone,
    contact_email, currency, total_minor, price_lines, created_at, first_lock_expires_at, lock_expires_at,
    paid_at, completed_at, cancelled_at, cancel_reason, seat_epoch, outstanding
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::bigint[], $13::jsonb[], $14::timestamptz[], $15::timestamptz[],
    $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::text[],
    $21::integer[], $22::boolean[]
)
ON CONFLICT (order_id) DO UPDATE SET
    version = excluded.version, traveller_id = excluded.traveller_id,
    idempotency_key = excluded.idempotency_key, body_hash = excluded.body_hash, status = excluded.status,
    locale = excluded.locale, contact_name = excluded.contact_name, contact_phone = excluded.contact_phone,
    contact_email = excluded.contact_email, currency = excluded.currency, total_minor = excluded.total_minor,
    price_lines = excluded.price_lines, created_at = excluded.created_at,
    first_lock_expires_at = excluded.first_lock_expires_at, lock_expires_at = excluded.lock_expires_at,
    paid_at = excluded.paid_at, completed_at = excluded.completed_at, cancelled_at = excluded.cancelled_at,
    cancel_reason = excluded.cancel_reason, seat_epoch = excluded.seat_epoch, outstanding = excluded.outstanding
WHERE held.version < excluded.version

INSERT INTO reservation_rows AS held (
    reservation_id, version, departure_id, traveller_id, idempotency_key, body_hash
)
SELECT
    reservation_id, version, departure_id, traveller_id, idempotency_key, body_hash
FROM unnest($1::reservation_rows[])
ON CONFLICT (reservation_id) DO UPDATE SET
    version = excluded.version, departure_id = excluded.departure_id, traveller_id = excluded.traveller_id,
    idempotency_key = excluded.idempotency_key, body_hash = excluded.body_hash
WHERE held.version < excluded.version

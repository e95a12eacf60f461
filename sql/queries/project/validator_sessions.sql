INSERT INTO validator_sessions AS held (
    session_id, version, username, device_id, location_code, departure_id, secret_hash, opened_at, expires_at,
    ended_at
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::timestamptz[],
    $9::timestamptz[], $10::timestamptz[]
)
ON CONFLICT (session_id) DO UPDATE SET
    version = excluded.version, username = excluded.username, device_id = excluded.device_id,
    location_code = excluded.location_code, departure_id = excluded.departure_id,
    secret_hash = excluded.secret_hash, opened_at = excluded.opened_at, expires_at = excluded.expires_at,
    ended_at = excluded.ended_at
WHERE held.version < excluded.version

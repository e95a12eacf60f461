INSERT INTO validator_sessions AS held (
    session_id, version, username, device_id, location_code, departure_id, secret_hash, opened_at, expires_at,
    ended_at
)
SELECT
    session_id, version, username, device_id, location_code, departure_id, secret_hash, opened_at, expires_at,
    ended_at
FROM unnest($1::validator_sessions[])
ON CONFLICT (session_id) DO UPDATE SET
    version = excluded.version, username = excluded.username, device_id = excluded.device_id,
    location_code = excluded.location_code, departure_id = excluded.departure_id,
    secret_hash = excluded.secret_hash, opened_at = excluded.opened_at, expires_at = excluded.expires_at,
    ended_at = excluded.ended_at
WHERE held.version < excluded.version

-- $1 now.
SELECT
    session_id, version, username, device_id, location_code, departure_id, secret_hash, opened_at, expires_at,
    ended_at
FROM validator_sessions
WHERE ended_at IS NULL AND expires_at > $1

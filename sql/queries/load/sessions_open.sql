-- $1 now.
SELECT
    token_hash, version, traveller_id, openid, username, opened_at, expires_at, ended_at
FROM sessions
WHERE ended_at IS NULL AND expires_at > $1

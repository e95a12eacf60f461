INSERT INTO sessions AS held (
    token_hash, version, traveller_id, openid, username, opened_at, expires_at, ended_at
)
SELECT
    token_hash, version, traveller_id, openid, username, opened_at, expires_at, ended_at
FROM unnest($1::sessions[])
ON CONFLICT (token_hash) DO UPDATE SET
    version = excluded.version, traveller_id = excluded.traveller_id, openid = excluded.openid,
    username = excluded.username, opened_at = excluded.opened_at, expires_at = excluded.expires_at,
    ended_at = excluded.ended_at
WHERE held.version < excluded.version

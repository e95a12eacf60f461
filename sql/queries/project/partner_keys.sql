INSERT INTO partner_keys AS held (
    key_id, version, partner_code, secret_hash, created_at, last_used_at, revoked_at
)
SELECT
    key_id, version, partner_code, secret_hash, created_at, last_used_at, revoked_at
FROM unnest($1::partner_keys[])
ON CONFLICT (key_id) DO UPDATE SET
    version = excluded.version, partner_code = excluded.partner_code, secret_hash = excluded.secret_hash,
    created_at = excluded.created_at, last_used_at = excluded.last_used_at, revoked_at = excluded.revoked_at
WHERE held.version < excluded.version

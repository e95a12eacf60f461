SELECT
    key_id, version, partner_code, secret_hash, created_at, last_used_at, revoked_at
FROM partner_keys

INSERT INTO accounts AS held (
    username, version, password_hash, roles, merchant_code, disabled
)
SELECT
    username, version, password_hash, roles, merchant_code, disabled
FROM unnest($1::accounts[])
ON CONFLICT (username) DO UPDATE SET
    version = excluded.version, password_hash = excluded.password_hash, roles = excluded.roles,
    merchant_code = excluded.merchant_code, disabled = excluded.disabled
WHERE held.version < excluded.version

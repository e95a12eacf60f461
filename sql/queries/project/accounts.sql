INSERT INTO accounts AS held (
    username, version, password_hash, roles, merchant_code, disabled, locations, entitlements, revision
)
SELECT
    username, version, password_hash, roles, merchant_code, disabled, locations, entitlements, revision
FROM unnest($1::accounts[])
ON CONFLICT (username) DO UPDATE SET
    version = excluded.version, password_hash = excluded.password_hash, roles = excluded.roles,
    merchant_code = excluded.merchant_code, disabled = excluded.disabled, locations = excluded.locations,
    entitlements = excluded.entitlements, revision = excluded.revision
WHERE held.version < excluded.version

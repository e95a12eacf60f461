SELECT
    username, version, password_hash, roles, merchant_code, disabled, locations, entitlements, revision
FROM accounts

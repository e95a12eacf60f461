SELECT
    username, version, password_hash, roles, merchant_code, disabled
FROM accounts

INSERT INTO accounts AS held (
    username, version, password_hash, roles, merchant_code, disabled
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::jsonb[], $5::text[], $6::boolean[]
)
ON CONFLICT (username) DO UPDATE SET
    version = excluded.version, password_hash = excluded.password_hash, roles = excluded.roles,
    merchant_code = excluded.merchant_code, disabled = excluded.disabled
WHERE held.version < excluded.version

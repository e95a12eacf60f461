INSERT INTO ports AS held (
    port_code, version, name_zh, name_en
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[]
)
ON CONFLICT (port_code) DO UPDATE SET
    version = excluded.version, name_zh = excluded.name_zh, name_en = excluded.name_en
WHERE held.version < excluded.version

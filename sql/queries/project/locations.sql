INSERT INTO locations AS held (
    location_code, version, merchant_code, name_zh, name_en, port_code
)
SELECT
    location_code, version, merchant_code, name_zh, name_en, port_code
FROM unnest($1::locations[])
ON CONFLICT (location_code) DO UPDATE SET
    version = excluded.version, merchant_code = excluded.merchant_code, name_zh = excluded.name_zh,
    name_en = excluded.name_en, port_code = excluded.port_code
WHERE held.version < excluded.version

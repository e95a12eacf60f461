INSERT INTO merchants AS held (
    merchant_code, version, name_zh, name_en, contact
)
SELECT
    merchant_code, version, name_zh, name_en, contact
FROM unnest($1::merchants[])
ON CONFLICT (merchant_code) DO UPDATE SET
    version = excluded.version, name_zh = excluded.name_zh, name_en = excluded.name_en,
    contact = excluded.contact
WHERE held.version < excluded.version

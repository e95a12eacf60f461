INSERT INTO partners AS held (
    partner_code, version, name_zh, name_en, contact, disabled
)
SELECT
    partner_code, version, name_zh, name_en, contact, disabled
FROM unnest($1::partners[])
ON CONFLICT (partner_code) DO UPDATE SET
    version = excluded.version, name_zh = excluded.name_zh, name_en = excluded.name_en,
    contact = excluded.contact, disabled = excluded.disabled
WHERE held.version < excluded.version

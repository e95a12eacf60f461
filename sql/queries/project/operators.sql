INSERT INTO operators AS held (
    operator_code, version, name_zh, name_en
)
SELECT
    operator_code, version, name_zh, name_en
FROM unnest($1::operators[])
ON CONFLICT (operator_code) DO UPDATE SET
    version = excluded.version, name_zh = excluded.name_zh, name_en = excluded.name_en
WHERE held.version < excluded.version

INSERT INTO ports AS held (
    port_code, version, name_zh, name_en
)
SELECT
    port_code, version, name_zh, name_en
FROM unnest($1::ports[])
ON CONFLICT (port_code) DO UPDATE SET
    version = excluded.version, name_zh = excluded.name_zh, name_en = excluded.name_en
WHERE held.version < excluded.version

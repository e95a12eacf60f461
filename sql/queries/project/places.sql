INSERT INTO places AS held (
    place_code, version, name_zh, name_en, aliases, ports, hot_weight
)
SELECT
    place_code, version, name_zh, name_en, aliases, ports, hot_weight
FROM unnest($1::places[])
ON CONFLICT (place_code) DO UPDATE SET
    version = excluded.version, name_zh = excluded.name_zh, name_en = excluded.name_en,
    aliases = excluded.aliases, ports = excluded.ports, hot_weight = excluded.hot_weight
WHERE held.version < excluded.version

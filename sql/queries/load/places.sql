SELECT
    place_code, version, name_zh, name_en, aliases, ports, hot_weight
FROM places

SELECT
    day, version, name, verified, removed, name_en
FROM holidays

SELECT
    day, version, name, verified, removed
FROM holidays

SELECT
    location_code, version, merchant_code, name_zh, name_en, port_code
FROM locations

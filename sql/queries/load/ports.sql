SELECT
    port_code, version, name_zh, name_en
FROM ports

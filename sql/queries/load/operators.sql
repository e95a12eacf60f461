SELECT
    operator_code, version, name_zh, name_en
FROM operators

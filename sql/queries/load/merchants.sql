SELECT
    merchant_code, version, name_zh, name_en, contact
FROM merchants

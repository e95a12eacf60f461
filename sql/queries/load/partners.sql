SELECT
    partner_code, version, name_zh, name_en, contact, disabled
FROM partners

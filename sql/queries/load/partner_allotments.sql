SELECT
    partner_code, version, allotments
FROM partner_allotments

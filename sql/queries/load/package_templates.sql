SELECT
    template_id, template_version, version, since, name_zh, name_en, version_token, client_token,
    content_hash, status, description_zh, description_en, product_id, places, journeys, stock_total,
    stock_per_date, blackout_dates, refund_rule_direct, refund_rule_ota, time_zone
FROM package_templates

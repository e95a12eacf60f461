INSERT INTO package_templates AS held (
    template_id, template_version, version, since, name_zh, name_en, version_token, client_token,
    content_hash, status, description_zh, description_en, product_id, places, journeys, stock_total,
    stock_per_date, blackout_dates, refund_rule_direct, refund_rule_ota, time_zone
)
SELECT
    template_id, template_version, version, since, name_zh, name_en, version_token, client_token,
    content_hash, status, description_zh, description_en, product_id, places, journeys, stock_total,
    stock_per_date, blackout_dates, refund_rule_direct, refund_rule_ota, time_zone
FROM unnest($1::package_templates[])
ON CONFLICT (template_id, template_version) DO UPDATE SET
    version = excluded.version, since = excluded.since, name_zh = excluded.name_zh,
    name_en = excluded.name_en, version_token = excluded.version_token, client_token = excluded.client_token,
    content_hash = excluded.content_hash, status = excluded.status, description_zh = excluded.description_zh,
    description_en = excluded.description_en, product_id = excluded.product_id, places = excluded.places,
    journeys = excluded.journeys, stock_total = excluded.stock_total,
    stock_per_date = excluded.stock_per_date, blackout_dates = excluded.blackout_dates,
    refund_rule_direct = excluded.refund_rule_direct, refund_rule_ota = excluded.refund_rule_ota,
    time_zone = excluded.time_zone
WHERE held.version < excluded.version

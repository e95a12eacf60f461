SELECT
    promotion_code, revision, version, effective_from, name_zh, name_en, automatic, kind, value, min_party,
    passenger_types, route_codes, template_ids, channels, valid_from, valid_until, travel_from, travel_until,
    limit_total, limit_per_traveller
FROM promotions

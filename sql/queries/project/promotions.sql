INSERT INTO promotions AS held (
    promotion_code, revision, version, effective_from, name_zh, name_en, automatic, kind, value, min_party,
    passenger_types, route_codes, template_ids, channels, valid_from, valid_until, travel_from, travel_until,
    limit_total, limit_per_traveller
)
SELECT
    promotion_code, revision, version, effective_from, name_zh, name_en, automatic, kind, value, min_party,
    passenger_types, route_codes, template_ids, channels, valid_from, valid_until, travel_from, travel_until,
    limit_total, limit_per_traveller
FROM unnest($1::promotions[])
ON CONFLICT (promotion_code, revision) DO UPDATE SET
    version = excluded.version, effective_from = excluded.effective_from, name_zh = excluded.name_zh,
    name_en = excluded.name_en, automatic = excluded.automatic, kind = excluded.kind, value = excluded.value,
    min_party = excluded.min_party, passenger_types = excluded.passenger_types,
    route_codes = excluded.route_codes, template_ids = excluded.template_ids, channels = excluded.channels,
    valid_from = excluded.valid_from, valid_until = excluded.valid_until, travel_from = excluded.travel_from,
    travel_until = excluded.travel_until, limit_total = excluded.limit_total,
    limit_per_traveller = excluded.limit_per_traveller
WHERE held.version < excluded.version

INSERT INTO template_pricing_tiers AS held (
    template_id, template_version, number, version, passenger_type, min_party, day_type, price_minor, currency
)
SELECT
    template_id, template_version, number, version, passenger_type, min_party, day_type, price_minor, currency
FROM unnest($1::template_pricing_tiers[])
ON CONFLICT (template_id, template_version, number) DO UPDATE SET
    version = excluded.version, passenger_type = excluded.passenger_type, min_party = excluded.min_party,
    day_type = excluded.day_type, price_minor = excluded.price_minor, currency = excluded.currency
WHERE held.version < excluded.version

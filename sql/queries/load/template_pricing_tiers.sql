-- Of each template those of the newest version.
SELECT
    template_id, template_version, number, version, passenger_type, min_party, day_type, price_minor, currency
FROM template_pricing_tiers
WHERE (template_id, template_version) IN (
    SELECT template_id, max(template_version) FROM package_templates GROUP BY template_id
)

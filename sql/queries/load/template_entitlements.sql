-- Of each template those of the newest version.
SELECT
    template_id, template_version, number, version, entitlement_code, name_zh, name_en, quantity, merchant_id,
    location_ids, redemption_channel, requires_identity, shared, share_weight, validity
FROM template_entitlements
WHERE (template_id, template_version) IN (
    SELECT template_id, max(template_version) FROM package_templates GROUP BY template_id
)

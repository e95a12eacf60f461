INSERT INTO template_entitlements AS held (
    template_id, template_version, number, version, entitlement_code, name_zh, name_en, quantity, merchant_id,
    location_ids, redemption_channel, requires_identity, shared, share_weight, validity
)
SELECT
    template_id, template_version, number, version, entitlement_code, name_zh, name_en, quantity, merchant_id,
    location_ids, redemption_channel, requires_identity, shared, share_weight, validity
FROM unnest($1::template_entitlements[])
ON CONFLICT (template_id, template_version, number) DO UPDATE SET
    version = excluded.version, entitlement_code = excluded.entitlement_code, name_zh = excluded.name_zh,
    name_en = excluded.name_en, quantity = excluded.quantity, merchant_id = excluded.merchant_id,
    location_ids = excluded.location_ids, redemption_channel = excluded.redemption_channel,
    requires_identity = excluded.requires_identity, shared = excluded.shared,
    share_weight = excluded.share_weight, validity = excluded.validity
WHERE held.version < excluded.version

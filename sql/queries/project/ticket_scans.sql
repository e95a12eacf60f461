INSERT INTO ticket_scans AS held (
    order_id, ticket, version, session_id, request_id, scanned_at, operator_username, device_id,
    location_code, entitlement_code, reason, number, merchant_code, redeemed_code, quantity, code_token
)
SELECT
    order_id, ticket, version, session_id, request_id, scanned_at, operator_username, device_id,
    location_code, entitlement_code, reason, number, merchant_code, redeemed_code, quantity, code_token
FROM unnest($1::ticket_scans[])
ON CONFLICT (order_id, ticket, version) DO UPDATE SET
    session_id = excluded.session_id, request_id = excluded.request_id, scanned_at = excluded.scanned_at,
    operator_username = excluded.operator_username, device_id = excluded.device_id,
    location_code = excluded.location_code, entitlement_code = excluded.entitlement_code,
    reason = excluded.reason, number = excluded.number, merchant_code = excluded.merchant_code,
    redeemed_code = excluded.redeemed_code, quantity = excluded.quantity, code_token = excluded.code_token
WHERE held.version < excluded.version

INSERT INTO redemptions AS held (
    ticket_id, number, order_id, version, session_id, request_id, operator_username, device_id, location_code,
    merchant_code, entitlement_code, quantity, redeemed_at, code_token
)
SELECT
    ticket_id, number, order_id, version, session_id, request_id, operator_username, device_id, location_code,
    merchant_code, entitlement_code, quantity, redeemed_at, code_token
FROM unnest($1::redemptions[])
ON CONFLICT (ticket_id, number) DO UPDATE SET
    order_id = excluded.order_id, version = excluded.version, session_id = excluded.session_id,
    request_id = excluded.request_id, operator_username = excluded.operator_username,
    device_id = excluded.device_id, location_code = excluded.location_code,
    merchant_code = excluded.merchant_code, entitlement_code = excluded.entitlement_code,
    quantity = excluded.quantity, redeemed_at = excluded.redeemed_at, code_token = excluded.code_token
WHERE held.version < excluded.version

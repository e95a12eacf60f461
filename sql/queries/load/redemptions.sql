-- $1 ids of orders.
SELECT
    ticket_id, number, order_id, version, session_id, request_id, operator_username, device_id, location_code,
    merchant_code, entitlement_code, quantity, redeemed_at, code_token
FROM redemptions
WHERE order_id = ANY ($1)

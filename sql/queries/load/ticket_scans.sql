-- $1 ids of orders. What was refused says nothing any more.
SELECT
    order_id, ticket, version, session_id, request_id, scanned_at, operator_username, device_id,
    location_code, entitlement_code, reason, number, merchant_code, redeemed_code, quantity, code_token
FROM ticket_scans
WHERE order_id = ANY ($1) AND number IS NOT NULL

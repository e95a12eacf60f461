INSERT INTO redemptions AS held (
    ticket_id, number, order_id, version, session_id, request_id, operator_username, device_id, location_code,
    merchant_code, entitlement_code, quantity, redeemed_at, code_token
)
SELECT * FROM unnest(
    $1::text[], $2::integer[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::integer[], $13::timestamptz[],
    $14::bigint[]
)
ON CONFLICT (ticket_id, number) DO UPDATE SET
    order_id = excluded.order_id, version = excluded.version, session_id = excluded.session_id,
    request_id = excluded.request_id, operator_username = excluded.operator_username,
    device_id = excluded.device_id, location_code = excluded.location_code,
    merchant_code = excluded.merchant_code, entitlement_code = excluded.entitlement_code,
    quantity = excluded.quantity, redeemed_at = excluded.redeemed_at,
    code_token = excluded.code_token
WHERE held.version < excluded.version

INSERT INTO scan_attempts AS held (
    session_id, request_id, ticket_id, attempted_at, version, operator_username, device_id, location_code,
    entitlement_code, result, reason
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[]
)
ON CONFLICT (session_id, request_id, ticket_id, attempted_at) DO UPDATE SET
    version = excluded.version, operator_username = excluded.operator_username, device_id = excluded.device_id,
    location_code = excluded.location_code, entitlement_code = excluded.entitlement_code,
    result = excluded.result, reason = excluded.reason
WHERE held.version < excluded.version

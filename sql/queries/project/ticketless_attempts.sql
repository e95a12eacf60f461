INSERT INTO ticketless_attempts AS held (
    session_id, request_id, attempted_at, version, operator_username, device_id, location_code,
    entitlement_code, reason
)
SELECT
    session_id, request_id, attempted_at, version, operator_username, device_id, location_code,
    entitlement_code, reason
FROM unnest($1::ticketless_attempts[])
ON CONFLICT (session_id, request_id, attempted_at) DO UPDATE SET
    version = excluded.version, operator_username = excluded.operator_username,
    device_id = excluded.device_id, location_code = excluded.location_code,
    entitlement_code = excluded.entitlement_code, reason = excluded.reason
WHERE held.version < excluded.version

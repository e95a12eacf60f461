INSERT INTO ticket_status_audit AS held (
    ticket_id, new_status, event_id, version, prev_status, event, created_at
)
SELECT
    ticket_id, new_status, event_id, version, prev_status, event, created_at
FROM unnest($1::ticket_status_audit[])
ON CONFLICT (ticket_id, new_status, event_id) DO UPDATE SET
    version = excluded.version, prev_status = excluded.prev_status, event = excluded.event,
    created_at = excluded.created_at
WHERE held.version < excluded.version

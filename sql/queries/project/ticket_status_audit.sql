INSERT INTO ticket_status_audit AS held (
    ticket_id, new_status, event_id, version, prev_status, event, created_at
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[]
)
ON CONFLICT (ticket_id, new_status, event_id) DO UPDATE SET
    version = excluded.version, prev_status = excluded.prev_status, event = excluded.event,
    created_at = excluded.created_at
WHERE held.version < excluded.version

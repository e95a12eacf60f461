INSERT INTO webhook_events AS held (
    partner_id, sequence, version, kind, subject, order_id, ticket, count, at
)
SELECT
    partner_id, sequence, version, kind, subject, order_id, ticket, count, at
FROM unnest($1::webhook_events[])
ON CONFLICT (partner_id, sequence) DO UPDATE SET
    version = excluded.version, kind = excluded.kind, subject = excluded.subject,
    order_id = excluded.order_id, ticket = excluded.ticket, count = excluded.count, at = excluded.at
WHERE held.version < excluded.version

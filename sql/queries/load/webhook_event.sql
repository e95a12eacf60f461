-- $1 the partner, $2 the event's number.
SELECT
    partner_id, sequence, version, kind, subject, order_id, ticket, count, at
FROM webhook_events
WHERE partner_id = $1 AND sequence = $2

INSERT INTO ota_ticket_rows AS held (
    order_id, version, batch_id, partner_id, status, since
)
SELECT
    order_id, version, batch_id, partner_id, status, since
FROM unnest($1::ota_ticket_rows[])
ON CONFLICT (order_id) DO UPDATE SET
    version = excluded.version, batch_id = excluded.batch_id, partner_id = excluded.partner_id,
    status = excluded.status, since = excluded.since
WHERE held.version < excluded.version

-- $1 partner, $2 status or NULL, $3 the lowest and the highest id, $4 how many are passed over, $5 most rows. The oldest
-- first: a page stays as it is when others are generated. What is passed over is read in the index only.
SELECT
    ota_ticket_rows.order_id, ota_ticket_rows.version, ota_ticket_rows.batch_id, ota_ticket_rows.partner_id,
    ota_ticket_rows.status, ota_ticket_rows.since
FROM ota_ticket_rows
JOIN (
    SELECT order_id
    FROM ota_ticket_rows
    WHERE partner_id = $1 AND order_id BETWEEN ($3::uuid[])[1] AND ($3::uuid[])[2] AND ($2::text IS NULL OR status = $2)
    ORDER BY order_id
    OFFSET $4
    LIMIT $5
) AS page USING (order_id)
ORDER BY ota_ticket_rows.order_id

-- $1 from and $2 until (not included), $3 merchant, $4 location and $5 entitlement, each NULL for any, $6 instant and $7 order and ticket
-- and version of the cursor or NULL, $8 most rows. The newest first. Every redemption has a ticket, and every ticket an order.
SELECT
    s.order_id, s.ticket, s.version, s.scanned_at, s.merchant_code, s.location_code, s.redeemed_code, s.quantity,
    s.operator_username, s.device_id,
    CASE WHEN t.shared THEN NULL ELSE o.passengers -> t.passenger ->> 'name' END AS passenger_name
FROM ticket_scans AS s
JOIN ticket_rows AS t ON t.order_id = s.order_id AND t.number = s.ticket
JOIN order_rows AS o ON o.order_id = s.order_id
WHERE s.number IS NOT NULL
    AND s.scanned_at >= $1
    AND s.scanned_at < $2
    AND ($3::text IS NULL OR s.merchant_code = $3)
    AND ($4::text IS NULL OR s.location_code = $4)
    AND ($5::text IS NULL OR s.redeemed_code = $5)
    AND ($6::timestamptz IS NULL OR (s.scanned_at, s.order_id, s.ticket, s.version) < (
        $6, id_of_text(split_part($7, '.', 1)), split_part($7, '.', 2)::integer, split_part($7, '.', 3)::bigint
    ))
ORDER BY s.scanned_at DESC, s.order_id DESC, s.ticket DESC, s.version DESC
LIMIT $8

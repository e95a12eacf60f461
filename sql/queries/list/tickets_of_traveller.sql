-- $1 traveller, $2 status or NULL for any, $3 order and $4 ticket of the cursor, $5 most rows. Newest order first, tickets
-- by their number: within one order a longer id is a higher number.
SELECT
    t.ticket_id, t.order_id, t.version, t.traveller_id, t.status, t.passenger, t.departure_id, t.board_stop,
    t.alight_stop, t.seat_number, t.board_port, t.departs_at, t.merchant_code, t.entitlement_code,
    t.total_uses, t.remaining_uses, t.valid_from, t.valid_until, p.name AS passenger_name, p.passenger_type
FROM tickets AS t
JOIN order_passengers AS p ON p.order_id = t.order_id AND p.passenger = t.passenger
WHERE t.traveller_id = $1
    AND ($2::text IS NULL OR t.status = $2)
    AND t.order_id <= $3
    AND (t.order_id < $3 OR (length(t.ticket_id), t.ticket_id) > (length($4), $4))
ORDER BY t.order_id DESC, length(t.ticket_id), t.ticket_id
LIMIT $5

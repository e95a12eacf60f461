-- $1 ids of orders.
SELECT
    ticket_id, order_id, version, traveller_id, status, passenger, departure_id, board_stop, alight_stop,
    seat_number, board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses,
    valid_from, valid_until, issued_at
FROM tickets
WHERE order_id = ANY ($1)

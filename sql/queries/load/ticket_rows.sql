-- $1 ids of orders.
SELECT
    order_id, number, version, traveller_id, status, passenger, departure_id, board_stop, alight_stop,
    seat_number, board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses,
    valid_from, valid_until, issued_at, price_minor, item, shared
FROM ticket_rows
WHERE order_id = ANY ($1)

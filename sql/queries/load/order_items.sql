-- $1 ids of orders.
SELECT
    order_id, item, version, departure_id, route_code, operator_code, class_code, board_stop, alight_stop,
    board_port, alight_port, departs_at, arrives_at, seat_numbers, seats_chosen
FROM order_items
WHERE order_id = ANY ($1)

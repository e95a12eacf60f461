INSERT INTO order_items AS held (
    order_id, item, version, departure_id, route_code, operator_code, class_code, board_stop, alight_stop,
    board_port, alight_port, departs_at, arrives_at, seat_numbers, seats_chosen
)
SELECT
    order_id, item, version, departure_id, route_code, operator_code, class_code, board_stop, alight_stop,
    board_port, alight_port, departs_at, arrives_at, seat_numbers, seats_chosen
FROM unnest($1::order_items[])
ON CONFLICT (order_id, item) DO UPDATE SET
    version = excluded.version, departure_id = excluded.departure_id, route_code = excluded.route_code,
    operator_code = excluded.operator_code, class_code = excluded.class_code,
    board_stop = excluded.board_stop, alight_stop = excluded.alight_stop, board_port = excluded.board_port,
    alight_port = excluded.alight_port, departs_at = excluded.departs_at, arrives_at = excluded.arrives_at,
    seat_numbers = excluded.seat_numbers, seats_chosen = excluded.seats_chosen
WHERE held.version < excluded.version

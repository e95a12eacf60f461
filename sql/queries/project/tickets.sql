INSERT INTO tickets AS held (
    ticket_id, order_id, version, traveller_id, status, passenger, departure_id, board_stop, alight_stop,
    seat_number, board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses,
    valid_from, valid_until, issued_at
)
SELECT
    ticket_id, order_id, version, traveller_id, status, passenger, departure_id, board_stop, alight_stop,
    seat_number, board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses,
    valid_from, valid_until, issued_at
FROM unnest($1::tickets[])
ON CONFLICT (ticket_id) DO UPDATE SET
    order_id = excluded.order_id, version = excluded.version, traveller_id = excluded.traveller_id,
    status = excluded.status, passenger = excluded.passenger, departure_id = excluded.departure_id,
    board_stop = excluded.board_stop, alight_stop = excluded.alight_stop, seat_number = excluded.seat_number,
    board_port = excluded.board_port, departs_at = excluded.departs_at,
    merchant_code = excluded.merchant_code, entitlement_code = excluded.entitlement_code,
    total_uses = excluded.total_uses, remaining_uses = excluded.remaining_uses,
    valid_from = excluded.valid_from, valid_until = excluded.valid_until, issued_at = excluded.issued_at
WHERE held.version < excluded.version

INSERT INTO ticket_rows AS held (
    order_id, number, version, traveller_id, status, passenger, departure_id, board_stop, alight_stop,
    seat_number, board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses,
    valid_from, valid_until, issued_at, price_minor, item, shared
)
SELECT
    order_id, number, version, traveller_id, status, passenger, departure_id, board_stop, alight_stop,
    seat_number, board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses,
    valid_from, valid_until, issued_at, price_minor, item, shared
FROM unnest($1::ticket_rows[])
ON CONFLICT (order_id, number) DO UPDATE SET
    version = excluded.version, traveller_id = excluded.traveller_id, status = excluded.status,
    passenger = excluded.passenger, departure_id = excluded.departure_id, board_stop = excluded.board_stop,
    alight_stop = excluded.alight_stop, seat_number = excluded.seat_number, board_port = excluded.board_port,
    departs_at = excluded.departs_at, merchant_code = excluded.merchant_code,
    entitlement_code = excluded.entitlement_code, total_uses = excluded.total_uses,
    remaining_uses = excluded.remaining_uses, valid_from = excluded.valid_from,
    valid_until = excluded.valid_until, issued_at = excluded.issued_at, price_minor = excluded.price_minor,
    item = excluded.item, shared = excluded.shared
WHERE held.version < excluded.version

INSERT INTO hold_rows AS held (
    order_id, item, epoch, version, departure_id, class_code, seats, seat_numbers, freed_seats, board_stop,
    alight_stop, channel, state, placed_at, expires_at, ended_at
)
SELECT
    order_id, item, epoch, version, departure_id, class_code, seats, seat_numbers, freed_seats, board_stop,
    alight_stop, channel, state, placed_at, expires_at, ended_at
FROM unnest($1::hold_rows[])
ON CONFLICT (order_id, item, epoch) DO UPDATE SET
    version = excluded.version, departure_id = excluded.departure_id, class_code = excluded.class_code,
    seats = excluded.seats, seat_numbers = excluded.seat_numbers, freed_seats = excluded.freed_seats,
    board_stop = excluded.board_stop, alight_stop = excluded.alight_stop, channel = excluded.channel,
    state = excluded.state, placed_at = excluded.placed_at, expires_at = excluded.expires_at,
    ended_at = excluded.ended_at
WHERE held.version < excluded.version

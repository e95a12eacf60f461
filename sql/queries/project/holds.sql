INSERT INTO holds AS held (
    hold_id, departure_id, version, epoch, class_code, seats, seat_numbers, freed_seats, board_stop,
    alight_stop, channel, state, placed_at, expires_at, ended_at
)
SELECT
    hold_id, departure_id, version, epoch, class_code, seats, seat_numbers, freed_seats, board_stop,
    alight_stop, channel, state, placed_at, expires_at, ended_at
FROM unnest($1::holds[])
ON CONFLICT (hold_id, epoch) DO UPDATE SET
    departure_id = excluded.departure_id, version = excluded.version, class_code = excluded.class_code,
    seats = excluded.seats, seat_numbers = excluded.seat_numbers, freed_seats = excluded.freed_seats,
    board_stop = excluded.board_stop, alight_stop = excluded.alight_stop, channel = excluded.channel,
    state = excluded.state, placed_at = excluded.placed_at, expires_at = excluded.expires_at,
    ended_at = excluded.ended_at
WHERE held.version < excluded.version

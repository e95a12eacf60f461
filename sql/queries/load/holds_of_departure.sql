-- $1 departure. An expired hold says nothing any more, but that earlier epochs of it are over.
SELECT
    order_id, item, epoch, version, departure_id, class_code, seats, seat_numbers, freed_seats, board_stop,
    alight_stop, channel, state, placed_at, expires_at, ended_at
FROM hold_rows
WHERE departure_id = $1 AND (state <> 'expired' OR epoch > 1)

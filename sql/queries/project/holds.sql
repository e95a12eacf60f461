INSERT INTO holds AS held (
    hold_id, departure_id, version, epoch, class_code, seats, seat_numbers, freed_seats, board_stop,
    alight_stop, channel, state, placed_at, expires_at, ended_at
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::bigint[], $4::integer[], $5::text[], $6::jsonb[], $7::jsonb[], $8::jsonb[],
    $9::integer[], $10::integer[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[],
    $15::timestamptz[]
)
ON CONFLICT (hold_id) DO UPDATE SET
    departure_id = excluded.departure_id, version = excluded.version, epoch = excluded.epoch,
    class_code = excluded.class_code, seats = excluded.seats, seat_numbers = excluded.seat_numbers,
    freed_seats = excluded.freed_seats, board_stop = excluded.board_stop, alight_stop = excluded.alight_stop,
    channel = excluded.channel, state = excluded.state, placed_at = excluded.placed_at,
    expires_at = excluded.expires_at, ended_at = excluded.ended_at
WHERE held.version < excluded.version

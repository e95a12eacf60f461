-- $1 instant. A released hold matters until its `expires_at`; five minutes are for clocks that differ. A hold that was
-- placed again matters always: its rows say which of them is over.
SELECT
    hold_rows.order_id, hold_rows.item, hold_rows.epoch, hold_rows.version, hold_rows.departure_id,
    hold_rows.class_code, hold_rows.seats, hold_rows.seat_numbers, hold_rows.freed_seats,
    hold_rows.board_stop, hold_rows.alight_stop, hold_rows.channel, hold_rows.state, hold_rows.placed_at,
    hold_rows.expires_at, hold_rows.ended_at
FROM hold_rows
JOIN departures AS d USING (departure_id)
WHERE d.departs_at > $1
    AND (hold_rows.state IN ('held', 'paying', 'confirmed')
        OR hold_rows.state = 'released' AND hold_rows.expires_at > LEAST($1, now() - interval '5 minutes')
        OR hold_rows.epoch > 1)

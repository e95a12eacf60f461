-- $1 instant. A released hold matters until its `expires_at`; five minutes are for clocks that differ. A hold that was
-- placed again matters always: its rows say which of them is over.
SELECT
    h.hold_id, h.departure_id, h.version, h.epoch, h.class_code, h.seats, h.seat_numbers, h.freed_seats,
    h.board_stop, h.alight_stop, h.channel, h.state, h.placed_at, h.expires_at, h.ended_at
FROM holds AS h
JOIN departures AS d USING (departure_id)
WHERE d.departs_at > $1
    AND (h.state IN ('held', 'paying', 'confirmed')
        OR h.state = 'released' AND h.expires_at > LEAST($1, now() - interval '5 minutes')
        OR h.epoch > 1)

-- $1 instant. The version is the newest of each departure's key, also that of holds that are not loaded.
SELECT
    d.departure_id,
    GREATEST(d.version, (SELECT max(h.version) FROM hold_rows AS h WHERE h.departure_id = d.departure_id)) AS version,
    d.route_code, d.operator_code, d.departs_at, d.calls, d.booking_closes_minutes, d.classes,
    -- Rows that an older release has written hold objects.
    COALESCE(d.seat_map, (
        SELECT json_agg(json_build_array(seat -> 'label', seat -> 'class', seat -> 'row', seat -> 'column') ORDER BY place)
        FROM jsonb_array_elements(d.seats) WITH ORDINALITY AS s (seat, place)
    ), '[]') AS seat_map,
    d.channels, d.seat_channels, d.status, d.retired_seats
FROM departures AS d
WHERE d.departs_at > $1

INSERT INTO departures AS held (
    departure_id, version, route_code, operator_code, departs_at, calls, booking_closes_minutes, classes,
    seat_map, channels, seat_channels, status, retired_seats
)
SELECT
    departure_id, version, route_code, operator_code, departs_at, calls, booking_closes_minutes, classes,
    seat_map, channels, seat_channels, status, retired_seats
FROM unnest($1::departures[])
ON CONFLICT (departure_id) DO UPDATE SET
    version = excluded.version, route_code = excluded.route_code, operator_code = excluded.operator_code,
    departs_at = excluded.departs_at, calls = excluded.calls,
    booking_closes_minutes = excluded.booking_closes_minutes, classes = excluded.classes,
    seat_map = excluded.seat_map, channels = excluded.channels, seat_channels = excluded.seat_channels,
    status = excluded.status, retired_seats = excluded.retired_seats
WHERE held.version < excluded.version

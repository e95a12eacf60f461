INSERT INTO routes AS held (
    route_code, version, operator_code, mode, name_zh, name_en, time_zone, stops, vehicle_code,
    seat_lock_minutes, booking_closes_minutes, sales_window_days, blackout_dates, status, marks,
    boarding_opens_minutes, refund_rule_direct, refund_rule_ota
)
SELECT
    route_code, version, operator_code, mode, name_zh, name_en, time_zone, stops, vehicle_code,
    seat_lock_minutes, booking_closes_minutes, sales_window_days, blackout_dates, status, marks,
    boarding_opens_minutes, refund_rule_direct, refund_rule_ota
FROM unnest($1::routes[])
ON CONFLICT (route_code) DO UPDATE SET
    version = excluded.version, operator_code = excluded.operator_code, mode = excluded.mode,
    name_zh = excluded.name_zh, name_en = excluded.name_en, time_zone = excluded.time_zone,
    stops = excluded.stops, vehicle_code = excluded.vehicle_code,
    seat_lock_minutes = excluded.seat_lock_minutes, booking_closes_minutes = excluded.booking_closes_minutes,
    sales_window_days = excluded.sales_window_days, blackout_dates = excluded.blackout_dates,
    status = excluded.status, marks = excluded.marks,
    boarding_opens_minutes = excluded.boarding_opens_minutes,
    refund_rule_direct = excluded.refund_rule_direct, refund_rule_ota = excluded.refund_rule_ota
WHERE held.version < excluded.version

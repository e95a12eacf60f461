SELECT
    route_code, version, operator_code, mode, name_zh, name_en, time_zone, stops, vehicle_code,
    seat_lock_minutes, booking_closes_minutes, sales_window_days, blackout_dates, status, marks,
    boarding_opens_minutes, refund_rule_direct, refund_rule_ota
FROM routes

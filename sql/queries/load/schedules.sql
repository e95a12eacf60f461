SELECT
    schedule_id, version, route_code, departs_minutes, weekdays, first_date, last_date, exceptions, withdrawn
FROM schedules

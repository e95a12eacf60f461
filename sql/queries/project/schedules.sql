INSERT INTO schedules AS held (
    schedule_id, version, route_code, departs_minutes, weekdays, first_date, last_date, exceptions, withdrawn
)
SELECT
    schedule_id, version, route_code, departs_minutes, weekdays, first_date, last_date, exceptions, withdrawn
FROM unnest($1::schedules[])
ON CONFLICT (schedule_id) DO UPDATE SET
    version = excluded.version, route_code = excluded.route_code, departs_minutes = excluded.departs_minutes,
    weekdays = excluded.weekdays, first_date = excluded.first_date, last_date = excluded.last_date,
    exceptions = excluded.exceptions, withdrawn = excluded.withdrawn
WHERE held.version < excluded.version

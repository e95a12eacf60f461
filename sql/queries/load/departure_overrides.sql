SELECT
    departure_id, version, stopped, cancelled, calls, vehicle_code, vehicle_revision, capacities, allotments
FROM departure_overrides

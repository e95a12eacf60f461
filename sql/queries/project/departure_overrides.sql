INSERT INTO departure_overrides AS held (
    departure_id, version, stopped, cancelled, calls, vehicle_code, vehicle_revision, capacities, allotments
)
SELECT
    departure_id, version, stopped, cancelled, calls, vehicle_code, vehicle_revision, capacities, allotments
FROM unnest($1::departure_overrides[])
ON CONFLICT (departure_id) DO UPDATE SET
    version = excluded.version, stopped = excluded.stopped, cancelled = excluded.cancelled,
    calls = excluded.calls, vehicle_code = excluded.vehicle_code,
    vehicle_revision = excluded.vehicle_revision, capacities = excluded.capacities,
    allotments = excluded.allotments
WHERE held.version < excluded.version

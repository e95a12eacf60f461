INSERT INTO vehicles AS held (
    vehicle_code, version, name, classes, seats, marks
)
SELECT
    vehicle_code, version, name, classes, seats, marks
FROM unnest($1::vehicles[])
ON CONFLICT (vehicle_code) DO UPDATE SET
    version = excluded.version, name = excluded.name, classes = excluded.classes, seats = excluded.seats,
    marks = excluded.marks
WHERE held.version < excluded.version

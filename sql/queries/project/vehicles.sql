INSERT INTO vehicles AS held (
    vehicle_code, version, name, classes, seats, marks, name_en
)
SELECT
    vehicle_code, version, name, classes, seats, marks, name_en
FROM unnest($1::vehicles[])
ON CONFLICT (vehicle_code) DO UPDATE SET
    version = excluded.version, name = excluded.name, classes = excluded.classes, seats = excluded.seats,
    marks = excluded.marks, name_en = excluded.name_en
WHERE held.version < excluded.version

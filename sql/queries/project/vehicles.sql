INSERT INTO vehicles AS held (
    vehicle_code, version, name, classes, seats, marks
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[]
)
ON CONFLICT (vehicle_code) DO UPDATE SET
    version = excluded.version, name = excluded.name, classes = excluded.classes, seats = excluded.seats,
    marks = excluded.marks
WHERE held.version < excluded.version

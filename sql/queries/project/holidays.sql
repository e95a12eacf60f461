INSERT INTO holidays AS held (
    day, version, name, verified, removed
)
SELECT * FROM unnest(
    $1::date[], $2::bigint[], $3::text[], $4::boolean[], $5::boolean[]
)
ON CONFLICT (day) DO UPDATE SET
    version = excluded.version, name = excluded.name, verified = excluded.verified, removed = excluded.removed
WHERE held.version < excluded.version

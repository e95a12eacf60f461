INSERT INTO holidays AS held (
    day, version, name, verified, removed
)
SELECT
    day, version, name, verified, removed
FROM unnest($1::holidays[])
ON CONFLICT (day) DO UPDATE SET
    version = excluded.version, name = excluded.name, verified = excluded.verified, removed = excluded.removed
WHERE held.version < excluded.version

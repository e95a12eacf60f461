INSERT INTO holidays AS held (
    day, version, name, verified, removed, name_en
)
SELECT
    day, version, name, verified, removed, name_en
FROM unnest($1::holidays[])
ON CONFLICT (day) DO UPDATE SET
    version = excluded.version, name = excluded.name, verified = excluded.verified,
    removed = excluded.removed, name_en = excluded.name_en
WHERE held.version < excluded.version

INSERT INTO announcement_totals AS held (
    follower, version, position, totals
)
SELECT
    follower, version, position, totals
FROM unnest($1::announcement_totals[])
ON CONFLICT (follower) DO UPDATE SET
    version = excluded.version, position = excluded.position, totals = excluded.totals
WHERE held.version < excluded.version

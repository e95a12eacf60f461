INSERT INTO webhooks_followed AS held (
    follower, version, position
)
SELECT
    follower, version, position
FROM unnest($1::webhooks_followed[])
ON CONFLICT (follower) DO UPDATE SET
    version = excluded.version, position = excluded.position
WHERE held.version < excluded.version

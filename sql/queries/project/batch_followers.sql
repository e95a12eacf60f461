INSERT INTO batch_followers AS held (
    follower, version, position
)
SELECT
    follower, version, position
FROM unnest($1::batch_followers[])
ON CONFLICT (follower) DO UPDATE SET
    version = excluded.version, position = excluded.position
WHERE held.version < excluded.version

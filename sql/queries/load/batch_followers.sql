SELECT
    follower, version, position
FROM batch_followers

SELECT
    follower, version, position
FROM webhooks_followed

SELECT
    follower, version, position, totals
FROM announcement_totals

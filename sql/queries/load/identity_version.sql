-- Of all rows, also those of sessions that have ended.
SELECT COALESCE(max(version), 0) AS version
FROM (
    SELECT max(version) AS version FROM accounts
    UNION ALL
    SELECT max(version) FROM sessions
    UNION ALL
    SELECT max(version) FROM validator_sessions
) AS newest

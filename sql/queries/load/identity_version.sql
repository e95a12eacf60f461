-- Of all rows, also those of sessions that have ended, and of writes to accounts that were refused.
SELECT COALESCE(max(version), 0) AS version
FROM (
    SELECT max(version) AS version FROM accounts
    UNION ALL
    SELECT max(version) FROM sessions
    UNION ALL
    SELECT max(version) FROM validator_sessions
    UNION ALL
    SELECT max(version) FROM partner_keys
    UNION ALL
    -- A write's number is the version of its record.
    SELECT max(number) FROM admin_audit_logs WHERE owner = 'identity'
) AS newest

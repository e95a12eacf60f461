-- $1 the owner. A write that was refused has no other row.
SELECT COALESCE(max(version), 0) AS version FROM admin_audit_logs WHERE owner = $1

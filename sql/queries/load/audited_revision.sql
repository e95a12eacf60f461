-- $1 kind and $2 id of the entity, $3 the revision or 0 for the newest.
SELECT
    owner, number, version, at, account, entity, entity_id, revision, action, before, after, refusal_code,
    refusal
FROM admin_audit_logs
WHERE entity = $1 AND entity_id = $2 AND revision IS NOT NULL AND ($3::bigint = 0 OR revision = $3)
ORDER BY number DESC
LIMIT 1

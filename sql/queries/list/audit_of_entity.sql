-- $1 kind and $2 id of the entity, $3 the number before which the page ends, $4 most rows. What was refused is left out. The newest first.
SELECT
    owner, number, version, at, account, entity, entity_id, revision, action, before, after, refusal_code,
    refusal
FROM admin_audit_logs
WHERE entity = $1 AND entity_id = $2 AND number < $3 AND revision IS NOT NULL
ORDER BY number DESC
LIMIT $4

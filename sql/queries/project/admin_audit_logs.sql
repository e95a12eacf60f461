INSERT INTO admin_audit_logs AS held (
    owner, number, version, at, account, entity, entity_id, revision, action, before, after, refusal_code,
    refusal
)
SELECT
    owner, number, version, at, account, entity, entity_id, revision, action, before, after, refusal_code,
    refusal
FROM unnest($1::admin_audit_logs[])
ON CONFLICT (owner, number) DO UPDATE SET
    version = excluded.version, at = excluded.at, account = excluded.account, entity = excluded.entity,
    entity_id = excluded.entity_id, revision = excluded.revision, action = excluded.action,
    before = excluded.before, after = excluded.after, refusal_code = excluded.refusal_code,
    refusal = excluded.refusal
WHERE held.version < excluded.version

-- $1 from and $2 until (not included) or NULL, $3 account or NULL, $4 kind of entity or NULL, $5 instant and $6 owner of
-- the cursor or NULL with $7 its number, $8 most rows. The newest first.
SELECT
    owner, number, version, at, account, entity, entity_id, revision, action, before, after, refusal_code,
    refusal
FROM admin_audit_logs
WHERE ($1::timestamptz IS NULL OR at >= $1)
    AND ($2::timestamptz IS NULL OR at < $2)
    AND ($3::text IS NULL OR account = $3)
    AND ($4::text IS NULL OR entity = $4)
    AND ($5::timestamptz IS NULL
        OR (at, owner, number) < ($5, $6, $7))
ORDER BY at DESC, owner DESC, number DESC
LIMIT $8

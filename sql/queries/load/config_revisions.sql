-- $1 the owner.
SELECT
    entity, entity_id, version, owner, revision, since, withdrawn
FROM config_revisions
WHERE owner = $1

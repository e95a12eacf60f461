-- $1 the owner.
SELECT
    entity, entity_id, version, owner, revision, since, withdrawn, asked_action, asked_key
FROM config_revisions
WHERE owner = $1

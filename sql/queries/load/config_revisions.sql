-- $1 the owner.
SELECT
    entity, entity_id, version, owner, revision, since, withdrawn, asked_action, asked_account, asked_key,
    asked_revision
FROM config_revisions
WHERE owner = $1

INSERT INTO config_revisions AS held (
    entity, entity_id, version, owner, revision, since, withdrawn, asked_action, asked_account, asked_key,
    asked_revision
)
SELECT
    entity, entity_id, version, owner, revision, since, withdrawn, asked_action, asked_account, asked_key,
    asked_revision
FROM unnest($1::config_revisions[])
ON CONFLICT (entity, entity_id) DO UPDATE SET
    version = excluded.version, owner = excluded.owner, revision = excluded.revision, since = excluded.since,
    withdrawn = excluded.withdrawn, asked_action = excluded.asked_action,
    asked_account = excluded.asked_account, asked_key = excluded.asked_key,
    asked_revision = excluded.asked_revision
WHERE held.version < excluded.version

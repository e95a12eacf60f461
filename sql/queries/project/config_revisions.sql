INSERT INTO config_revisions AS held (
    entity, entity_id, version, owner, revision, since, withdrawn, asked_action, asked_key
)
SELECT
    entity, entity_id, version, owner, revision, since, withdrawn, asked_action, asked_key
FROM unnest($1::config_revisions[])
ON CONFLICT (entity, entity_id) DO UPDATE SET
    version = excluded.version, owner = excluded.owner, revision = excluded.revision, since = excluded.since,
    withdrawn = excluded.withdrawn, asked_action = excluded.asked_action, asked_key = excluded.asked_key
WHERE held.version < excluded.version

INSERT INTO config_revisions AS held (
    entity, entity_id, version, owner, revision, since, withdrawn
)
SELECT
    entity, entity_id, version, owner, revision, since, withdrawn
FROM unnest($1::config_revisions[])
ON CONFLICT (entity, entity_id) DO UPDATE SET
    version = excluded.version, owner = excluded.owner, revision = excluded.revision, since = excluded.since,
    withdrawn = excluded.withdrawn
WHERE held.version < excluded.version

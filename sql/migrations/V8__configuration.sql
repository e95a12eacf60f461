-- Configuration: which revision of each entity is in force, and who wrote what. History and restore read the audit.

CREATE TABLE config_revisions (
    -- The kind: operator, port, place, vehicle, holidays, route, schedules, fares.
    entity text COLLATE "C",
    entity_id text COLLATE "C",
    version bigint,
    -- The key of its owner.
    owner text COLLATE "C",
    -- Counts the writes of this entity, from 1.
    revision integer,
    -- When that revision came into force.
    since timestamptz,
    -- Not there any more, but for its id; what it held is still in the table of its kind.
    withdrawn boolean,
    PRIMARY KEY (entity, entity_id)
);
COMMENT ON TABLE config_revisions IS 'Entities without a row here were last written before revisions were counted.';

CREATE TABLE admin_audit_logs (
    owner text COLLATE "C",
    -- The version of the owner's record: it holds one write.
    number bigint,
    version bigint,
    at timestamptz,
    -- User name of the account, or a part of the system, as `import`.
    account text COLLATE "C",
    entity text COLLATE "C",
    entity_id text COLLATE "C",
    -- NULL: it was refused.
    revision integer,
    -- put, restore, withdraw
    action text COLLATE "C",
    -- JSON, in the words of the API: what the entity held, and what it was to hold.
    before text,
    after text,
    refusal_code text COLLATE "C",
    refusal text,
    PRIMARY KEY (owner, number)
);
CREATE INDEX admin_audit_logs_of_entity ON admin_audit_logs (entity, entity_id, number);
CREATE INDEX admin_audit_logs_by_age ON admin_audit_logs (at, owner, number);

ALTER TABLE route_fares ADD COLUMN seat_lock_minutes integer;
ALTER TABLE route_fares ADD COLUMN blackout_dates jsonb DEFAULT '[]';
COMMENT ON COLUMN route_fares.seat_lock_minutes IS
    'NULL: the revision was written before fares had them; then these and the blackout dates of its route hold.';
COMMENT ON COLUMN routes.seat_lock_minutes IS 'Of fares without their own; else as they were when the route was written.';
COMMENT ON COLUMN routes.blackout_dates IS 'As seat_lock_minutes.';
COMMENT ON TABLE route_fares IS 'Every revision of a route''s fares; the highest one is in force.';

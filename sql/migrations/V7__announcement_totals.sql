-- What one of the journal's followers keeps: how often each kind of thing was announced since the journal's beginning.

CREATE TABLE announcement_totals (
    -- There is one row.
    follower text COLLATE "C",
    version bigint,
    -- Of the journal: up to here everything is counted.
    position bigint,
    -- kind, count
    totals jsonb,
    PRIMARY KEY (follower)
);
COMMENT ON TABLE announcement_totals IS
    'Announcements by kind. Counts and position are written at once, so that each is counted once.';

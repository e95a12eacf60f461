-- An administrator's client may name its write, so that telling it again does nothing more.

ALTER TABLE config_revisions
    ADD COLUMN asked_action text COLLATE "C",
    ADD COLUMN asked_account text COLLATE "C",
    ADD COLUMN asked_key text COLLATE "C",
    ADD COLUMN asked_revision integer;
COMMENT ON COLUMN config_revisions.asked_action IS 'put, restore, withdraw: what asked_account called asked_key.';
COMMENT ON COLUMN config_revisions.asked_revision IS 'Which revision a restoration named; NULL: none.';

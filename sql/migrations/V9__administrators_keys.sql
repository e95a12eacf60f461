-- An administrator's client may name its write, so that telling it again does nothing more.

ALTER TABLE config_revisions ADD COLUMN asked_action text COLLATE "C";
ALTER TABLE config_revisions ADD COLUMN asked_key text COLLATE "C";
COMMENT ON COLUMN config_revisions.asked_action IS 'put, restore, withdraw: with asked_key, what the client called the write.';

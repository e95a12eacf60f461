-- What a start reads of logins: those that are open, and the newest version of any. Both took reading all that there ever were.

CREATE INDEX sessions_open ON sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_version ON sessions (version);
CREATE INDEX validator_sessions_open ON validator_sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX validator_sessions_by_version ON validator_sessions (version);

-- Who a traveller is to WeChat, whatever becomes of the sessions that said so.
CREATE TABLE travellers (
    traveller_id text COLLATE "C",
    -- 0: as the first login says.
    version bigint,
    openid text COLLATE "C",
    PRIMARY KEY (traveller_id)
);
INSERT INTO travellers (traveller_id, version, openid)
    SELECT DISTINCT traveller_id, 0, openid FROM sessions WHERE traveller_id IS NOT NULL;

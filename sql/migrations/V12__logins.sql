-- What a start reads of logins: those that are open, and the newest version of any. Both took reading all that there ever were.

CREATE INDEX sessions_open ON sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_version ON sessions (version);
CREATE INDEX validator_sessions_open ON validator_sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX validator_sessions_by_version ON validator_sessions (version);

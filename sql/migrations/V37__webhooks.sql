-- What partners are told of (R-OTA-09).

CREATE TABLE partner_webhooks (
    partner_id text COLLATE "C",
    version bigint,
    url text,
    -- enabled; disabled (by an administrator), gone (it answered 410), exhausted (it took none of an event's attempts)
    standing text COLLATE "C",
    -- Sealed with this version of the document keys.
    secret_key_version integer,
    secret_ciphertext bytea,
    -- Signs beside the newer one until then.
    previous_key_version integer,
    previous_ciphertext bytea,
    previous_until timestamptz,
    -- Of the newest event.
    last_sequence bigint,
    -- Up to here nothing is left to be told.
    told_sequence bigint,
    -- Attempts of the next event that have failed, and when it is called out.
    failures integer,
    due_at timestamptz,
    -- Entries in webhook_deliveries.
    attempts bigint,
    -- Rises with every write: calls that were begun before it decide nothing.
    revision integer,
    PRIMARY KEY (partner_id)
);
COMMENT ON TABLE partner_webhooks IS 'Where a partner is told what happens to its tickets, and up to which event it was.';

CREATE TABLE webhook_events (
    partner_id text COLLATE "C",
    -- Of the partner's events, from 1 without gaps.
    sequence bigint,
    version bigint,
    kind text COLLATE "C",
    -- A ticket code, a batch id or a reservation id.
    subject text COLLATE "C",
    order_id text COLLATE "C",
    -- Of a redemption: the number, within the order, of what was redeemed.
    ticket integer,
    count integer,
    at timestamptz,
    PRIMARY KEY (partner_id, sequence)
);
COMMENT ON TABLE webhook_events IS 'Everything that partners are told, written once.';

CREATE TABLE webhook_deliveries (
    partner_id text COLLATE "C",
    -- Of the partner's calls, from 1.
    number bigint,
    version bigint,
    sequence bigint,
    -- When the call ended.
    at timestamptz,
    -- That the receiver answered with; 2xx is heard.
    status integer,
    -- Without an answer: timeout, address, connection, broken or unsendable.
    error text COLLATE "C",
    took_ms integer,
    PRIMARY KEY (partner_id, number)
);
COMMENT ON TABLE webhook_deliveries IS 'Every call of a webhook, as it ended.';

CREATE TABLE webhooks_followed (
    -- There is one row.
    follower text COLLATE "C",
    version bigint,
    -- Of the journal: up to here every event of a partner has its number.
    position bigint,
    PRIMARY KEY (follower)
);
COMMENT ON TABLE webhooks_followed IS 'Events and position are written at once, so that each is numbered once.';

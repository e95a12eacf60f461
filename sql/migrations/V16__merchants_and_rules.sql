-- Who redeems, and under which rules something is sold.

CREATE TABLE merchants (
    merchant_code text COLLATE "C",
    version bigint,
    name_zh text,
    name_en text,
    contact text,
    PRIMARY KEY (merchant_code)
);

CREATE TABLE locations (
    -- Unique over all merchants.
    location_code text COLLATE "C",
    version bigint,
    merchant_code text COLLATE "C",
    name_zh text,
    name_en text,
    -- Where journeys board; NULL: none does.
    port_code text COLLATE "C",
    PRIMARY KEY (location_code)
);

CREATE TABLE devices (
    device_code text COLLATE "C",
    version bigint,
    merchant_code text COLLATE "C",
    -- Where a session on it is, unless it says otherwise.
    location_code text COLLATE "C",
    disabled boolean,
    PRIMARY KEY (device_code)
);

CREATE TABLE refund_rules (
    rule_id text COLLATE "C",
    revision integer,
    version bigint,
    effective_from timestamptz,
    name_zh text,
    name_en text,
    -- The first that holds says what comes back.
    windows jsonb,
    -- Instead of windows: all comes back for so long.
    days_after_sale integer,
    -- departure, visit, sale
    anchor text COLLATE "C",
    per_order boolean,
    after_departure boolean,
    -- none, by_share
    after_first_use text COLLATE "C",
    after_change boolean,
    pairs_together boolean,
    -- NULL: tickets are not changed.
    change jsonb,
    PRIMARY KEY (rule_id, revision)
);
COMMENT ON TABLE refund_rules IS 'Every revision of a rule; orders name the one that they were sold under.';

ALTER TABLE routes
    ADD COLUMN refund_rule_direct text COLLATE "C",
    ADD COLUMN refund_rule_ota text COLLATE "C";
COMMENT ON COLUMN routes.refund_rule_direct IS 'Under which its seats are sold by us; NULL: nothing comes back.';
COMMENT ON COLUMN routes.refund_rule_ota IS 'Under which partners sell them.';

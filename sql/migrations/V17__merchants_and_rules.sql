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

CREATE OR REPLACE VIEW order_items AS
SELECT
    id_text(order_id) COLLATE "C" AS order_id, (n - 1)::integer AS item, version,
    (i ->> 'departure_id') COLLATE "C" AS departure_id, (i ->> 'route_code') COLLATE "C" AS route_code,
    (i ->> 'operator_code') COLLATE "C" AS operator_code, (i ->> 'class_code') COLLATE "C" AS class_code,
    (i -> 'stretch' ->> 'board')::integer AS board_stop, (i -> 'stretch' ->> 'alight')::integer AS alight_stop,
    (i ->> 'board_port') COLLATE "C" AS board_port, (i ->> 'alight_port') COLLATE "C" AS alight_port,
    to_timestamp((i ->> 'departs_at')::bigint / 1000.0) AS departs_at,
    to_timestamp((i ->> 'arrives_at')::bigint / 1000.0) AS arrives_at,
    (i -> 'seat_numbers')::jsonb AS seat_numbers, (i ->> 'seats_chosen')::boolean AS seats_chosen,
    (i -> 'refund_rule' ->> 'rule') COLLATE "C" AS refund_rule_id, (i -> 'refund_rule' ->> 'revision')::integer AS refund_revision
FROM order_rows, json_array_elements(items) WITH ORDINALITY AS bought (i, n)
WHERE i ->> 'kind' = 'journey';
COMMENT ON COLUMN order_items.refund_rule_id IS 'With its revision: a row of refund_rules. NULL: nothing comes back.';

-- Packages: what is sold once and made of entitlements and journeys. A version's rows in the three tables are of one record.

CREATE TABLE package_templates (
    -- Follows from the name.
    template_id text COLLATE "C",
    -- Counts the versions from 1.
    template_version integer,
    version bigint,
    -- When it was written.
    since timestamptz,
    name_zh text,
    name_en text,
    -- As the client named the version; NULL: its content's hash is its name.
    version_token text,
    -- As the client named the write.
    client_token text,
    -- SHA-256
    content_hash bytea,
    -- draft, active, withdrawn
    status text COLLATE "C",
    description_zh text,
    description_en text,
    product_id integer,
    places jsonb,
    journeys jsonb,
    -- Units; NULL: without limit.
    stock_total integer,
    stock_per_date integer,
    blackout_dates jsonb,
    refund_rule_direct text COLLATE "C",
    refund_rule_ota text COLLATE "C",
    -- IANA name; NULL: where we sell.
    time_zone text,
    PRIMARY KEY (template_id, template_version)
);
COMMENT ON TABLE package_templates IS 'Every version of a template; the newest one is sold, if it is active.';

CREATE TABLE template_entitlements (
    template_id text COLLATE "C",
    template_version integer,
    -- Its place in the template, from 0.
    number integer,
    version bigint,
    entitlement_code text COLLATE "C",
    name_zh text,
    name_en text,
    quantity integer,
    -- NULL: every merchant's.
    merchant_id text COLLATE "C",
    -- Empty: at all of the merchant's.
    location_ids jsonb,
    -- gate, counter, any
    redemption_channel text COLLATE "C",
    requires_identity boolean,
    shared boolean,
    share_weight integer,
    validity jsonb,
    PRIMARY KEY (template_id, template_version, number)
);

CREATE TABLE template_pricing_tiers (
    template_id text COLLATE "C",
    template_version integer,
    -- Its place in the template, from 0.
    number integer,
    version bigint,
    -- adult, child, senior
    passenger_type text COLLATE "C",
    min_party integer,
    -- any, weekday, weekend_or_holiday
    day_type text COLLATE "C",
    price_minor bigint,
    currency text COLLATE "C",
    PRIMARY KEY (template_id, template_version, number)
);

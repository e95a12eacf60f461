-- What takes something off the price.

CREATE TABLE promotions (
    promotion_code text COLLATE "C",
    revision integer,
    version bigint,
    effective_from timestamptz,
    name_zh text,
    name_en text,
    -- It applies by itself; others when their code is given.
    automatic boolean,
    -- percent, amount
    kind text COLLATE "C",
    -- Percent, or minor units of the currency of sale.
    value integer,
    min_party integer,
    -- Empty lists name all.
    passenger_types jsonb,
    route_codes jsonb,
    template_ids jsonb,
    channels jsonb,
    -- A day, or an instant.
    valid_from text COLLATE "C",
    valid_until text COLLATE "C",
    travel_from date,
    travel_until date,
    -- Orders; NULL: no limit. What is used of it is in the stock `promotion/<code>`.
    limit_total integer,
    limit_per_traveller integer,
    PRIMARY KEY (promotion_code, revision)
);
COMMENT ON TABLE promotions IS 'Every revision of a promotion; orders name the one that they were made with.';

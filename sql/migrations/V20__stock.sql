-- Stocks: what there are so many units of (packages, uses of promotions), and the holds on them.

CREATE TABLE stocks (
    -- package/<template>, promotion/<code>
    stock_id text COLLATE "C",
    version bigint,
    -- NULL: as many as anybody wants.
    limit_total integer,
    -- Of each date.
    limit_per_date integer,
    -- Holds of each traveller.
    limit_per_holder integer,
    -- channel, quantity: set aside for partners.
    allotments jsonb,
    PRIMARY KEY (stock_id)
);

CREATE TABLE stock_holds (
    order_id uuid,
    -- Tells the order's holds apart.
    item integer,
    -- Counts how often the order has placed this hold.
    epoch integer,
    version bigint,
    placed_at timestamptz,
    expires_at timestamptz,
    ended_at timestamptz,
    -- As they were placed.
    quantity integer,
    -- Those that after-sales has not put back.
    units_left integer,
    -- NULL: of any date.
    service_date date,
    -- NULL: nobody's; orders of one traveller count together.
    traveller_id uuid,
    stock_id text COLLATE "C",
    channel text COLLATE "C",
    -- held, paying, confirmed, released, expired
    state text COLLATE "C",
    PRIMARY KEY (order_id, item, epoch)
);
COMMENT ON TABLE stock_holds IS 'Units of a stock that an order holds or has bought, a row for each time it placed the hold.';
-- A stock wakes from them, and by its newest version.
CREATE INDEX stock_holds_of_stock ON stock_holds (stock_id, version);

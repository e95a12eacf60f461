-- What the engine owns, one table per kind of row, as the projector writes it: behind the journal, never ahead of it.
--
-- On purpose these tables have a primary key, indexes and no other constraint, not even NOT NULL or foreign keys. The
-- rules are kept by the engine before a row gets here; a constraint could only stop the projection. Nothing is ever
-- deleted: what has ended is marked. Other roles may read; a row written by hand is overwritten or breaks its owner.
--
-- Everywhere, `version` is the version of the owner's key with which the row was written (of the departure, order,
-- catalogue, all identities, quarantine): an image that is not newer than the row changes nothing.
-- Ids and codes compare as bytes (COLLATE "C"), which is how ids sort by their time.

CREATE TABLE departures (
    departure_id text COLLATE "C",
    version bigint,
    route_code text COLLATE "C",
    operator_code text COLLATE "C",
    -- From the first stop; the calls at all stops decide.
    departs_at timestamptz,
    -- One per stop, in order; instants in milliseconds since the epoch.
    calls jsonb,
    booking_closes_minutes integer,
    classes jsonb,
    -- In the order of the seat map; holds name seats by their place in it, from 0.
    seats jsonb,
    -- Who sells here; the operator itself (`direct`) first.
    channels jsonb,
    -- One byte per seat, an index into `channels`; empty while all seats are the first channel's.
    seat_channels bytea,
    -- on_sale, cancelled
    status text COLLATE "C",
    PRIMARY KEY (departure_id)
);
CREATE INDEX departures_by_time ON departures (departs_at);
COMMENT ON TABLE departures IS
    'Dated departures that anybody has touched. One without a row is on sale as its schedule says, with all seats free.';

CREATE TABLE holds (
    -- `<order>.<item>`
    hold_id text COLLATE "C",
    departure_id text COLLATE "C",
    version bigint,
    -- Counts how often the order has placed this hold.
    epoch integer,
    class_code text COLLATE "C",
    -- Places in the seat map, also those freed since; `seat_numbers` are their labels.
    seats jsonb,
    seat_numbers jsonb,
    freed_seats jsonb,
    board_stop integer,
    alight_stop integer,
    channel text COLLATE "C",
    -- held, paying, confirmed, released, expired
    state text COLLATE "C",
    placed_at timestamptz,
    expires_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (hold_id)
);
CREATE INDEX holds_of_departure ON holds (departure_id);
COMMENT ON TABLE holds IS
    'Seats taken on a stretch of a departure, live or ended. A hold placed again under a higher epoch takes over its row.';

CREATE TABLE orders (
    -- Begins with the time it was made, then the traveller's shard: ids sort by time.
    order_id text COLLATE "C",
    version bigint,
    traveller_id text COLLATE "C",
    idempotency_key text COLLATE "C",
    -- SHA-256 of the request, to tell a repetition from another request with the same key.
    body_hash bytea,
    -- pending, paid, completed, cancelled
    status text COLLATE "C",
    locale text COLLATE "C",
    contact_name text,
    contact_phone text,
    contact_email text,
    currency text COLLATE "C",
    -- In minor units of the currency, as every amount.
    total_minor bigint,
    price_lines jsonb,
    created_at timestamptz,
    first_lock_expires_at timestamptz,
    lock_expires_at timestamptz,
    paid_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    cancel_reason text COLLATE "C",
    PRIMARY KEY (order_id)
);
CREATE INDEX orders_of_traveller ON orders (traveller_id, order_id DESC);
-- Small: what a start looks for. An order is pending for minutes.
CREATE INDEX orders_pending ON orders (order_id) WHERE status = 'pending';
COMMENT ON COLUMN orders.price_lines IS 'The price as it was explained at the time of the order; it is never computed again.';

CREATE TABLE order_items (
    order_id text COLLATE "C",
    item integer,
    version bigint,
    departure_id text COLLATE "C",
    route_code text COLLATE "C",
    operator_code text COLLATE "C",
    class_code text COLLATE "C",
    board_stop integer,
    alight_stop integer,
    board_port text COLLATE "C",
    alight_port text COLLATE "C",
    -- From the stop where the party boards; `arrives_at` is at the stop where it leaves.
    departs_at timestamptz,
    arrives_at timestamptz,
    -- In the order of the passengers.
    seat_numbers jsonb,
    seats_chosen boolean,
    PRIMARY KEY (order_id, item)
);

CREATE TABLE order_passengers (
    order_id text COLLATE "C",
    -- From 0.
    passenger integer,
    version bigint,
    name text,
    passenger_type text COLLATE "C",
    document_kind text COLLATE "C",
    document_key_version integer,
    -- Sealed with the key of this version; `document_mask` is what people may see.
    document_sealed bytea,
    document_mask text,
    PRIMARY KEY (order_id, passenger)
);
COMMENT ON COLUMN order_passengers.document_sealed IS
    'The document''s number, encrypted with a key that is not in this database; removal overwrites it.';

CREATE TABLE payments (
    -- `<order>P<attempt>`
    out_trade_no text COLLATE "C",
    order_id text COLLATE "C",
    version bigint,
    -- begun, created, refused, closed, paid, paid_late
    state text COLLATE "C",
    total_minor bigint,
    currency text COLLATE "C",
    -- The exact bytes of the create call: a repetition must send the same.
    request_body bytea,
    -- The last moment at which the provider lets the traveller pay.
    time_expire timestamptz,
    hold_expires_at timestamptz,
    begun_at timestamptz,
    prepay_id text COLLATE "C",
    nonce text COLLATE "C",
    signed_at_seconds bigint,
    refusal text COLLATE "C",
    transaction_id text COLLATE "C",
    PRIMARY KEY (out_trade_no)
);
CREATE INDEX payments_of_order ON payments (order_id);
COMMENT ON TABLE payments IS 'Attempts to be paid through WeChat Pay; at most one of an order is begun or created.';

CREATE TABLE tickets (
    -- `<order>-<number>`
    ticket_id text COLLATE "C",
    order_id text COLLATE "C",
    version bigint,
    traveller_id text COLLATE "C",
    -- pre_generated, usable, used, refunded, changing, changed, expired, cancelled
    status text COLLATE "C",
    -- The number in order_passengers.
    passenger integer,
    departure_id text COLLATE "C",
    board_stop integer,
    alight_stop integer,
    seat_number text COLLATE "C",
    board_port text COLLATE "C",
    departs_at timestamptz,
    merchant_code text COLLATE "C",
    entitlement_code text COLLATE "C",
    total_uses integer,
    remaining_uses integer,
    valid_from timestamptz,
    valid_until timestamptz,
    PRIMARY KEY (ticket_id)
);
CREATE INDEX tickets_of_order ON tickets (order_id, status);
CREATE INDEX tickets_of_traveller ON tickets (traveller_id, order_id DESC);
COMMENT ON COLUMN tickets.valid_until IS 'Past it a ticket is worthless, whether or not its status says so already.';

CREATE TABLE redemptions (
    ticket_id text COLLATE "C",
    -- Counts the redemptions of a ticket from 1.
    number integer,
    order_id text COLLATE "C",
    version bigint,
    session_id text COLLATE "C",
    request_id text COLLATE "C",
    operator_username text COLLATE "C",
    device_id text COLLATE "C",
    location_code text COLLATE "C",
    merchant_code text COLLATE "C",
    entitlement_code text COLLATE "C",
    quantity integer,
    redeemed_at timestamptz,
    PRIMARY KEY (ticket_id, number)
);
CREATE INDEX redemptions_of_order ON redemptions (order_id);

CREATE TABLE scan_attempts (
    session_id text COLLATE "C",
    request_id text COLLATE "C",
    -- Empty when the code named no ticket.
    ticket_id text COLLATE "C",
    attempted_at timestamptz,
    -- Of the order's key; without a ticket, of the identities'.
    version bigint,
    operator_username text COLLATE "C",
    device_id text COLLATE "C",
    location_code text COLLATE "C",
    entitlement_code text COLLATE "C",
    -- success, reject
    result text COLLATE "C",
    reason text COLLATE "C",
    PRIMARY KEY (session_id, request_id, ticket_id, attempted_at)
);
COMMENT ON TABLE scan_attempts IS
    'Every press of a scanner, accepted or refused, one row per ticket it touched (R-SCAN-05).';

CREATE TABLE ticket_status_audit (
    id bigint GENERATED ALWAYS AS IDENTITY,
    ticket_id text COLLATE "C",
    -- NULL when the ticket was issued.
    prev_status text COLLATE "C",
    new_status text COLLATE "C",
    event text COLLATE "C",
    -- What made the change: a payment, or a scan as `<session>/<request>`.
    event_id text COLLATE "C",
    -- For later kinds of events; nothing fills it yet.
    meta jsonb,
    created_at timestamptz,
    version bigint,
    PRIMARY KEY (ticket_id, new_status, event_id)
);
CREATE INDEX ticket_status_audit_by_time ON ticket_status_audit (ticket_id, created_at);
COMMENT ON TABLE ticket_status_audit IS 'Every change of a ticket''s status (R-LIFE-08). The same event twice is one row.';
COMMENT ON COLUMN ticket_status_audit.id IS
    'For people and tools that want a short number. It has gaps, and only (ticket_id, created_at) gives the order of changes.';

CREATE TABLE ledger_entries (
    order_id text COLLATE "C",
    -- Counts the order's entries from 1.
    number integer,
    version bigint,
    -- captured, refund_due
    kind text COLLATE "C",
    out_trade_no text COLLATE "C",
    amount_minor bigint,
    currency text COLLATE "C",
    booked_at timestamptz,
    PRIMARY KEY (order_id, number)
);
COMMENT ON TABLE ledger_entries IS 'Money moves, append-only: every balance is a sum over this table (R-PAY-09).';

CREATE TABLE accounts (
    username text COLLATE "C",
    version bigint,
    -- argon2, in PHC form.
    password_hash text COLLATE "C",
    roles jsonb,
    -- The only merchant an operator redeems for; NULL for every merchant.
    merchant_code text COLLATE "C",
    disabled boolean,
    PRIMARY KEY (username)
);

CREATE TABLE sessions (
    -- SHA-256 of the bearer token; the token itself is kept nowhere.
    token_hash bytea,
    version bigint,
    -- Either these two or `username`.
    traveller_id text COLLATE "C",
    openid text COLLATE "C",
    username text COLLATE "C",
    opened_at timestamptz,
    expires_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (token_hash)
);

CREATE TABLE validator_sessions (
    session_id text COLLATE "C",
    version bigint,
    username text COLLATE "C",
    device_id text COLLATE "C",
    location_code text COLLATE "C",
    departure_id text COLLATE "C",
    -- SHA-256 of the device's secret.
    secret_hash bytea,
    opened_at timestamptz,
    expires_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (session_id)
);

CREATE TABLE quarantine (
    -- The provider's id of the notice.
    notice_id text COLLATE "C",
    version bigint,
    out_trade_no text COLLATE "C",
    transaction_id text COLLATE "C",
    reason text COLLATE "C",
    -- What the provider said, decrypted: JSON as it came.
    notice text,
    received_at timestamptz,
    PRIMARY KEY (notice_id)
);
COMMENT ON TABLE quarantine IS
    'Payment notices signed by the provider that fit no order. They may be real money: a person has to look (R-PAY-06).';

CREATE TABLE operators (
    operator_code text COLLATE "C",
    version bigint,
    name_zh text,
    name_en text,
    PRIMARY KEY (operator_code)
);

CREATE TABLE ports (
    port_code text COLLATE "C",
    version bigint,
    name_zh text,
    name_en text,
    PRIMARY KEY (port_code)
);

CREATE TABLE places (
    place_code text COLLATE "C",
    version bigint,
    name_zh text,
    name_en text,
    aliases jsonb,
    ports jsonb,
    hot_weight integer,
    PRIMARY KEY (place_code)
);

CREATE TABLE vehicles (
    vehicle_code text COLLATE "C",
    version bigint,
    name text,
    classes jsonb,
    -- In the order of the seat map; `class` is an index into `classes`.
    seats jsonb,
    marks jsonb,
    PRIMARY KEY (vehicle_code)
);

CREATE TABLE holidays (
    day date,
    version bigint,
    name text,
    verified boolean,
    -- No holiday any more.
    removed boolean,
    PRIMARY KEY (day)
);

CREATE TABLE routes (
    route_code text COLLATE "C",
    version bigint,
    operator_code text COLLATE "C",
    -- coach, ferry
    mode text COLLATE "C",
    name_zh text,
    name_en text,
    -- An IANA name.
    time_zone text COLLATE "C",
    stops jsonb,
    vehicle_code text COLLATE "C",
    seat_lock_minutes integer,
    booking_closes_minutes integer,
    sales_window_days integer,
    blackout_dates jsonb,
    -- draft, on_sale
    status text COLLATE "C",
    marks jsonb,
    PRIMARY KEY (route_code)
);

CREATE TABLE schedules (
    schedule_id text COLLATE "C",
    version bigint,
    route_code text COLLATE "C",
    -- After local midnight.
    departs_minutes integer,
    -- Bit 0 is Monday.
    weekdays integer,
    first_date date,
    last_date date,
    exceptions jsonb,
    -- No longer on offer.
    withdrawn boolean,
    PRIMARY KEY (schedule_id)
);

CREATE TABLE route_fares (
    route_code text COLLATE "C",
    revision integer,
    version bigint,
    effective_from timestamptz,
    -- Prices in minor units.
    fares jsonb,
    party_tiers jsonb,
    PRIMARY KEY (route_code, revision)
);
COMMENT ON TABLE route_fares IS 'Every revision of a route''s fares; the highest one whose effective_from has passed is in force.';

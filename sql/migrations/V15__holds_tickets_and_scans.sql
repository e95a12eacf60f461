-- As orders: holds, tickets and their scans.

CREATE TABLE hold_rows (
    order_id uuid,
    -- Of the order.
    item integer,
    -- Counts how often the order has placed this hold.
    epoch integer,
    version bigint,
    placed_at timestamptz,
    expires_at timestamptz,
    ended_at timestamptz,
    board_stop integer,
    alight_stop integer,
    departure_id text COLLATE "C",
    class_code text COLLATE "C",
    channel text COLLATE "C",
    -- held, paying, confirmed, released, expired
    state text COLLATE "C",
    -- Places in the seat map, also those freed since; `seat_numbers` are their labels.
    seats json,
    seat_numbers json,
    freed_seats json,
    PRIMARY KEY (order_id, item, epoch)
-- Every hold is written again within minutes, and no index holds what changes: with room left on its page a row's new image
-- needs no new entries in any index.
) WITH (fillfactor = 50);

INSERT INTO hold_rows (
    order_id, item, epoch, version, placed_at, expires_at, ended_at, board_stop, alight_stop, departure_id, class_code, channel,
    state, seats, seat_numbers, freed_seats
)
SELECT
    id_of_text(left(hold_id, 26)), substr(hold_id, 28)::integer, epoch, version, placed_at, expires_at, ended_at, board_stop,
    alight_stop, departure_id, class_code, channel, state, seats::json, seat_numbers::json, freed_seats::json
FROM holds;

DROP TABLE holds;
-- A departure that wakes reads its holds.
CREATE INDEX hold_rows_of_departure ON hold_rows (departure_id);

CREATE VIEW holds AS
SELECT
    (id_text(order_id) || '.' || item) COLLATE "C" AS hold_id, departure_id, version, epoch, class_code, seats::jsonb AS seats,
    seat_numbers::jsonb AS seat_numbers, freed_seats::jsonb AS freed_seats, board_stop, alight_stop, channel, state, placed_at,
    expires_at, ended_at
FROM hold_rows;
COMMENT ON VIEW holds IS
    'Seats taken on a stretch of a departure, live or ended: a row for each time that a hold was placed. The row with the '
    'highest epoch says how the hold stands. Of holds placed again by an older release there is that row alone, or an '
    'earlier one that still says held.';

CREATE TABLE ticket_rows (
    order_id uuid,
    -- Within the order, from 1.
    number integer,
    passenger integer,
    version bigint,
    traveller_id uuid,
    departs_at timestamptz,
    valid_from timestamptz,
    -- Past it a ticket is worthless, whether or not its status says so already.
    valid_until timestamptz,
    -- NULL: when it became valid.
    issued_at timestamptz,
    -- Its share of the order's total. NULL: it was issued before tickets had one.
    price_minor bigint,
    total_uses integer,
    remaining_uses integer,
    board_stop integer,
    alight_stop integer,
    -- pre_generated, usable, used, refunded, changing, changed, expired, cancelled
    status text COLLATE "C",
    departure_id text COLLATE "C",
    seat_number text COLLATE "C",
    board_port text COLLATE "C",
    merchant_code text COLLATE "C",
    entitlement_code text COLLATE "C",
    PRIMARY KEY (order_id, number)
);

INSERT INTO ticket_rows (
    order_id, number, passenger, version, traveller_id, departs_at, valid_from, valid_until, issued_at, total_uses,
    remaining_uses, board_stop, alight_stop, status, departure_id, seat_number, board_port, merchant_code, entitlement_code
)
SELECT
    id_of_text(left(ticket_id, 26)), substr(ticket_id, 28)::integer, passenger, version, id_of_text(traveller_id), departs_at,
    valid_from, valid_until, issued_at, total_uses, remaining_uses, board_stop, alight_stop, status, departure_id, seat_number,
    board_port, merchant_code, entitlement_code
FROM tickets;

DROP TABLE tickets;
-- R-LIFE-08: an order's tickets by their status.
CREATE INDEX ticket_rows_of_order ON ticket_rows (order_id, status);

CREATE VIEW tickets AS
SELECT
    (id_text(order_id) || '-' || number) COLLATE "C" AS ticket_id, id_text(order_id) COLLATE "C" AS order_id, version,
    id_text(traveller_id) COLLATE "C" AS traveller_id, status, passenger, departure_id, board_stop, alight_stop, seat_number,
    board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses, valid_from, valid_until, issued_at,
    price_minor
FROM ticket_rows;
COMMENT ON COLUMN tickets.valid_until IS 'Past it a ticket is worthless, whether or not its status says so already.';

CREATE TABLE ticket_scans (
    order_id uuid,
    ticket integer,
    -- Of the order's key: a record has one scan of a ticket at most.
    version bigint,
    scanned_at timestamptz,
    session_id uuid,
    -- Counts the redemptions of a ticket from 1. NULL: the scan was refused.
    number integer,
    quantity integer,
    -- Of the one-time code that was shown: it redeems nothing more. NULL: a print code, or none (R-TICKET-04).
    code_token bigint,
    request_id text COLLATE "C",
    operator_username text COLLATE "C",
    device_id text COLLATE "C",
    location_code text COLLATE "C",
    -- What was asked for; NULL: whatever the ticket gives.
    entitlement_code text COLLATE "C",
    -- Why it was refused.
    reason text COLLATE "C",
    -- Of a redemption: whose ticket it was, and what it gave.
    merchant_code text COLLATE "C",
    redeemed_code text COLLATE "C",
    PRIMARY KEY (order_id, ticket, version)
);
COMMENT ON TABLE ticket_scans IS
    'Every press of a scanner, accepted or refused, one row per ticket it touched (R-SCAN-05).';

CREATE TABLE ticketless_attempts (
    session_id uuid,
    request_id text COLLATE "C",
    attempted_at timestamptz,
    -- Of the identities' key.
    version bigint,
    operator_username text COLLATE "C",
    device_id text COLLATE "C",
    location_code text COLLATE "C",
    entitlement_code text COLLATE "C",
    reason text COLLATE "C",
    PRIMARY KEY (session_id, request_id, attempted_at)
);
COMMENT ON TABLE ticketless_attempts IS 'Presses of a scanner whose code named no ticket (R-SCAN-05).';

INSERT INTO ticket_scans (
    order_id, ticket, version, scanned_at, session_id, number, quantity, code_token, request_id, operator_username, device_id,
    location_code, entitlement_code, reason, merchant_code, redeemed_code
)
SELECT
    id_of_text(left(ticket_id, 26)), substr(ticket_id, 28)::integer, a.version, a.attempted_at, id_of_text(session_id), r.number,
    r.quantity, r.code_token, request_id, a.operator_username, a.device_id, a.location_code, a.entitlement_code, a.reason,
    r.merchant_code, r.entitlement_code
FROM scan_attempts AS a
LEFT JOIN redemptions AS r USING (ticket_id, session_id, request_id, version)
WHERE ticket_id <> '';

INSERT INTO ticketless_attempts
SELECT
    id_of_text(session_id), request_id, attempted_at, version, operator_username, device_id, location_code, entitlement_code,
    reason
FROM scan_attempts
WHERE ticket_id = '';

DO $$ BEGIN
    IF (SELECT count(*) FROM redemptions) <> (SELECT count(*) FROM ticket_scans WHERE number IS NOT NULL) THEN
        RAISE EXCEPTION 'a redemption has no scan, or several';
    END IF;
END $$;
DROP TABLE redemptions, scan_attempts;

CREATE VIEW redemptions AS
SELECT
    (id_text(order_id) || '-' || ticket) COLLATE "C" AS ticket_id, number, id_text(order_id) COLLATE "C" AS order_id, version,
    id_text(session_id) COLLATE "C" AS session_id, request_id, operator_username, device_id, location_code, merchant_code,
    redeemed_code AS entitlement_code, quantity, scanned_at AS redeemed_at, code_token
FROM ticket_scans
WHERE number IS NOT NULL;

CREATE VIEW scan_attempts AS
SELECT
    id_text(session_id) COLLATE "C" AS session_id, request_id, (id_text(order_id) || '-' || ticket) COLLATE "C" AS ticket_id,
    scanned_at AS attempted_at, version, operator_username, device_id, location_code, entitlement_code,
    (CASE WHEN number IS NULL THEN 'reject' ELSE 'success' END) COLLATE "C" AS result, reason
FROM ticket_scans
UNION ALL
SELECT
    id_text(session_id) COLLATE "C", request_id, '', attempted_at, version, operator_username, device_id, location_code,
    entitlement_code, 'reject', reason
FROM ticketless_attempts;
COMMENT ON VIEW scan_attempts IS
    'Every press of a scanner, accepted or refused, one row per ticket it touched (R-SCAN-05). An empty ticket_id: the code '
    'named none.';

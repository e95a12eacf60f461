-- Units that partners have reserved without paying (R-OTA-03), and what was drawn of them. What is held is a hold of a stock, with
-- the reservation's id for its order's.

CREATE TABLE partner_reservation_rows (
    -- As an order's id, of version 9.
    reservation_id uuid,
    version bigint,
    partner_id text COLLATE "C",
    idempotency_key text COLLATE "C",
    -- SHA-256 of the request, to tell a repetition from another request with the same key.
    body_hash bytea,
    template_id text COLLATE "C",
    template_version integer,
    product_id integer,
    quantity integer,
    -- Units that nobody has drawn.
    remaining integer,
    -- Of its hold: what is left while it is active, and what was drawn and not given back.
    units_kept integer,
    -- What the stock knows of units_kept; NULL: it has not confirmed the hold, and the partner was not answered.
    units_told integer,
    -- active, expired, activated, cancelled
    status text COLLATE "C",
    created_at timestamptz,
    -- NULL: never.
    expires_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (reservation_id)
);
CREATE INDEX partner_reservation_rows_of_partner ON partner_reservation_rows (partner_id, reservation_id);

CREATE TABLE partner_draw_rows (
    -- Of the batch or order.
    drawn_by uuid,
    version bigint,
    reservation_id uuid,
    partner_id text COLLATE "C",
    -- batch, order
    drawn_for text COLLATE "C",
    quantity integer,
    -- Those that have not been given back.
    units_left integer,
    drawn_at timestamptz,
    PRIMARY KEY (drawn_by)
);
CREATE INDEX partner_draw_rows_of_partner ON partner_draw_rows (partner_id);

CREATE VIEW partner_reservations AS
SELECT
    id_text(reservation_id) COLLATE "C" AS reservation_id, partner_id, idempotency_key, template_id, template_version,
    product_id, quantity, remaining, units_kept, units_told, status, created_at, expires_at, ended_at
FROM partner_reservation_rows;
COMMENT ON VIEW partner_reservations IS
    'Units that partners have reserved. One that was cancelled and whose units_told is NULL was never confirmed.';

CREATE VIEW partner_draws AS
SELECT
    id_text(drawn_by) COLLATE "C" AS drawn_by, id_text(reservation_id) COLLATE "C" AS reservation_id, partner_id,
    drawn_for, quantity, units_left, drawn_at
FROM partner_draw_rows;
COMMENT ON VIEW partner_draws IS 'What batches and orders took of reservations.';

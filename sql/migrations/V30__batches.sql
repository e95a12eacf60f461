-- Batches of tickets that partners have generated in advance (R-OTA-04).

CREATE TABLE batch_rows (
    -- As an order's id, of version 8, with 13 low bits of 0: those number its tickets.
    batch_id uuid,
    version bigint,
    created_at timestamptz,
    -- From then on nothing of it is activated. NULL: it has no end.
    ends_at timestamptz,
    quantity integer,
    -- Units of the product's stock that it keeps, as the stock knows.
    units_kept integer,
    partner_id text COLLATE "C",
    -- What the partner calls it: unique among his, but for those that were given up.
    partner_batch_id text COLLATE "C",
    -- SHA-256 of the request, to tell a repetition from another request with the same id.
    body_hash bytea,
    -- taking: nobody sees it yet; active, expired; given_up: it never was.
    status text COLLATE "C",
    distribution_mode text COLLATE "C",
    -- Of a reseller: intended_reseller, batch_purpose, distribution_notes.
    reseller json,
    -- The product as it was: terms, tiers, holidays, blackout_dates.
    offer json,
    PRIMARY KEY (batch_id)
);
-- A partner's batches, by the time at which they were made.
CREATE INDEX batch_rows_of_partner ON batch_rows (partner_id, batch_id);

CREATE TABLE ota_ticket_rows (
    -- The order that it becomes: its batch's id and its number.
    order_id uuid,
    batch_id uuid,
    version bigint,
    -- Since when it is so.
    since timestamptz,
    partner_id text COLLATE "C",
    -- PRE_GENERATED, ACTIVE, USED, REFUNDED, CANCELLED, EXPIRED
    status text COLLATE "C",
    PRIMARY KEY (order_id)
);
-- A partner's tickets, by time, batch and number, which are all in the id: a page is read from the index alone.
CREATE INDEX ota_ticket_rows_of_partner ON ota_ticket_rows (partner_id, order_id) INCLUDE (status, batch_id);

CREATE VIEW batches AS
SELECT
    id_text(batch_id) COLLATE "C" AS batch_id, version, partner_id, partner_batch_id, status, quantity, units_kept,
    distribution_mode, reseller::jsonb AS reseller, created_at, ends_at,
    (offer -> 'terms' ->> 'template_id') COLLATE "C" AS template_id,
    (offer -> 'terms' ->> 'version')::integer AS template_version,
    (offer -> 'terms' ->> 'product_id')::integer AS product_id
FROM batch_rows;

CREATE VIEW ota_tickets AS
SELECT
    id_text(order_id) COLLATE "C" AS ticket_code, id_text(batch_id) COLLATE "C" AS batch_id,
    get_byte(uuid_send(order_id), 14) % 32 * 256 + get_byte(uuid_send(order_id), 15) AS number, version, partner_id, status,
    since
FROM ota_ticket_rows;

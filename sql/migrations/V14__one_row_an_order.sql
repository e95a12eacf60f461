-- The rows of orders, holds, tickets and scans under ids of 16 bytes, and what an order bought and for whom as documents of its
-- row: a new order is one row and its holds, a scan one row. The tables have new names; under those that they had, and with
-- ids as texts, everybody finds them as views. `WHERE order_id = id_of_text('…')` on a table uses its index; a comparison with
-- the text in a view reads all of it.

CREATE TABLE order_rows (
    -- Begins with the time it was made, then the traveller's shard: ids sort by time.
    order_id uuid,
    traveller_id uuid,
    version bigint,
    -- In minor units of the currency, as every amount.
    total_minor bigint,
    created_at timestamptz,
    first_lock_expires_at timestamptz,
    lock_expires_at timestamptz,
    paid_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    -- NULL: the first. Counts how often the order has sought its seats.
    seat_epoch integer,
    -- Not pending, and something is left to be done: money is on its way, or may still come.
    outstanding boolean,
    -- pending, paid, completed, cancelled
    status text COLLATE "C",
    currency text COLLATE "C",
    locale text COLLATE "C",
    cancel_reason text COLLATE "C",
    -- NULL: direct.
    channel text COLLATE "C",
    -- SHA-256 of the request, to tell a repetition from another request with the same key.
    body_hash bytea,
    idempotency_key text COLLATE "C",
    contact_name text,
    contact_phone text,
    contact_email text,
    -- What was bought: a journey has its departure, its seats in the order of the passengers, and instants in milliseconds
    -- since the epoch.
    items json,
    -- For whom. The number of a document is sealed, in hexadecimal.
    passengers json,
    -- The price as it was explained at the time of the order; it is never computed again.
    price_lines json,
    PRIMARY KEY (order_id)
);
COMMENT ON TABLE order_rows IS
    'Orders, as the engine writes them; orders, order_items and order_passengers show them to people. An image without one of '
    'the documents leaves it as it was.';

INSERT INTO order_rows (
    order_id, traveller_id, version, total_minor, created_at, first_lock_expires_at, lock_expires_at, paid_at, completed_at,
    cancelled_at, seat_epoch, outstanding, status, currency, locale, cancel_reason, body_hash, idempotency_key, contact_name,
    contact_phone, contact_email, items, passengers, price_lines
)
SELECT
    id_of_text(o.order_id), id_of_text(o.traveller_id), o.version, o.total_minor, o.created_at, o.first_lock_expires_at,
    o.lock_expires_at, o.paid_at, o.completed_at, o.cancelled_at, o.seat_epoch, o.outstanding, o.status, o.currency, o.locale,
    o.cancel_reason, o.body_hash, o.idempotency_key, o.contact_name, o.contact_phone, o.contact_email, i.items, p.passengers,
    o.price_lines::json
FROM orders AS o
LEFT JOIN (
    SELECT
        order_id,
        json_agg(json_build_object(
            'kind', 'journey', 'departure_id', departure_id, 'route_code', route_code, 'operator_code', operator_code,
            'class_code', class_code, 'stretch', json_build_object('board', board_stop, 'alight', alight_stop),
            'board_port', board_port, 'alight_port', alight_port,
            'departs_at', (extract(epoch FROM departs_at) * 1000)::bigint,
            'arrives_at', (extract(epoch FROM arrives_at) * 1000)::bigint,
            'seat_numbers', seat_numbers, 'seats_chosen', seats_chosen
        ) ORDER BY item) AS items
    FROM order_items
    GROUP BY order_id
) AS i USING (order_id)
LEFT JOIN (
    SELECT
        order_id,
        json_agg(json_build_object(
            'name', name, 'passenger_type', passenger_type,
            'document', CASE WHEN document_sealed IS NOT NULL THEN json_build_object(
                'kind', document_kind, 'key_version', document_key_version, 'sealed', encode(document_sealed, 'hex'),
                'mask', document_mask
            ) END
        ) ORDER BY passenger) AS passengers
    FROM order_passengers
    GROUP BY order_id
) AS p USING (order_id);

DROP TABLE orders, order_items, order_passengers;
-- The lists of a traveller: orders, and with them tickets and refunds.
CREATE INDEX order_rows_of_traveller ON order_rows (traveller_id, order_id DESC);
-- Small: what a start looks for. An order is pending for minutes.
CREATE INDEX order_rows_pending ON order_rows (created_at) WHERE status = 'pending';
CREATE INDEX order_rows_outstanding ON order_rows (order_id) WHERE outstanding;

CREATE VIEW orders AS
SELECT
    id_text(order_id) COLLATE "C" AS order_id, version, id_text(traveller_id) COLLATE "C" AS traveller_id, idempotency_key,
    body_hash, status, locale, contact_name, contact_phone, contact_email, currency, total_minor,
    price_lines::jsonb AS price_lines, created_at, first_lock_expires_at, lock_expires_at, paid_at, completed_at, cancelled_at,
    cancel_reason, seat_epoch, outstanding, coalesce(channel, 'direct') AS channel
FROM order_rows;
COMMENT ON COLUMN orders.price_lines IS 'The price as it was explained at the time of the order; it is never computed again.';

-- The version is the order's.
CREATE VIEW order_items AS
SELECT
    id_text(order_id) COLLATE "C" AS order_id, (n - 1)::integer AS item, version,
    (i ->> 'departure_id') COLLATE "C" AS departure_id, (i ->> 'route_code') COLLATE "C" AS route_code,
    (i ->> 'operator_code') COLLATE "C" AS operator_code, (i ->> 'class_code') COLLATE "C" AS class_code,
    (i -> 'stretch' ->> 'board')::integer AS board_stop, (i -> 'stretch' ->> 'alight')::integer AS alight_stop,
    (i ->> 'board_port') COLLATE "C" AS board_port, (i ->> 'alight_port') COLLATE "C" AS alight_port,
    to_timestamp((i ->> 'departs_at')::bigint / 1000.0) AS departs_at,
    to_timestamp((i ->> 'arrives_at')::bigint / 1000.0) AS arrives_at,
    (i -> 'seat_numbers')::jsonb AS seat_numbers, (i ->> 'seats_chosen')::boolean AS seats_chosen
FROM order_rows, json_array_elements(items) WITH ORDINALITY AS bought (i, n)
WHERE i ->> 'kind' = 'journey';

-- The version is the order's.
CREATE VIEW order_passengers AS
SELECT
    id_text(order_id) COLLATE "C" AS order_id, (n - 1)::integer AS passenger, version, p ->> 'name' AS name,
    (p ->> 'passenger_type') COLLATE "C" AS passenger_type, (p -> 'document' ->> 'kind') COLLATE "C" AS document_kind,
    (p -> 'document' ->> 'key_version')::integer AS document_key_version,
    decode(p -> 'document' ->> 'sealed', 'hex') AS document_sealed,
    (p -> 'document' ->> 'mask') AS document_mask
FROM order_rows, json_array_elements(passengers) WITH ORDINALITY AS travelling (p, n);
COMMENT ON COLUMN order_passengers.document_sealed IS
    'The document''s number, encrypted with a key that is not in this database; removal overwrites it.';

-- Orders may contain packages: their tickets have entitlements of a package instead of a journey, and some are the whole
-- party's. Without a departure what belongs to one says nothing: stops are 0, the rest is NULL.
ALTER TABLE ticket_rows ADD COLUMN item integer;
ALTER TABLE ticket_rows ADD COLUMN shared boolean;
COMMENT ON COLUMN ticket_rows.item IS
    'Which item of the order it is of, from 0. NULL: tickets are numbered item by item, one for each passenger.';

CREATE OR REPLACE VIEW tickets AS
SELECT
    (id_text(order_id) || '-' || number) COLLATE "C" AS ticket_id, id_text(order_id) COLLATE "C" AS order_id, version,
    id_text(traveller_id) COLLATE "C" AS traveller_id, status,
    CASE WHEN shared THEN NULL ELSE passenger END AS passenger, departure_id, board_stop, alight_stop, seat_number,
    board_port, departs_at, merchant_code, entitlement_code, total_uses, remaining_uses, valid_from, valid_until, issued_at,
    price_minor, item, coalesce(shared, false) AS shared
FROM ticket_rows;

-- The version is the order's.
CREATE VIEW order_packages AS
SELECT
    id_text(order_id) COLLATE "C" AS order_id, (n - 1)::integer AS item, version,
    (i -> 'package' ->> 'template_id') COLLATE "C" AS template_id, (i -> 'package' ->> 'version')::integer AS template_version,
    (i -> 'package' ->> 'product_id')::integer AS product_id, (i -> 'package' ->> 'service_date')::date AS service_date,
    (i -> 'package' ->> 'quantity')::integer AS quantity, (i -> 'package' -> 'entitlements')::jsonb AS entitlements
FROM order_rows, json_array_elements(items) WITH ORDINALITY AS bought (i, n)
WHERE i ->> 'kind' = 'package';

-- R-SCAN-07: redemptions of a day. They are written about in the order of their time.
CREATE INDEX ticket_scans_by_time ON ticket_scans USING brin (scanned_at) WITH (pages_per_range = 16);

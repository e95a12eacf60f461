-- $1 now, $2 instant before which departures and entitlements count, $3 most bytes of the orders that are there because of
-- their tickets, $4 bytes of an order, $5 bytes of a ticket. Whoever departs first comes first, then whose entitlement ends
-- first. Tickets that have ended are of no use, though nobody may have marked them yet.
SELECT order_id FROM order_rows WHERE status = 'pending'
UNION
SELECT order_id FROM order_rows WHERE outstanding
UNION
SELECT order_id
FROM (
    SELECT
        order_id,
        sum($4::bigint + $5::bigint * count(*)) OVER (ORDER BY min(coalesce(departs_at, valid_until)), order_id) AS bytes
    FROM ticket_rows
    WHERE status = 'usable' AND coalesce(departs_at, valid_from) < $2 AND valid_until > $1
    GROUP BY order_id
) AS soon
WHERE bytes <= $3::bigint
ORDER BY order_id

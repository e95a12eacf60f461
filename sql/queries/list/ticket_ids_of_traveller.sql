-- $1 traveller, $2 status or NULL for any, $3 order and $4 ticket of the cursor, $5 most rows. Newest order first, tickets
-- by their number: within one order a longer id is a higher number.
SELECT ticket_id, order_id
FROM tickets
WHERE traveller_id = $1
    AND ($2::text IS NULL OR status = $2)
    AND order_id <= $3
    AND (order_id < $3 OR (length(ticket_id), ticket_id) > (length($4), $4))
ORDER BY order_id DESC, length(ticket_id), ticket_id
LIMIT $5

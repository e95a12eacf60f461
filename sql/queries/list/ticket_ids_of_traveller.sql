-- $1 traveller, $2 status or NULL for any, $3 order and $4 number of the cursor, $5 most rows. Newest order first, tickets
-- by their number. Tickets are found through the orders of the traveller.
SELECT t.order_id, t.number
FROM order_rows AS o
JOIN ticket_rows AS t USING (order_id)
WHERE o.traveller_id = id_of_text($1)
    AND ($2::text IS NULL OR t.status = $2)
    AND o.order_id <= id_of_text($3)
    AND (o.order_id < id_of_text($3) OR t.number > $4::bigint)
ORDER BY o.order_id DESC, t.number
LIMIT $5

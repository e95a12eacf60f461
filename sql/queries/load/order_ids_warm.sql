-- $1 instant before which tickets are valid, $2 most orders because of their tickets: those whose tickets end first.
-- Tickets that have ended are of no use, though nobody may have marked them yet.
SELECT order_id FROM orders WHERE status = 'pending'
UNION
SELECT order_id FROM orders WHERE outstanding
UNION
(
    SELECT order_id
    FROM tickets
    WHERE status = 'usable' AND valid_from < $1 AND valid_until > LEAST($1, now() - interval '5 minutes')
    GROUP BY order_id
    ORDER BY min(valid_until), order_id
    LIMIT $2
)
ORDER BY order_id

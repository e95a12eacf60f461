-- $1 traveller, $2 status or NULL for any, $3 order of the cursor, $4 most rows. Ids begin with their time: newest first.
SELECT order_id
FROM order_rows
WHERE traveller_id = id_of_text($1) AND order_id < id_of_text($3) AND ($2::text IS NULL OR status = $2)
ORDER BY order_id DESC
LIMIT $4

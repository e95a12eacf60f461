-- $1 the lowest id that an order made since then can have. What a partner has bought is no desk's.
SELECT order_id, traveller_id, idempotency_key, body_hash, status
FROM order_rows
WHERE (order_id >= id_of_text($1) OR status = 'pending') AND traveller_id IS NOT NULL

-- $1 the lowest id that an order made since then can have.
SELECT order_id, traveller_id, idempotency_key, body_hash, status
FROM orders
WHERE order_id >= $1 OR status = 'pending'

-- $1 an instant. Unpaid orders that hold seats for longer than anybody has who ordered before it.
SELECT count(*) AS orders
FROM order_rows
WHERE status = 'pending' AND lock_expires_at > $1

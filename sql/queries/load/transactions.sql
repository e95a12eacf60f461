-- $1 the lowest number that a payment of an order made since then can have. $2 most rows, the newest orders' first.
SELECT out_trade_no, transaction_id
FROM payments
WHERE out_trade_no >= $1 AND transaction_id IS NOT NULL
ORDER BY out_trade_no DESC
LIMIT $2

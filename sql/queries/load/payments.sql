-- $1 ids of orders.
SELECT
    out_trade_no, order_id, version, state, total_minor, currency, request_body, time_expire, hold_expires_at,
    begun_at, prepay_id, nonce, signed_at_seconds, refusal, transaction_id, paid_at, ended_at
FROM payments
WHERE order_id = ANY ($1)

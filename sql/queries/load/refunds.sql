-- $1 ids of orders.
SELECT
    out_refund_no, order_id, version, out_trade_no, state, amount_minor, currency, reason, due_at, begun_at,
    request_body, refund_id, refusal, succeeded_at, replaces
FROM refunds
WHERE order_id = ANY ($1)

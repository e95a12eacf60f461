INSERT INTO refunds AS held (
    out_refund_no, order_id, version, out_trade_no, state, amount_minor, currency, reason, due_at, begun_at,
    request_body, refund_id, refusal, succeeded_at, replaces
)
SELECT
    out_refund_no, order_id, version, out_trade_no, state, amount_minor, currency, reason, due_at, begun_at,
    request_body, refund_id, refusal, succeeded_at, replaces
FROM unnest($1::refunds[])
ON CONFLICT (out_refund_no) DO UPDATE SET
    order_id = excluded.order_id, version = excluded.version, out_trade_no = excluded.out_trade_no,
    state = excluded.state, amount_minor = excluded.amount_minor, currency = excluded.currency,
    reason = excluded.reason, due_at = excluded.due_at, begun_at = excluded.begun_at,
    request_body = excluded.request_body, refund_id = excluded.refund_id, refusal = excluded.refusal,
    succeeded_at = excluded.succeeded_at, replaces = excluded.replaces
WHERE held.version < excluded.version

-- $1 states or NULL for all, $2 instant and $3 refund of the cursor or NULL, $4 most rows. The newest first.
SELECT
    out_refund_no, order_id, version, out_trade_no, state, amount_minor, currency, reason, due_at, begun_at,
    request_body, refund_id, refusal, succeeded_at, replaces
FROM refunds
WHERE ($1::text[] IS NULL OR state = ANY ($1))
    AND ($2::timestamptz IS NULL OR (due_at, out_refund_no) < ($2, $3))
ORDER BY due_at DESC, out_refund_no DESC
LIMIT $4

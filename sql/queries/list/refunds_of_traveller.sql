-- $1 traveller, $2 instant and $3 refund of the cursor or NULL, $4 most rows. The newest first; not those that were closed
-- and that another one has replaced.
SELECT
    refunds.out_refund_no, refunds.order_id, refunds.version, refunds.out_trade_no, refunds.state,
    refunds.amount_minor, refunds.currency, refunds.reason, refunds.due_at, refunds.begun_at,
    refunds.request_body, refunds.refund_id, refunds.refusal, refunds.succeeded_at, refunds.replaces
FROM order_rows AS o
JOIN refunds ON refunds.order_id = id_text(o.order_id)
WHERE o.traveller_id = id_of_text($1)
    AND ($2::timestamptz IS NULL OR (refunds.due_at, refunds.out_refund_no) < ($2, $3))
    AND NOT (
        refunds.state = 'closed'
        AND EXISTS (
            SELECT FROM refunds AS later
            JOIN payments USING (out_trade_no)
            WHERE later.order_id = refunds.order_id
                AND later.out_trade_no = refunds.out_trade_no
                AND (
                    later.replaces = refunds.out_refund_no
                    -- From before refunds said so: each gave a whole payment back.
                    OR later.replaces IS NULL
                    AND later.amount_minor = payments.total_minor
                    AND refunds.amount_minor = payments.total_minor
                    AND (length(later.out_refund_no), later.out_refund_no)
                        > (length(refunds.out_refund_no), refunds.out_refund_no)
                )
        )
    )
ORDER BY refunds.due_at DESC, refunds.out_refund_no DESC
LIMIT $4

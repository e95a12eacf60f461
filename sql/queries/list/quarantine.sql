-- $1 whether they are resolved or NULL for all, $2 instant and $3 notice of the cursor or NULL, $4 most rows. The newest first.
SELECT
    notice_id, version, out_trade_no, transaction_id, reason, notice, received_at, resolved_at, resolved_by,
    note
FROM quarantine
WHERE ($1::boolean IS NULL OR (resolved_at IS NOT NULL) = $1)
    AND ($2::timestamptz IS NULL OR (received_at, notice_id) < ($2, $3))
ORDER BY received_at DESC, notice_id DESC
LIMIT $4

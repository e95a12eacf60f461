-- $1 most rows: open ones first, of these and of the others the newest.
SELECT
    notice_id, version, out_trade_no, transaction_id, reason, notice, received_at, resolved_at, resolved_by,
    note
FROM quarantine
ORDER BY resolved_at IS NOT NULL, received_at DESC, notice_id DESC
LIMIT $1

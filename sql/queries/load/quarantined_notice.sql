-- $1 the notice.
SELECT
    notice_id, version, out_trade_no, transaction_id, reason, notice, received_at, resolved_at, resolved_by,
    note
FROM quarantine
WHERE notice_id = $1

INSERT INTO quarantine AS held (
    notice_id, version, out_trade_no, transaction_id, reason, notice, received_at, resolved_at, resolved_by,
    note
)
SELECT
    notice_id, version, out_trade_no, transaction_id, reason, notice, received_at, resolved_at, resolved_by,
    note
FROM unnest($1::quarantine[])
ON CONFLICT (notice_id) DO UPDATE SET
    version = excluded.version, out_trade_no = excluded.out_trade_no,
    transaction_id = excluded.transaction_id, reason = excluded.reason, notice = excluded.notice,
    received_at = excluded.received_at, resolved_at = excluded.resolved_at,
    resolved_by = excluded.resolved_by, note = excluded.note
WHERE held.version < excluded.version

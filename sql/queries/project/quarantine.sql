INSERT INTO quarantine AS held (
    notice_id, version, out_trade_no, transaction_id, reason, notice, received_at, resolved_at, resolved_by, note
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
    $9::text[], $10::text[]
)
ON CONFLICT (notice_id) DO UPDATE SET
    version = excluded.version, out_trade_no = excluded.out_trade_no, transaction_id = excluded.transaction_id,
    reason = excluded.reason, notice = excluded.notice, received_at = excluded.received_at,
    resolved_at = excluded.resolved_at, resolved_by = excluded.resolved_by, note = excluded.note
WHERE held.version < excluded.version

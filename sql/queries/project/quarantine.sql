INSERT INTO quarantine AS held (
    notice_id, version, out_trade_no, transaction_id, reason, notice, received_at
)
SELECT * FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[]
)
ON CONFLICT (notice_id) DO UPDATE SET
    version = excluded.version, out_trade_no = excluded.out_trade_no, transaction_id = excluded.transaction_id,
    reason = excluded.reason, notice = excluded.notice, received_at = excluded.received_at
WHERE held.version < excluded.version

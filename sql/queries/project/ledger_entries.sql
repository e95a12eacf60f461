INSERT INTO ledger_entries AS held (
    order_id, number, version, kind, out_trade_no, amount_minor, currency, booked_at, out_refund_no
)
SELECT * FROM unnest(
    $1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[],
    $8::timestamptz[], $9::text[]
)
ON CONFLICT (order_id, number) DO UPDATE SET
    version = excluded.version, kind = excluded.kind, out_trade_no = excluded.out_trade_no,
    amount_minor = excluded.amount_minor, currency = excluded.currency, booked_at = excluded.booked_at,
    out_refund_no = excluded.out_refund_no
WHERE held.version < excluded.version

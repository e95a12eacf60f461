INSERT INTO ledger_entries AS held (
    order_id, number, version, kind, out_trade_no, amount_minor, currency, booked_at, out_refund_no
)
SELECT
    order_id, number, version, kind, out_trade_no, amount_minor, currency, booked_at, out_refund_no
FROM unnest($1::ledger_entries[])
ON CONFLICT (order_id, number) DO UPDATE SET
    version = excluded.version, kind = excluded.kind, out_trade_no = excluded.out_trade_no,
    amount_minor = excluded.amount_minor, currency = excluded.currency, booked_at = excluded.booked_at,
    out_refund_no = excluded.out_refund_no
WHERE held.version < excluded.version

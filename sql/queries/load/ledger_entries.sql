-- $1 ids of orders.
SELECT
    order_id, number, version, kind, out_trade_no, amount_minor, currency, booked_at, out_refund_no
FROM ledger_entries
WHERE order_id = ANY ($1)

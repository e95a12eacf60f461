-- $1 ids of orders.
SELECT
    order_id, number, version, kind, out_trade_no, amount_minor, currency, booked_at
FROM ledger_entries
WHERE order_id = ANY ($1)

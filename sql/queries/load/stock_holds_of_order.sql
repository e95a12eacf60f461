-- $1 orders.
SELECT
    order_id, item, epoch, version, stock_id, quantity, units_left, service_date, channel, traveller_id,
    state, placed_at, expires_at, ended_at
FROM stock_holds
WHERE order_id = ANY($1)

-- $1 stock, $2 instant: confirmed holds that expire up to then are in the sums. An ended hold says nothing any more, but that
-- earlier epochs of it are over.
SELECT
    order_id, item, epoch, version, stock_id, quantity, units_left, service_date, channel, traveller_id,
    state, placed_at, expires_at, ended_at
FROM stock_holds
WHERE stock_id = $1 AND (state IN ('held', 'paying') OR expires_at > $2 OR epoch > 1 AND state <> 'confirmed')

INSERT INTO stock_holds AS held (
    order_id, item, epoch, version, stock_id, quantity, units_left, service_date, channel, traveller_id,
    state, placed_at, expires_at, ended_at
)
SELECT
    order_id, item, epoch, version, stock_id, quantity, units_left, service_date, channel, traveller_id,
    state, placed_at, expires_at, ended_at
FROM unnest($1::stock_holds[])
ON CONFLICT (order_id, item, epoch) DO UPDATE SET
    version = excluded.version, stock_id = excluded.stock_id, quantity = excluded.quantity,
    units_left = excluded.units_left, service_date = excluded.service_date, channel = excluded.channel,
    traveller_id = excluded.traveller_id, state = excluded.state, placed_at = excluded.placed_at,
    expires_at = excluded.expires_at, ended_at = excluded.ended_at
WHERE held.version < excluded.version

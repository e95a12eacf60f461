-- $1 stock, $2 instant. What is left of the holds that were confirmed and expire up to then.
SELECT channel, service_date, sum(units_left)::bigint AS units
FROM stock_holds
WHERE stock_id = $1 AND state = 'confirmed' AND expires_at <= $2
GROUP BY channel, service_date

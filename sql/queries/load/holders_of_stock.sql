-- $1 stock, $2 instant. Of the same holds, how many each traveller has.
SELECT traveller_id, count(*)::integer AS holds
FROM stock_holds
WHERE stock_id = $1 AND state = 'confirmed' AND expires_at <= $2 AND units_left > 0 AND traveller_id IS NOT NULL
GROUP BY traveller_id

-- $1 stock. The version is the newest of the stock's key, also that of holds that are not loaded.
SELECT
    s.stock_id,
    GREATEST(s.version, (SELECT max(h.version) FROM stock_holds AS h WHERE h.stock_id = s.stock_id)) AS version,
    s.limit_total, s.limit_per_date, s.limit_per_holder, s.allotments
FROM stocks AS s
WHERE s.stock_id = $1

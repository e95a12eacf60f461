-- Every stock there is.
SELECT stock_id
FROM stocks

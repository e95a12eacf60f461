INSERT INTO stocks AS held (
    stock_id, version, limit_total, limit_per_date, limit_per_holder, allotments
)
SELECT
    stock_id, version, limit_total, limit_per_date, limit_per_holder, allotments
FROM unnest($1::stocks[])
ON CONFLICT (stock_id) DO UPDATE SET
    version = excluded.version, limit_total = excluded.limit_total, limit_per_date = excluded.limit_per_date,
    limit_per_holder = excluded.limit_per_holder, allotments = excluded.allotments
WHERE held.version < excluded.version

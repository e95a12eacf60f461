-- When a ticket was made. NULL: when it became valid (valid_from), as every ticket was before there was this column.
ALTER TABLE tickets ADD COLUMN issued_at timestamptz;

-- The refund that was closed, and whose money this one gives back. NULL in rows from before there was this column, too:
-- each gave a whole payment back, so it took the place of the one before it of the same payment.
ALTER TABLE refunds ADD COLUMN replaces text COLLATE "C";
COMMENT ON TABLE refunds IS
    'Money on its way back through WeChat Pay. One that is closed has failed; the one that replaces it took its place.';

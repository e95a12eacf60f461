-- When a ticket was made. NULL: when it became valid (valid_from), as every ticket was before there was this column.
ALTER TABLE tickets ADD COLUMN issued_at timestamptz;

-- How far the projected tables are, in one row. The row appears when the first process claims an epoch.
CREATE TABLE journal_position (
    -- Keeps the table at one row.
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The journal whose records the projected tables hold; those of another one must never be mixed in.
    journal_id uuid NOT NULL,
    -- Every record up to and including this position is projected; 0 when there is none.
    position bigint NOT NULL,
    -- The number of the process that may project; a newer process has a higher one and shuts the older one out.
    epoch bigint NOT NULL
);

-- $1 journal, $2 epoch, $3 the position before, $4 the position after. Changes no row when any of the first three moved.
UPDATE journal_position
SET position = $4
WHERE journal_id = $1 AND epoch = $2 AND position = $3

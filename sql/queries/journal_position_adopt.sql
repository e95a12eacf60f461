-- $1 the journal found, $2 its position, $3 the journal that takes its place, $4 the epoch to take. Changes no row when
-- somebody has changed any of them, or when the epoch is not above the one in place.
UPDATE journal_position
SET journal_id = $3, epoch = $4
WHERE journal_id = $1 AND position = $2 AND epoch < $4

-- $1 journal, $2 the position at which it was found, $3 the epoch to take. Changes no row when the tables belong to another
-- journal, when somebody has moved the position, or when the epoch is not above the one in place.
INSERT INTO journal_position AS held (journal_id, position, epoch)
VALUES ($1, $2, $3)
ON CONFLICT (only_row) DO UPDATE
    SET epoch = EXCLUDED.epoch
    WHERE held.journal_id = EXCLUDED.journal_id AND held.position = EXCLUDED.position AND held.epoch < EXCLUDED.epoch

-- $1 journal, $2 the position at which it was found, $3 least epoch. Answers the epoch taken; no row when the tables belong
-- to another journal, or when somebody has moved the position.
INSERT INTO journal_position AS held (journal_id, position, epoch)
VALUES ($1, $2, $3)
ON CONFLICT (only_row) DO UPDATE
    SET epoch = GREATEST(held.epoch + 1, EXCLUDED.epoch)
    WHERE held.journal_id = EXCLUDED.journal_id AND held.position = EXCLUDED.position
RETURNING epoch

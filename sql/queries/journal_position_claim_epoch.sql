-- $1 journal, $2 least epoch. Answers the epoch taken; no row when the tables belong to another journal.
INSERT INTO journal_position AS held (journal_id, position, epoch)
VALUES ($1, 0, $2)
ON CONFLICT (only_row) DO UPDATE
    SET epoch = GREATEST(held.epoch + 1, EXCLUDED.epoch)
    WHERE held.journal_id = EXCLUDED.journal_id
RETURNING epoch

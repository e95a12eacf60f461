SELECT journal_id, position, epoch FROM journal_position

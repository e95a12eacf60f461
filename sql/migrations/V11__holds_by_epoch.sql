-- A hold that is placed again has a row of its own for each epoch: who had which seats before is not overwritten any more.

ALTER TABLE holds
    DROP CONSTRAINT holds_pkey,
    ADD CONSTRAINT holds_pkey PRIMARY KEY (hold_id, epoch);
COMMENT ON TABLE holds IS
    'Seats taken on a stretch of a departure, live or ended: a row for each time that a hold was placed. The row with the '
    'highest epoch says how the hold stands. Of holds placed again by an older release there is that row alone, or an '
    'earlier one that still says held.';

-- What a new or changed row costs the projection; no query changes.

-- Pending orders are found by their status. What the index is sorted by is of no use to anybody, so it is what costs least:
-- eight bytes that grow with time instead of 26 characters, and never change.
DROP INDEX orders_pending;
CREATE INDEX orders_pending ON orders (created_at) WHERE status = 'pending';

-- Every hold and payment is written again within minutes, and no index holds what changes: with room left on its page a
-- row's new image needs no new entries in any index. Only pages written from now on have it.
ALTER TABLE holds SET (fillfactor = 50);
ALTER TABLE payments SET (fillfactor = 50);

-- A seat map as the objects that `seats` holds took Postgres two milliseconds a thousand seats to take apart and compress,
-- with which a day's first orders waited. Rows written from now on have it here, a list of label, class, row and column for
-- each seat, kept as it was sent, and leave `seats` alone.
ALTER TABLE departures ADD COLUMN seat_map json;
COMMENT ON COLUMN departures.seats IS 'The seat map of rows written before there was seat_map, which takes its place.';
COMMENT ON COLUMN departures.seat_map IS
    'For each seat [label, class, row, column], class as an index into classes; holds name seats by their place, from 0.';

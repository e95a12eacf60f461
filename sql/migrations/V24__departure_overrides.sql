-- Single departures administered: other seats, other times, a sale that is stopped, a departure that does not run.

CREATE TABLE departure_overrides (
    departure_id text COLLATE "C",
    version bigint,
    stopped boolean,
    cancelled boolean,
    -- One per stop, in order; instants in milliseconds since the epoch. Empty: the times of the timetable.
    calls jsonb,
    -- NULL: the vehicle of its route.
    vehicle_code text COLLATE "C",
    -- The revision of the vehicle whose seats it sells.
    vehicle_revision integer,
    -- Of these classes only so many seats.
    capacities jsonb,
    -- What is set aside for partners.
    allotments jsonb,
    PRIMARY KEY (departure_id)
);
COMMENT ON TABLE departure_overrides IS
    'What single departures have other than their timetable. Which seats they are, the departure itself says in departures.';

-- Labels that holds name and that are no longer in the seat map: of seats that were freed, in an earlier vehicle. Holds name
-- them by their place behind the map.
ALTER TABLE departures ADD COLUMN retired_seats jsonb DEFAULT '[]';
COMMENT ON COLUMN departures.status IS 'on_sale, stopped, cancelled';
COMMENT ON COLUMN departures.retired_seats IS 'Labels behind the seat map: holds name them by their place, from its end.';

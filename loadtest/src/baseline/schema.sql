-- What one would build: a row per departure with a counter, or a row per seat; orders, passengers, tickets, redemptions.
-- An order is made once per Idempotency-Key, as ours is, and rows that belong together are held together by foreign keys,
-- as anybody would have it. There are no further indexes: nothing is looked for.
CREATE TABLE departures (id integer PRIMARY KEY, available integer NOT NULL CHECK (available >= 0));
CREATE TABLE seats (
    departure_id integer NOT NULL, seat integer NOT NULL, order_id bigint, PRIMARY KEY (departure_id, seat));
CREATE INDEX seats_free ON seats (departure_id, seat) WHERE order_id IS NULL;
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, departure_id integer NOT NULL REFERENCES departures,
    traveller_id integer NOT NULL, idempotency_key text NOT NULL, status text NOT NULL, amount integer NOT NULL,
    contact_name text NOT NULL, contact_phone text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (traveller_id, idempotency_key));
CREATE TABLE passengers (
    order_id bigint NOT NULL REFERENCES orders, number integer NOT NULL, name text NOT NULL, type text NOT NULL,
    PRIMARY KEY (order_id, number));
CREATE TABLE tickets (
    id integer PRIMARY KEY, order_id bigint NOT NULL, status text NOT NULL, remaining integer NOT NULL);
CREATE TABLE redemptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ticket_id integer NOT NULL REFERENCES tickets,
    session_id text NOT NULL, request_id text NOT NULL, redeemed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (ticket_id, request_id));
INSERT INTO departures SELECT id, 1000000000 FROM generate_series(0, 199) AS id;

-- Reservations (R-HOLD-07): seats that a traveller holds before there is an order. What is held is a hold like any other, with
-- the reservation's id for its order's.

CREATE TABLE reservation_rows (
    -- As an order's id, of version 8.
    reservation_id uuid,
    traveller_id uuid,
    version bigint,
    departure_id text COLLATE "C",
    idempotency_key text COLLATE "C",
    -- SHA-256 of the request, to tell a repetition from another request with the same key.
    body_hash bytea,
    PRIMARY KEY (reservation_id)
);

CREATE VIEW reservations AS
SELECT
    (id_text(r.reservation_id) || '.' || r.departure_id) COLLATE "C" AS reservation_id, r.departure_id,
    id_text(r.traveller_id) COLLATE "C" AS traveller_id, r.idempotency_key, h.class_code, h.seat_numbers::jsonb AS seat_numbers,
    h.board_stop, h.alight_stop, h.state, h.placed_at, h.expires_at, h.ended_at
FROM reservation_rows AS r
JOIN hold_rows AS h ON h.order_id = r.reservation_id;
COMMENT ON VIEW reservations IS
    'Whose seats were held before there was an order. One that was released or adopted says released; an order that has adopted '
    'it has a hold of the same seats, placed when this one ended.';

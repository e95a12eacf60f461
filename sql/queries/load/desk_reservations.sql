-- $1 the lowest id that a reservation made since then can have.
SELECT r.reservation_id, r.departure_id, r.traveller_id, r.idempotency_key, r.body_hash, h.class_code, h.seat_numbers,
    h.board_stop, h.alight_stop, h.state, h.expires_at
FROM reservation_rows AS r
JOIN hold_rows AS h ON h.order_id = r.reservation_id
WHERE r.reservation_id >= id_of_text($1)

-- Every partner that has reserved something.
SELECT DISTINCT partner_id
FROM partner_reservation_rows

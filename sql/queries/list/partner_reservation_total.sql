-- $1 partner, $2 status or NULL, $3 the lowest and the highest id, $4 now.
SELECT count(*) AS total
FROM partner_reservation_rows
WHERE partner_id = $1 AND reservation_id BETWEEN ($3::uuid[])[1] AND ($3::uuid[])[2] AND units_told IS NOT NULL
    AND ($2::text IS NULL OR $2 = CASE WHEN status = 'active' AND expires_at <= $4 THEN 'expired' ELSE status END)

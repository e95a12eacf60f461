-- $1 partner, $2 status or NULL, $3 the lowest and the highest id.
SELECT count(*) AS total
FROM batch_rows
WHERE partner_id = $1 AND batch_id BETWEEN ($3::uuid[])[1] AND ($3::uuid[])[2] AND status IN ('active', 'expired')
    AND ($2::text IS NULL OR status = $2)

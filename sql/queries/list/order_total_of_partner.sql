-- $1 the partner's channel, $2 status or NULL, $3 the lowest and the highest id, $4 and $5 made since and before, or NULL.
SELECT count(*) AS total
FROM order_rows
WHERE traveller_id IS NULL AND channel = $1 AND order_id BETWEEN ($3::uuid[])[1] AND ($3::uuid[])[2]
    AND created_at >= coalesce($4::timestamptz, '-infinity') AND created_at < coalesce($5::timestamptz, 'infinity')
    AND ($2::text IS NULL OR status = $2)

-- $1 the partner's channel, $2 status or NULL, $3 the lowest and the highest id, $4 and $5 made since and before, or NULL, $6 how
-- many are passed over, $7 most rows. The oldest first: a page stays as it is when others are made. What is passed over is read
-- in the index only.
SELECT
    order_rows.order_id, order_rows.status, order_rows.created_at, order_rows.currency, order_rows.total_minor,
    order_rows.contact_name, order_rows.idempotency_key AS payment_reference,
    json_array_length(order_rows.items) AS units,
    (order_rows.items -> 0 -> 'package' ->> 'product_id')::integer AS product_id
FROM order_rows
JOIN (
    SELECT order_id
    FROM order_rows
    WHERE traveller_id IS NULL AND channel = $1 AND order_id BETWEEN ($3::uuid[])[1] AND ($3::uuid[])[2]
        AND created_at >= coalesce($4::timestamptz, '-infinity') AND created_at < coalesce($5::timestamptz, 'infinity')
        AND ($2::text IS NULL OR status = $2)
    ORDER BY created_at, order_id
    OFFSET $6
    LIMIT $7
) AS page USING (order_id)
ORDER BY order_rows.created_at, order_rows.order_id

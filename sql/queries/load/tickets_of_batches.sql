-- Where the tickets of every batch stand: the first letters of their states, by their numbers. Their ids follow the batch's.
SELECT b.batch_id, t.version, t.states
FROM batch_rows AS b
CROSS JOIN LATERAL (
    SELECT max(version) AS version, string_agg(left(status, 1), '' ORDER BY order_id) AS states
    FROM (
        SELECT order_id, version, status
        FROM ota_ticket_rows
        WHERE order_id > b.batch_id
        ORDER BY order_id
        LIMIT b.quantity
    ) AS of_batch
) AS t
WHERE b.status IN ('active', 'expired')

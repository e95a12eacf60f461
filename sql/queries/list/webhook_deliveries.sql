-- $1 the partner, $2 a number above those that are wanted, $3 most rows. The newest first.
SELECT
    partner_id, number, version, sequence, at, status, error, took_ms
FROM webhook_deliveries
WHERE partner_id = $1 AND number < $2
ORDER BY number DESC
LIMIT $3

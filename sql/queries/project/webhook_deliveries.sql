INSERT INTO webhook_deliveries AS held (
    partner_id, number, version, sequence, at, status, error, took_ms
)
SELECT
    partner_id, number, version, sequence, at, status, error, took_ms
FROM unnest($1::webhook_deliveries[])
ON CONFLICT (partner_id, number) DO UPDATE SET
    version = excluded.version, sequence = excluded.sequence, at = excluded.at, status = excluded.status,
    error = excluded.error, took_ms = excluded.took_ms
WHERE held.version < excluded.version

INSERT INTO travellers AS held (
    traveller_id, version, openid
)
SELECT
    traveller_id, version, openid
FROM unnest($1::travellers[])
ON CONFLICT (traveller_id) DO UPDATE SET
    version = excluded.version, openid = excluded.openid
WHERE held.version < excluded.version

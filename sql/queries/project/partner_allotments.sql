INSERT INTO partner_allotments AS held (
    partner_code, version, allotments
)
SELECT
    partner_code, version, allotments
FROM unnest($1::partner_allotments[])
ON CONFLICT (partner_code) DO UPDATE SET
    version = excluded.version, allotments = excluded.allotments
WHERE held.version < excluded.version

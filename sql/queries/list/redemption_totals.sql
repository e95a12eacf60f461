-- $1 from and $2 until (not included), $3 merchant, $4 location and $5 entitlement, each NULL for any, $6 the zone of the days.
SELECT
    (scanned_at AT TIME ZONE $6)::date AS day, redeemed_code, 1::bigint AS version, count(*) AS redemptions,
    sum(quantity)::bigint AS uses
FROM ticket_scans
WHERE number IS NOT NULL
    AND scanned_at >= $1
    AND scanned_at < $2
    AND ($3::text IS NULL OR merchant_code = $3)
    AND ($4::text IS NULL OR location_code = $4)
    AND ($5::text IS NULL OR redeemed_code = $5)
GROUP BY day, redeemed_code
ORDER BY day DESC, redeemed_code

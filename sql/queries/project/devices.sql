INSERT INTO devices AS held (
    device_code, version, merchant_code, location_code, disabled
)
SELECT
    device_code, version, merchant_code, location_code, disabled
FROM unnest($1::devices[])
ON CONFLICT (device_code) DO UPDATE SET
    version = excluded.version, merchant_code = excluded.merchant_code,
    location_code = excluded.location_code, disabled = excluded.disabled
WHERE held.version < excluded.version

SELECT
    device_code, version, merchant_code, location_code, disabled
FROM devices

SELECT
    vehicle_code, version, name, classes, seats, marks
FROM vehicles

SELECT
    vehicle_code, version, name, classes, seats, marks, name_en
FROM vehicles

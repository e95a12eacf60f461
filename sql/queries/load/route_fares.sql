-- Of each route the revision in force.
SELECT
    route_code, revision, version, effective_from, fares, party_tiers, seat_lock_minutes, blackout_dates
FROM route_fares
WHERE (route_code, revision) IN (SELECT route_code, max(revision) FROM route_fares GROUP BY route_code)

INSERT INTO route_fares AS held (
    route_code, revision, version, effective_from, fares, party_tiers, seat_lock_minutes, blackout_dates
)
SELECT
    route_code, revision, version, effective_from, fares, party_tiers, seat_lock_minutes, blackout_dates
FROM unnest($1::route_fares[])
ON CONFLICT (route_code, revision) DO UPDATE SET
    version = excluded.version, effective_from = excluded.effective_from, fares = excluded.fares,
    party_tiers = excluded.party_tiers, seat_lock_minutes = excluded.seat_lock_minutes,
    blackout_dates = excluded.blackout_dates
WHERE held.version < excluded.version

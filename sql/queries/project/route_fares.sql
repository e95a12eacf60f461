INSERT INTO route_fares AS held (
    route_code, revision, version, effective_from, fares, party_tiers
)
SELECT
    route_code, revision, version, effective_from, fares, party_tiers
FROM unnest($1::route_fares[])
ON CONFLICT (route_code, revision) DO UPDATE SET
    version = excluded.version, effective_from = excluded.effective_from, fares = excluded.fares,
    party_tiers = excluded.party_tiers
WHERE held.version < excluded.version

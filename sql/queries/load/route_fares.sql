SELECT
    route_code, revision, version, effective_from, fares, party_tiers
FROM route_fares

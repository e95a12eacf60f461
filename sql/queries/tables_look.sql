-- $1 names of tables. What stands in the catalogue and the counters: no table is locked or read. A table that is emptied at once
-- or rewritten gets another file, and one that is not there has none. Whoever rewrites a table counts it (VACUUM FULL, CLUSTER);
-- of one that was emptied the count is unknown, whatever has been written into it since.
SELECT
    names.name,
    COALESCE(pg_class.relfilenode, 0::oid) AS file,
    COALESCE(pg_class.reltuples >= 0, false) AS is_counted,
    COALESCE(pg_stat_get_live_tuples(pg_class.oid), 0) AS live,
    COALESCE(pg_stat_get_tuples_deleted(pg_class.oid), 0) AS deleted
FROM unnest($1::text[]) AS names (name)
LEFT JOIN pg_class ON pg_class.oid = to_regclass(names.name)

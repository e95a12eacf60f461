INSERT INTO refund_rules AS held (
    rule_id, revision, version, effective_from, name_zh, name_en, windows, days_after_sale, anchor, per_order,
    after_departure, after_first_use, after_change, pairs_together, change
)
SELECT
    rule_id, revision, version, effective_from, name_zh, name_en, windows, days_after_sale, anchor, per_order,
    after_departure, after_first_use, after_change, pairs_together, change
FROM unnest($1::refund_rules[])
ON CONFLICT (rule_id, revision) DO UPDATE SET
    version = excluded.version, effective_from = excluded.effective_from, name_zh = excluded.name_zh,
    name_en = excluded.name_en, windows = excluded.windows, days_after_sale = excluded.days_after_sale,
    anchor = excluded.anchor, per_order = excluded.per_order, after_departure = excluded.after_departure,
    after_first_use = excluded.after_first_use, after_change = excluded.after_change,
    pairs_together = excluded.pairs_together, change = excluded.change
WHERE held.version < excluded.version

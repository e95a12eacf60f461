SELECT
    rule_id, revision, version, effective_from, name_zh, name_en, windows, days_after_sale, anchor, per_order,
    after_departure, after_first_use, after_change, pairs_together, change
FROM refund_rules

INSERT INTO partner_draw_rows AS held (
    drawn_by, version, reservation_id, partner_id, drawn_for, quantity, units_left, drawn_at
)
SELECT
    drawn_by, version, reservation_id, partner_id, drawn_for, quantity, units_left, drawn_at
FROM unnest($1::partner_draw_rows[])
ON CONFLICT (drawn_by) DO UPDATE SET
    version = excluded.version, reservation_id = excluded.reservation_id, partner_id = excluded.partner_id,
    drawn_for = excluded.drawn_for, quantity = excluded.quantity, units_left = excluded.units_left,
    drawn_at = excluded.drawn_at
WHERE held.version < excluded.version

-- $1 partner.
SELECT
    drawn_by, version, reservation_id, partner_id, drawn_for, quantity, units_left, drawn_at
FROM partner_draw_rows
WHERE partner_id = $1

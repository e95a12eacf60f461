-- Orders that a partner has bought: they have no traveller and no Idempotency-Key, and the column of that has the partner's
-- reference of its customer's payment. Their ledger's entries are of no payment of ours. No table has a new column, so nothing
-- is different for anybody else's order.
COMMENT ON COLUMN order_rows.traveller_id IS 'NULL: the partner of the channel has bought it.';
COMMENT ON COLUMN order_rows.idempotency_key IS
    'By which its buyer knows it: a traveller''s Idempotency-Key, a partner''s reference of its customer''s payment.';
COMMENT ON COLUMN ticket_rows.traveller_id IS 'NULL: of an order that a partner has bought.';
COMMENT ON COLUMN ledger_entries.out_trade_no IS 'NULL: the money is a partner''s (partner_paid, partner_refunded).';

CREATE OR REPLACE VIEW orders AS
SELECT
    id_text(order_id) COLLATE "C" AS order_id, version, id_text(traveller_id) COLLATE "C" AS traveller_id,
    CASE WHEN traveller_id IS NOT NULL THEN idempotency_key END COLLATE "C" AS idempotency_key,
    body_hash, status, locale, contact_name, contact_phone, contact_email, currency, total_minor,
    price_lines::jsonb AS price_lines, created_at, first_lock_expires_at, lock_expires_at, paid_at, completed_at, cancelled_at,
    cancel_reason, seat_epoch, outstanding, coalesce(channel, 'direct') AS channel,
    CASE WHEN traveller_id IS NULL THEN idempotency_key END COLLATE "C" AS payment_reference
FROM order_rows;
COMMENT ON COLUMN orders.payment_reference IS 'A partner''s, of its customer''s payment. NULL: a traveller has bought it.';

-- Money that goes back, and what late money needs to find its seats.

CREATE TABLE refunds (
    -- `<order>R<number>`
    out_refund_no text COLLATE "C",
    order_id text COLLATE "C",
    version bigint,
    out_trade_no text COLLATE "C",
    -- due, begun, refused, processing, abnormal, succeeded, closed
    state text COLLATE "C",
    amount_minor bigint,
    currency text COLLATE "C",
    -- late, duplicate
    reason text COLLATE "C",
    due_at timestamptz,
    begun_at timestamptz,
    -- The exact bytes of the call, while it may have to be repeated.
    request_body bytea,
    -- The provider's.
    refund_id text COLLATE "C",
    refusal text COLLATE "C",
    succeeded_at timestamptz,
    PRIMARY KEY (out_refund_no)
);
CREATE INDEX refunds_of_order ON refunds (order_id);
-- Small: what a person has to look at.
CREATE INDEX refunds_outstanding ON refunds (out_refund_no) WHERE state NOT IN ('succeeded', 'closed');
COMMENT ON TABLE refunds IS
    'Money on its way back through WeChat Pay. One that is closed has failed; the refund after it took its place.';

-- NULL: the first. Counts how often the order has sought its seats.
ALTER TABLE orders ADD COLUMN seat_epoch integer;
-- Not pending, and something is left to be done: money is on its way, or may still come.
ALTER TABLE orders ADD COLUMN outstanding boolean;
CREATE INDEX orders_outstanding ON orders (order_id) WHERE outstanding;

-- By the provider's clock; of late money.
ALTER TABLE payments ADD COLUMN paid_at timestamptz;
-- When nobody could pay it any more.
ALTER TABLE payments ADD COLUMN ended_at timestamptz;
COMMENT ON COLUMN payments.request_body IS 'The exact bytes of the create call, while it may have to be repeated.';

-- Of entries that a refund caused. Amounts that are no longer due are negative.
ALTER TABLE ledger_entries ADD COLUMN out_refund_no text COLLATE "C";

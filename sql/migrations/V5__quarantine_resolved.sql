-- What people have seen to, and the order in which desks page through money in trouble.

ALTER TABLE quarantine ADD COLUMN resolved_at timestamptz;
-- User name of the account.
ALTER TABLE quarantine ADD COLUMN resolved_by text COLLATE "C";
-- What was done about it, in a person's words.
ALTER TABLE quarantine ADD COLUMN note text;
CREATE INDEX quarantine_by_age ON quarantine (received_at, notice_id);
CREATE INDEX refunds_by_age ON refunds (due_at, out_refund_no);

-- Of the one-time code that was shown: it redeems nothing more. NULL: a print code, or none (R-TICKET-04).
ALTER TABLE redemptions ADD COLUMN code_token bigint;

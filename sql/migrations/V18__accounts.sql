-- What operators redeem, and which revision of an account it is.

ALTER TABLE accounts
    ADD COLUMN locations jsonb DEFAULT '[]',
    ADD COLUMN entitlements jsonb DEFAULT '[]',
    ADD COLUMN revision integer;
COMMENT ON COLUMN accounts.password_hash IS 'argon2, in PHC form. Empty: it has no password yet.';
COMMENT ON COLUMN accounts.locations IS 'The only ones at which an operator redeems; empty: any.';
COMMENT ON COLUMN accounts.entitlements IS 'The only ones that an operator redeems; empty: any.';
COMMENT ON COLUMN accounts.revision IS 'Counts what was put, from 1. NULL: it was put before that was counted.';

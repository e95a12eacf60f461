-- Partners, their keys, and what is set aside for them.

CREATE TABLE partners (
    partner_code text COLLATE "C",
    version bigint,
    name_zh text,
    name_en text,
    contact text,
    -- None of its keys is good any more.
    disabled boolean,
    PRIMARY KEY (partner_code)
);
COMMENT ON TABLE partners IS 'Who sells packages under its own name; its channel is ota:<partner_code>.';

CREATE TABLE partner_keys (
    key_id text COLLATE "C",
    version bigint,
    partner_code text COLLATE "C",
    secret_hash bytea,
    created_at timestamptz,
    -- At least so late: written once an hour.
    last_used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (key_id)
);
COMMENT ON COLUMN partner_keys.secret_hash IS 'SHA-256 of the whole key. It holds 256 bits of chance, which no hash needs to slow down.';

CREATE TABLE partner_allotments (
    partner_code text COLLATE "C",
    version bigint,
    -- Units of products; of what is not named there are none.
    allotments jsonb,
    PRIMARY KEY (partner_code)
);
COMMENT ON TABLE partner_allotments IS 'As configured. What the stocks keep to stands in stocks.';

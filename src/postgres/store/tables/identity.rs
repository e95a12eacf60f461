//! Accounts, sessions and the quarantine.

use deeptravel_actors::rows::QuarantineRow;
use deeptravel_domain::identity::rows::{AccountRow, SessionRow, ValidatorSessionRow};

use super::super::codec::{BigInt, Bool, Bytea, Jsonb, Text, TimestampTz};
use super::super::table::table;

table! {
    AccountRow: "project/accounts.sql", first unknown, key (username: str) {
        username: Text,
        version: BigInt,
        password_hash: Text,
        roles: Jsonb,
        merchant as "merchant_code": Text,
        disabled: Bool,
    }
}

table! {
    SessionRow: "project/sessions.sql", first marked, key (token_hash: [u8]) {
        token_hash: Bytea,
        version: BigInt,
        traveller_id: Text,
        openid: Text,
        username: Text,
        opened_at: TimestampTz,
        expires_at: TimestampTz,
        ended_at: TimestampTz,
    }
}

table! {
    ValidatorSessionRow: "project/validator_sessions.sql", first marked, key (session_id: str) {
        session_id: Text,
        version: BigInt,
        username: Text,
        device as "device_id": Text,
        location as "location_code": Text,
        departure_id: Text,
        secret_hash: Bytea,
        opened_at: TimestampTz,
        expires_at: TimestampTz,
        ended_at: TimestampTz,
    }
}

table! {
    QuarantineRow: "project/quarantine.sql", first unknown, key (notice_id: str) {
        notice_id: Text,
        version: BigInt,
        out_trade_no: Text,
        transaction_id: Text,
        reason: Text,
        notice: Text,
        received_at: TimestampTz,
        resolved_at: TimestampTz,
        resolved_by: Text,
        note: Text,
    }
}

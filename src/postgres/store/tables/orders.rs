//! Orders and what belongs to them.

use deeptravel_domain::order::rows::{
    LedgerRow, OrderItemRow, OrderRow, PassengerRow, PaymentRow, RedemptionRow, RefundRow, ScanAttemptRow,
    TicketAuditRow, TicketRow,
};

use super::super::codec::{BigInt, Bool, Bytea, Int, Jsonb, Text, TimestampTz};
use super::super::table::table;

table! {
    OrderRow: "project/orders.sql", first marked, key (order_id: str) {
        order_id: Text,
        version: BigInt,
        traveller_id: Text,
        idempotency_key: Text,
        body_hash: Bytea,
        status: Text,
        locale: Text,
        contact_name: Text,
        contact_phone: Text,
        contact_email: Text,
        currency: Text,
        total_minor: BigInt,
        price_lines: Jsonb,
        created_at: TimestampTz,
        first_lock_expires_at: TimestampTz,
        lock_expires_at: TimestampTz,
        paid_at: TimestampTz,
        completed_at: TimestampTz,
        cancelled_at: TimestampTz,
        cancel_reason: Text,
        seat_epoch: Int,
        outstanding: Bool,
    }
}

table! {
    OrderItemRow: "project/order_items.sql", first marked, key (order_id: str, item: u32) {
        order_id: Text,
        item: Int,
        version: BigInt,
        departure_id: Text,
        route_code: Text,
        operator as "operator_code": Text,
        seat_class as "class_code": Text,
        board as "board_stop": Int,
        alight as "alight_stop": Int,
        board_port: Text,
        alight_port: Text,
        departs_at: TimestampTz,
        arrives_at: TimestampTz,
        seats as "seat_numbers": Jsonb,
        chosen as "seats_chosen": Bool,
    }
}

table! {
    PassengerRow: "project/order_passengers.sql", first marked, key (order_id: str, passenger: u32) {
        order_id: Text,
        passenger: Int,
        version: BigInt,
        name: Text,
        passenger_type: Text,
        document_kind: Text,
        document_key_version: Int,
        document_sealed: Bytea,
        document_mask: Text,
    }
}

table! {
    PaymentRow: "project/payments.sql", first marked, key (out_trade_no: str) {
        out_trade_no: Text,
        order_id: Text,
        version: BigInt,
        state: Text,
        total_minor: BigInt,
        currency: Text,
        body as "request_body": Bytea,
        time_expire: TimestampTz,
        hold_expires_at: TimestampTz,
        begun_at: TimestampTz,
        prepay_id: Text,
        nonce: Text,
        signed_at_seconds: BigInt,
        refusal: Text,
        transaction_id: Text,
        paid_at: TimestampTz,
        ended_at: TimestampTz,
    }
}

table! {
    RefundRow: "project/refunds.sql", first unknown, key (out_refund_no: str) {
        out_refund_no: Text,
        order_id: Text,
        version: BigInt,
        out_trade_no: Text,
        state: Text,
        amount_minor: BigInt,
        currency: Text,
        reason: Text,
        due_at: TimestampTz,
        begun_at: TimestampTz,
        body as "request_body": Bytea,
        refund_id: Text,
        refusal: Text,
        succeeded_at: TimestampTz,
    }
}

table! {
    TicketRow: "project/tickets.sql", first marked, key (ticket_id: str) {
        ticket_id: Text,
        order_id: Text,
        version: BigInt,
        traveller_id: Text,
        status: Text,
        passenger: Int,
        departure_id: Text,
        board as "board_stop": Int,
        alight as "alight_stop": Int,
        seat as "seat_number": Text,
        board_port: Text,
        departs_at: TimestampTz,
        merchant as "merchant_code": Text,
        entitlement as "entitlement_code": Text,
        total as "total_uses": Int,
        remaining as "remaining_uses": Int,
        valid_from: TimestampTz,
        valid_until: TimestampTz,
    }
}

table! {
    RedemptionRow: "project/redemptions.sql", first always, key (ticket_id: str, number: u32) {
        ticket_id: Text,
        number: Int,
        order_id: Text,
        version: BigInt,
        session_id: Text,
        request_id: Text,
        operator as "operator_username": Text,
        device as "device_id": Text,
        location as "location_code": Text,
        merchant as "merchant_code": Text,
        entitlement as "entitlement_code": Text,
        quantity: Int,
        redeemed_at: TimestampTz,
        code_token: BigInt,
    }
}

table! {
    ScanAttemptRow: "project/scan_attempts.sql", first always, key (session_id: str, request_id: str, ticket_id: str, attempted_at: i64) {
        session_id: Text,
        request_id: Text,
        ticket_id: Text,
        attempted_at: TimestampTz,
        version: BigInt,
        operator as "operator_username": Text,
        device as "device_id": Text,
        location as "location_code": Text,
        entitlement as "entitlement_code": Text,
        result: Text,
        reason: Text,
    }
}

table! {
    TicketAuditRow: "project/ticket_status_audit.sql", first always, key (ticket_id: str, new_status: str, event_id: str) {
        ticket_id: Text,
        new_status: Text,
        event_id: Text,
        version: BigInt,
        prev_status: Text,
        event: Text,
        created_at: TimestampTz,
    }
}

table! {
    LedgerRow: "project/ledger_entries.sql", first marked, key (order_id: str, number: u32) {
        order_id: Text,
        number: Int,
        version: BigInt,
        kind: Text,
        out_trade_no: Text,
        amount_minor: BigInt,
        currency: Text,
        at as "booked_at": TimestampTz,
        out_refund_no: Text,
    }
}

//! Departures and holds.

use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};

use super::super::codec::{BigInt, Bytea, Int, Jsonb, Seats, Text, TimestampTz};
use super::super::table::table;

table! {
    DepartureRow: "project/departures.sql", first marked, key (departure_id: str) {
        departure_id: Text,
        version: BigInt,
        route_code: Text,
        operator_code: Text,
        departs_at: TimestampTz,
        calls: Jsonb,
        booking_closes_minutes: Int,
        classes: Jsonb,
        seats as "seat_map": Seats,
        channels: Jsonb,
        seat_channels: Bytea,
        status: Text,
    }
}

table! {
    HoldRow: "project/holds.sql", first marked, key (hold_id: str) {
        hold_id: Text,
        departure_id: Text,
        version: BigInt,
        epoch: Int,
        class_code: Text,
        seats: Jsonb,
        seat_numbers: Jsonb,
        freed_seats: Jsonb,
        board_stop: Int,
        alight_stop: Int,
        channel: Text,
        state: Text,
        placed_at: TimestampTz,
        expires_at: TimestampTz,
        ended_at: TimestampTz,
    }
}

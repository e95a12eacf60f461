//! The catalogue.

use deeptravel_domain::catalogue::rows::{
    HolidayRow, OperatorRow, PlaceRow, PortRow, RouteFaresRow, RouteRow, ScheduleRow, VehicleRow,
};

use super::super::codec::{BigInt, Bool, Date, Int, Jsonb, Text, TimestampTz};
use super::super::table::table;

table! {
    OperatorRow: "project/operators.sql", first unknown, key (code: str) {
        code as "operator_code": Text,
        version: BigInt,
        name_zh: Text,
        name_en: Text,
    }
}

table! {
    PortRow: "project/ports.sql", first unknown, key (code: str) {
        code as "port_code": Text,
        version: BigInt,
        name_zh: Text,
        name_en: Text,
    }
}

table! {
    PlaceRow: "project/places.sql", first unknown, key (code: str) {
        code as "place_code": Text,
        version: BigInt,
        name_zh: Text,
        name_en: Text,
        aliases: Jsonb,
        ports: Jsonb,
        hot_weight: Int,
    }
}

table! {
    VehicleRow: "project/vehicles.sql", first unknown, key (code: str) {
        code as "vehicle_code": Text,
        version: BigInt,
        name: Text,
        classes: Jsonb,
        seats: Jsonb,
        marks: Jsonb,
    }
}

table! {
    HolidayRow: "project/holidays.sql", first unknown, key (date: str) {
        date as "day": Date,
        version: BigInt,
        name: Text,
        verified: Bool,
        removed: Bool,
    }
}

table! {
    RouteRow: "project/routes.sql", first unknown, key (code: str) {
        code as "route_code": Text,
        version: BigInt,
        operator as "operator_code": Text,
        mode: Text,
        name_zh: Text,
        name_en: Text,
        time_zone: Text,
        stops: Jsonb,
        vehicle as "vehicle_code": Text,
        seat_lock_minutes: Int,
        booking_closes_minutes: Int,
        sales_window_days: Int,
        blackout_dates: Jsonb,
        status: Text,
        marks: Jsonb,
    }
}

table! {
    ScheduleRow: "project/schedules.sql", first unknown, key (id: str) {
        id as "schedule_id": Text,
        version: BigInt,
        route as "route_code": Text,
        departs_minutes: Int,
        weekdays: Int,
        first_date: Date,
        last_date: Date,
        exceptions: Jsonb,
        withdrawn: Bool,
    }
}

table! {
    RouteFaresRow: "project/route_fares.sql", first unknown, key (route: str, revision: u32) {
        route as "route_code": Text,
        revision: Int,
        version: BigInt,
        effective_from_ms as "effective_from": TimestampTz,
        fares: Jsonb,
        party_tiers: Jsonb,
    }
}

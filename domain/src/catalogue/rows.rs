//! The catalogue as rows: what its owner journals, what Postgres shows to people, and what a start reads back. One row
//! per operator, port, place, vehicle, holiday, route and schedule, and one per revision of a route's fares. Nothing
//! is ever deleted: a holiday or schedule that goes is marked. Every row carries the version of the catalogue's key
//! with which it was written; the newest of a row wins.

mod read;
mod write;

use serde::{Deserialize, Serialize, Serializer};

pub use read::DamagedRow;

/// A row of one of the catalogue's tables.
#[derive(Clone, PartialEq, Debug)]
pub enum Row {
    Operator(OperatorRow),
    Port(PortRow),
    Place(PlaceRow),
    Vehicle(VehicleRow),
    Holiday(HolidayRow),
    Route(RouteRow),
    Schedule(ScheduleRow),
    RouteFares(RouteFaresRow),
}

impl Row {
    pub fn table(&self) -> &'static str {
        match self {
            Row::Operator(_) => "operators",
            Row::Port(_) => "ports",
            Row::Place(_) => "places",
            Row::Vehicle(_) => "vehicles",
            Row::Holiday(_) => "holidays",
            Row::Route(_) => "routes",
            Row::Schedule(_) => "schedules",
            Row::RouteFares(_) => "route_fares",
        }
    }

    /// The primary key within the table, as text; `<route>/<revision>` for fares.
    pub fn key(&self) -> String {
        match self {
            Row::Operator(row) => row.code.clone(),
            Row::Port(row) => row.code.clone(),
            Row::Place(row) => row.code.clone(),
            Row::Vehicle(row) => row.code.clone(),
            Row::Holiday(row) => row.date.clone(),
            Row::Route(row) => row.code.clone(),
            Row::Schedule(row) => row.id.clone(),
            Row::RouteFares(row) => format!("{}/{}", row.route, row.revision),
        }
    }

    /// The version of the catalogue's key that wrote the row.
    pub fn version(&self) -> u64 {
        match self {
            Row::Operator(row) => row.version,
            Row::Port(row) => row.version,
            Row::Place(row) => row.version,
            Row::Vehicle(row) => row.version,
            Row::Holiday(row) => row.version,
            Row::Route(row) => row.version,
            Row::Schedule(row) => row.version,
            Row::RouteFares(row) => row.version,
        }
    }
}

/// Primary key: `code`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct OperatorRow {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub name_zh: String,
    #[prost(string, tag = "4")]
    pub name_en: String,
}

/// Primary key: `code`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct PortRow {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub name_zh: String,
    #[prost(string, tag = "4")]
    pub name_en: String,
}

/// Primary key: `code`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct PlaceRow {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub name_zh: String,
    #[prost(string, tag = "4")]
    pub name_en: String,
    #[prost(string, repeated, tag = "5")]
    pub aliases: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    pub ports: Vec<String>,
    #[prost(uint32, tag = "7")]
    pub hot_weight: u32,
}

/// Primary key: `code`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct VehicleRow {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(message, repeated, tag = "4")]
    pub classes: Vec<SeatClassPart>,
    #[prost(message, repeated, tag = "5")]
    pub seats: Vec<SeatPart>,
    #[prost(string, repeated, tag = "6")]
    pub marks: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct SeatClassPart {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct SeatPart {
    #[prost(string, tag = "1")]
    pub label: String,
    #[prost(uint32, tag = "2")]
    pub class: u32,
    #[prost(uint32, tag = "3")]
    pub row: u32,
    #[prost(uint32, tag = "4")]
    pub column: u32,
}

/// Primary key: `date`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct HolidayRow {
    /// `YYYY-MM-DD`, as all dates of rows.
    #[prost(string, tag = "1")]
    pub date: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(bool, tag = "4")]
    pub verified: bool,
    /// No holiday any more.
    #[prost(bool, tag = "5")]
    pub removed: bool,
}

/// Primary key: `code`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct RouteRow {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub operator: String,
    /// `coach`, `ferry`.
    #[prost(string, tag = "4")]
    pub mode: String,
    #[prost(string, tag = "5")]
    pub name_zh: String,
    #[prost(string, tag = "6")]
    pub name_en: String,
    /// An IANA name.
    #[prost(string, tag = "7")]
    pub time_zone: String,
    #[prost(message, repeated, tag = "8")]
    pub stops: Vec<StopPart>,
    #[prost(string, tag = "9")]
    pub vehicle: String,
    #[prost(uint32, tag = "10")]
    pub seat_lock_minutes: u32,
    #[prost(uint32, tag = "11")]
    pub booking_closes_minutes: u32,
    #[prost(uint32, tag = "12")]
    pub sales_window_days: u32,
    #[prost(string, repeated, tag = "13")]
    pub blackout_dates: Vec<String>,
    /// `draft`, `on_sale`.
    #[prost(string, tag = "14")]
    pub status: String,
    #[prost(string, repeated, tag = "15")]
    pub marks: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct StopPart {
    #[prost(string, tag = "1")]
    pub port: String,
    #[prost(uint32, tag = "2")]
    pub arrives_minutes: u32,
    #[prost(uint32, tag = "3")]
    pub departs_minutes: u32,
}

/// Primary key: `id`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct ScheduleRow {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(uint64, tag = "2")]
    pub version: u64,
    #[prost(string, tag = "3")]
    pub route: String,
    #[prost(uint32, tag = "4")]
    pub departs_minutes: u32,
    /// Bit 0 is Monday.
    #[prost(uint32, tag = "5")]
    pub weekdays: u32,
    #[prost(string, tag = "6")]
    pub first_date: String,
    #[prost(string, tag = "7")]
    pub last_date: String,
    #[prost(message, repeated, tag = "8")]
    pub exceptions: Vec<ExceptionPart>,
    /// No longer on offer.
    #[prost(bool, tag = "9")]
    pub withdrawn: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct ExceptionPart {
    #[prost(string, tag = "1")]
    pub date: String,
    #[prost(bool, tag = "2")]
    pub runs: bool,
}

/// Primary key: `route`, `revision`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct RouteFaresRow {
    #[prost(string, tag = "1")]
    pub route: String,
    #[prost(uint32, tag = "2")]
    pub revision: u32,
    #[prost(uint64, tag = "3")]
    pub version: u64,
    /// Milliseconds since the epoch; RFC 3339 as JSON.
    #[prost(int64, tag = "4")]
    #[serde(rename = "effective_from", serialize_with = "rfc_3339")]
    pub effective_from_ms: i64,
    #[prost(message, repeated, tag = "5")]
    pub fares: Vec<FarePart>,
    #[prost(message, repeated, tag = "6")]
    pub party_tiers: Vec<PartyTierPart>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct FarePart {
    #[prost(string, tag = "1")]
    pub passenger_type: String,
    #[prost(string, optional, tag = "2")]
    pub seat_class: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub stretch: Option<StretchPart>,
    #[prost(string, tag = "4")]
    pub day_type: String,
    #[prost(message, optional, tag = "5")]
    pub dates: Option<DatesPart>,
    #[prost(message, optional, tag = "6")]
    pub times: Option<TimesPart>,
    /// In minor units.
    #[prost(message, optional, tag = "7")]
    pub price: Option<MoneyPart>,
    #[prost(message, optional, tag = "8")]
    pub source_price: Option<MoneyPart>,
    #[prost(bool, tag = "9")]
    pub assumed: bool,
}

#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct StretchPart {
    #[prost(uint32, tag = "1")]
    pub board: u32,
    #[prost(uint32, tag = "2")]
    pub alight: u32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct DatesPart {
    #[prost(string, tag = "1")]
    pub from: String,
    #[prost(string, tag = "2")]
    pub to: String,
}

/// Minutes from midnight.
#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct TimesPart {
    #[prost(uint32, tag = "1")]
    pub from: u32,
    #[prost(uint32, tag = "2")]
    pub until: u32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct MoneyPart {
    #[prost(int64, tag = "1")]
    pub amount: i64,
    #[prost(string, tag = "2")]
    pub currency: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct PartyTierPart {
    #[prost(uint32, tag = "1")]
    pub min_party: u32,
    #[prost(uint32, tag = "2")]
    pub discount_percent: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn rfc_3339<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&crate::time::Timestamp::from_ms(*ms))
}

//! Databases as earlier releases left them: their projection, for rows that are not written any more, in a few lines.

use deeptravel_domain::row::{Column, Home, Kind, Message, Table};
use deeptravel_domain::tables;
use images::Images;

use crate::support::Stand;
use crate::upgrade::execute;

#[path = "../../domain/src/testing/images.rs"]
#[allow(dead_code, reason = "others ask more of it")]
pub mod images;

/// The tables of the release before ids were bytes, among these only.
const TABLES: [&str; 12] = [
    "departures",
    "holds",
    "orders",
    "order_items",
    "order_passengers",
    "payments",
    "refunds",
    "tickets",
    "redemptions",
    "scan_attempts",
    "ticket_status_audit",
    "ledger_entries",
];

/// Columns that tables have since.
const LATER: [&str; 1] = ["retired_seats"];

/// Stores the newest images in a database without the migrations that came since.
pub fn store(stand: &Stand, images: &Images) {
    for name in TABLES {
        let named = |table: &&&Table| table.name == name && table.home != Home::Journal;
        let table = tables::TABLES.iter().find(named).unwrap();
        execute(stand, format!("DELETE FROM {name}"));
        for image in images.of(table) {
            execute(stand, insertion(table, image));
        }
    }
}

fn insertion(table: &Table, image: &[u8]) -> String {
    let mut message = Message::new(image);
    let columns = || table.columns.iter().filter(|column| !LATER.contains(&column.name));
    let names: Vec<&str> = columns().map(|column| column.name).collect();
    let values: Vec<String> = columns().map(|column| value(column, &mut message)).collect();
    format!("INSERT INTO {} ({}) VALUES ({})", table.name, names.join(", "), values.join(", "))
}

fn value(column: &Column, message: &mut Message<'_>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let tag = column.tag;
    match column.kind {
        Kind::Text | Kind::Date | Kind::Bytes | Kind::Uuid => match message.bytes(tag).unwrap() {
            None if column.nullable => "NULL".to_owned(),
            Some(bytes) if column.kind == Kind::Bytes => format!("'\\x{}'", hex::encode(bytes)),
            bytes => quoted(std::str::from_utf8(bytes.unwrap_or_default()).unwrap()),
        },
        Kind::Flag | Kind::Small | Kind::Count | Kind::Signed | Kind::Instant => match message.number(tag).unwrap() {
            None if column.nullable => "NULL".to_owned(),
            number => match (column.kind, number.unwrap_or(0).cast_signed()) {
                (Kind::Instant, ms) => format!("to_timestamp({ms} / 1000.0)"),
                (Kind::Flag, flag) => (flag != 0).to_string(),
                (_, number) => number.to_string(),
            },
        },
        Kind::Texts | Kind::Numbers | Kind::Part(_) | Kind::Parts(_) => {
            let mut json = Vec::new();
            column.put_json(message, &mut json).unwrap();
            quoted(&String::from_utf8(json).unwrap())
        }
    }
}

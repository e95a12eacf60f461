//! Records as the first release wrote them: whoever reads them now finds in them what was meant then (rule 23). One line a
//! record: its key, its version, its rows. A demo server wrote them; beside them stands what its rows say.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use deeptravel_domain::earlier::renewed;
use deeptravel_domain::inventory::{HoldState, Inventory};
use deeptravel_domain::order::{Order, OrderStatus};
use deeptravel_domain::row::Rows;
use deeptravel_domain::tables::by_slot;
use deeptravel_domain::ticket::TicketStatus;
use deeptravel_domain::time::Timestamp;
use images::Images;
use serde_json::Value;

#[path = "../src/testing/images.rs"]
#[allow(dead_code)] // others ask more of it
mod images;

const RECORDS: &str = include_str!("golden/first_release.records");
const ROWS: &str = include_str!("golden/first_release.rows");

/// When the server was killed: in the morning, at one minute to nine UTC.
const THEN: Timestamp = Timestamp::from_ms(1_796_029_140_000);

fn records() -> impl Iterator<Item = (&'static str, Rows)> {
    RECORDS.lines().map(|line| {
        let [key, _, payload] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let bytes = (0..payload.len()).step_by(2).map(|at| u8::from_str_radix(&payload[at..at + 2], 16).unwrap());
        (key, Rows::from_bytes(bytes.collect()).unwrap())
    })
}

fn columns(json: &str) -> serde_json::Map<String, Value> {
    serde_json::from_str(json).unwrap()
}

/// What has come since, in a row or in a part of one, says nothing.
fn forget_what_is_new(says: &mut Value, said: &Value) {
    match (says, said) {
        (Value::Object(says), Value::Object(said)) => {
            says.retain(|name, value| {
                said.contains_key(name) || !(value.is_null() || *value == Value::Array(Vec::new()))
            });
            says.iter_mut().for_each(|(name, value)| forget_what_is_new(value, &said[name]));
        }
        (Value::Array(says), Value::Array(said)) => {
            says.iter_mut().zip(said).for_each(|(says, said)| forget_what_is_new(says, said));
        }
        _ => {}
    }
}

/// The newest rows of each key.
fn owners() -> BTreeMap<&'static str, Images> {
    let mut owners: BTreeMap<&str, Images> = BTreeMap::new();
    records().for_each(|(key, rows)| owners.entry(key).or_default().keep(&renewed(rows).unwrap()).unwrap());
    owners
}

#[test]
fn rule_23_every_row_of_the_first_release_says_what_it_said() {
    let mut said = ROWS.lines();
    for (key, rows) in records() {
        for (slot, image) in rows.images() {
            let table = by_slot(slot).unwrap();
            let (name, said) = said.next().unwrap().split_once(' ').unwrap();
            let mut says = Value::Object(columns(&table.to_json(image).unwrap()));
            let said = Value::Object(columns(said));
            forget_what_is_new(&mut says, &said);
            assert_eq!((table.name, says), (name, said), "of {key}");
        }
    }
    assert_eq!(said.next(), None);
}

#[test]
fn rule_23_orders_of_the_first_release_go_on_where_they_were() {
    let owners = owners();
    let orders = owners.iter().filter(|(key, _)| key.starts_with("order/"));
    let mut stood: Vec<(OrderStatus, Vec<TicketStatus>, i64)> = Vec::new();
    for (_, images) in orders {
        let order = Order::from_rows(&images.all(), THEN).unwrap();
        let tickets = order.tickets().iter().map(|ticket| ticket.status).collect();
        stood.push((order.status(), tickets, order.total().minor));
    }
    assert_eq!(
        stood,
        [
            (OrderStatus::Pending, vec![], 46_209),
            (OrderStatus::Paid, vec![TicketStatus::Used, TicketStatus::Usable, TicketStatus::Usable], 46_209),
            (OrderStatus::Cancelled, vec![], 46_209),
            (OrderStatus::Cancelled, vec![], 16_013),
        ]
    );
}

#[test]
fn rule_23_departures_of_the_first_release_keep_their_seats() {
    let owners = owners();
    let taken = |key: &str| {
        let inventory = Inventory::from_rows(&owners[key].all(), THEN).unwrap();
        inventory
            .holds()
            .filter(|(_, hold)| hold.life.state == HoldState::Held || hold.life.state == HoldState::Confirmed)
            .count()
    };
    assert_eq!(taken("departure/tjt-hk-mo-0800.20261202"), 2, "one pending, one paid; one was cancelled");
    assert_eq!(taken("departure/hzm-hk-mo-0000.20261202"), 0);
}

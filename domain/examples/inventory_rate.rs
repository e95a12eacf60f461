//! What a sale costs the machine alone, on a vessel of 413 seats: `cargo run --release -p deeptravel-domain --example
//! inventory_rate`. One thread, no journal, no actor; parties of 1, 2 and 3 in turn, until the vessel is full.

// The domain has no clock, but a stopwatch needs one.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use deeptravel_domain::departure::{Call, Channel, DepartureSpec, Seat, SeatClass, SeatMap, Stretch};
use deeptravel_domain::ids::{HoldId, OrderId, SeatClassCode};
use deeptravel_domain::inventory::rows::InventoryRow;
use deeptravel_domain::inventory::{Command, HoldAt, Inventory, PlaceHold, Wanted};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use prost::Message;

const SEATS: u16 = 413;
const VESSELS: u32 = 200;
const REFUSALS: u32 = 50_000;
const NOW: Timestamp = Timestamp::from_ms(1_770_000_000_000);

/// Rows of ten, three on each side and four in the middle.
fn vessel() -> DepartureSpec {
    let seat = |index: u16| {
        let (row, at) = (index / 10, (index % 10) as u8);
        let column = at + u8::from(at >= 3) + u8::from(at >= 7);
        Seat { label: format!("{}{}", row + 1, char::from(b'A' + column)), class: 0, row, column }
    };
    let classes = vec![SeatClass { code: code(), name: "Standard".into() }];
    let call = |at: Timestamp| Call { arrives_at: at, departs_at: at };
    DepartureSpec {
        id: "HKMO-0800.20260202".parse().expect("an id"),
        route: "HKMO".parse().expect("a code"),
        operator: "TJ".parse().expect("a code"),
        calls: vec![call(NOW.plus_seconds(86_400)), call(NOW.plus_seconds(90_000))],
        booking_closes_minutes: 30,
        seat_map: Arc::new(SeatMap { classes, seats: (0..SEATS).map(seat).collect() }),
    }
}

fn code() -> SeatClassCode {
    "standard".parse().expect("a code")
}

fn place(number: u32) -> Command {
    Command::PlaceHold(PlaceHold {
        hold: HoldId {
            order: OrderId::compose(NOW, deeptravel_domain::ids::Shard::of(0), u64::from(number) << 2),
            item: 0,
        },
        epoch: 1,
        channel: Channel::Direct,
        class: code(),
        stretch: Stretch { board: 0, alight: 1 },
        wanted: Wanted::Auto(1 + (number % 3) as u16),
        expires_at: NOW.plus_seconds(600),
    })
}

/// Decides, images the rows as a journal record would have them if `with_rows`, evolves.
fn apply(inventory: &mut Inventory, command: &Command, with_rows: bool) -> Result<usize, Rejection> {
    let events = inventory.decide(command, NOW)?;
    for event in &events {
        inventory.evolve(event);
    }
    if !with_rows {
        return Ok(0);
    }
    let size = |row: &InventoryRow| match row {
        InventoryRow::Departure(row) => row.encode_to_vec().len(),
        InventoryRow::Hold(row) => row.encode_to_vec().len(),
    };
    Ok(inventory.changed_rows(&events, 1).iter().map(size).sum())
}

fn sell_out(with_rows: bool) -> (u32, Duration) {
    let (mut sales, mut spent) = (0, Duration::ZERO);
    let commands: Vec<Command> = (0..u32::from(SEATS)).map(place).collect();
    for _ in 0..VESSELS {
        let mut inventory = Inventory::unborn(vessel()).expect("a vessel");
        let start = Instant::now();
        for command in &commands {
            let Command::PlaceHold(PlaceHold { hold, epoch, .. }) = command else { continue };
            if apply(&mut inventory, command, with_rows).is_err() {
                break;
            }
            let confirm = Command::ConfirmHold(HoldAt { hold: *hold, epoch: *epoch });
            apply(&mut inventory, &confirm, with_rows).expect("a sale");
            sales += 1;
        }
        spent += start.elapsed();
    }
    (sales, spent)
}

fn report(what: &str, count: u32, spent: Duration) {
    println!(
        "{what}: {:.2} µs each, {:.0} a second",
        spent.as_secs_f64() * 1e6 / f64::from(count),
        f64::from(count) / spent.as_secs_f64()
    );
}

fn main() {
    let (sales, spent) = sell_out(false);
    report("place and confirm", sales, spent);
    let (sales, spent) = sell_out(true);
    report("place and confirm, rows encoded", sales, spent);

    let mut inventory = Inventory::unborn(vessel()).expect("a vessel");
    for number in 0..u32::from(SEATS) {
        // Refused towards the end, when only smaller parties fit.
        let _ = apply(&mut inventory, &place(number), false);
    }
    let command = place(u32::from(SEATS));
    let start = Instant::now();
    let refused = (0..REFUSALS).filter(|_| inventory.decide(&command, NOW).is_err()).count();
    report("refused, sold out", refused as u32, start.elapsed());
}

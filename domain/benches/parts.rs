//! What the rules cost alone, on one thread, without a journal or an actor: `cargo bench -p deeptravel-domain`.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use deeptravel_domain::code::{Code, CodeKey, CodeKeys, Scope, Subject, open_for_scan as open, seal, verify};
use deeptravel_domain::departure::{Call, Channel, DepartureSpec, Seat, SeatClass, SeatMap, Stretch};
use deeptravel_domain::ids::{HoldId, OrderId, Shard, TicketId};
use deeptravel_domain::inventory::{Command, HoldAt, Inventory, PlaceHold, Wanted};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::names::Names;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// The largest vessel between Hong Kong and Macau.
const SEATS: u16 = 413;
const NOW: Timestamp = Timestamp::from_ms(1_770_000_000_000);

/// Rows of ten, three on each side and four in the middle.
fn vessel(stops: u8) -> Inventory {
    let seat = |index: u16| {
        let (row, at) = (index / 10, (index % 10) as u8);
        let column = at + u8::from(at >= 3) + u8::from(at >= 7);
        Seat { label: format!("{}{}", row + 1, char::from(b'A' + column)), class: 0, row, column }
    };
    let call = |stop: u8| {
        let at = NOW.plus_seconds(86_400 + 600 * i64::from(stop));
        Call { arrives_at: at, departs_at: at }
    };
    let classes = vec![SeatClass { code: "standard".parse().unwrap(), names: Names::same("Standard") }];
    let spec = DepartureSpec {
        id: "HKMO-0800.20260202".parse().unwrap(),
        route: "HKMO".parse().unwrap(),
        operator: "TJ".parse().unwrap(),
        calls: (0..stops).map(call).collect(),
        booking_closes_minutes: 30,
        seat_map: Arc::new(SeatMap { classes, seats: (0..SEATS).map(seat).collect() }),
    };
    Inventory::unborn(spec).unwrap()
}

fn hold(number: u64) -> HoldId {
    HoldId { order: OrderId::compose(NOW, Shard::of(number), number << 2), item: 0 }
}

fn place(number: u64, party: u16, stretch: Stretch) -> Command {
    Command::PlaceHold(PlaceHold {
        hold: hold(number),
        epoch: 1,
        channel: Channel::Direct,
        class: "standard".parse().unwrap(),
        stretch,
        ride: None,
        wanted: Wanted::Auto(party),
        expires_at: NOW.plus_seconds(600),
    })
}

/// Decides, images the rows as a journal record has them, evolves. The rows' bytes.
fn apply(inventory: &mut Inventory, command: &Command) -> Result<usize, Rejection> {
    let events = inventory.decide(command, NOW)?;
    Ok(inventory.apply(&events, 1).as_bytes().len())
}

/// A hold for every third seat, on stretches of every length: with two stops two of three seats are taken.
fn half_sold(stops: u8) -> Inventory {
    let mut inventory = vessel(stops);
    for number in 0..u64::from(SEATS) / 3 {
        let board = (number * 7 % u64::from(stops - 1)) as u8;
        let alight = board + 1 + (number * 5 % u64::from(stops - 1 - board)) as u8;
        apply(&mut inventory, &place(number, 1 + (number % 3) as u16, Stretch { board, alight })).unwrap();
    }
    inventory
}

#[divan::bench(args = [2, 12])]
fn hold_and_confirm(bencher: Bencher, stops: u8) {
    let mut number = 0;
    let mut inventory = vessel(stops);
    bencher.bench_local(|| {
        number += 1;
        let placed = apply(&mut inventory, &place(number, 2, Stretch { board: 0, alight: stops - 1 }));
        if placed.is_err() {
            // Sold out: once in two hundred.
            inventory = vessel(stops);
            return;
        }
        apply(&mut inventory, &Command::ConfirmHold(HoldAt { hold: hold(number), epoch: 1 })).unwrap();
    });
}

#[divan::bench(args = [2, 12])]
fn hold_and_release(bencher: Bencher, stops: u8) {
    let mut number = 1_000_000;
    let mut inventory = half_sold(stops);
    bencher.bench_local(|| {
        number += 1;
        apply(&mut inventory, &place(number, 2, Stretch { board: 0, alight: 1 })).unwrap();
        apply(&mut inventory, &Command::ReleaseHold(HoldAt { hold: hold(number), epoch: 1 })).unwrap();
    });
}

/// The choice of seats on a vessel with twelve stops: all checks, nothing changes.
#[divan::bench(args = [1, 2, 5, 10])]
fn choose_seats(bencher: Bencher, party: u16) {
    let inventory = half_sold(12);
    let command = place(1_000_000, party, Stretch { board: 3, alight: 8 });
    bencher.bench_local(|| inventory.decide(black_box(&command), NOW).is_ok());
}

#[divan::bench]
fn refuse_sold_out(bencher: Bencher) {
    let mut inventory = vessel(2);
    let all = Stretch { board: 0, alight: 1 };
    for number in 0..u64::from(SEATS) {
        apply(&mut inventory, &place(number, 1, all)).unwrap();
    }
    let command = place(1_000_000, 2, all);
    bencher.bench_local(|| inventory.decide(black_box(&command), NOW).is_err());
}

/// As after two rotations.
fn keys() -> CodeKeys {
    let key = |version: u8| CodeKey::new(u32::from(version), [version; 32]);
    CodeKeys::new([key(1), key(2), key(3)], NOW).unwrap()
}

fn ticket() -> Subject {
    let order = OrderId::compose(NOW, Shard::of(7), 42);
    Subject::Ticket { id: TicketId { order, number: 2 }, scope: Scope::of(&"BOARDING".parse().unwrap(), None) }
}

fn text(keys: &CodeKeys, subject: Subject) -> String {
    seal(keys, &Code::one_time(subject, NOW, 60), NOW, [1; 12]).text
}

/// Signs.
#[divan::bench]
fn seal_code_of_ticket(bencher: Bencher) {
    let keys = keys();
    bencher.bench_local(|| text(&keys, black_box(ticket())));
}

#[divan::bench]
fn seal_code_of_order(bencher: Bencher) {
    let (keys, order) = (keys(), Subject::Order(OrderId::compose(NOW, Shard::of(7), 42)));
    bencher.bench_local(|| text(&keys, black_box(order)));
}

/// What a scan does.
#[divan::bench]
fn open_code_of_ticket(bencher: Bencher) {
    let keys = keys();
    let code = text(&keys, ticket());
    bencher.bench_local(|| open(&keys, black_box(&code), NOW).is_ok());
}

#[divan::bench]
fn refuse_altered_code(bencher: Bencher) {
    let keys = keys();
    let code = text(&keys, ticket());
    let altered = code.replacen(code.chars().nth(120).unwrap(), "1", 1);
    bencher.bench_local(|| open(&keys, black_box(&altered), NOW).is_ok());
}

/// What a gate without the network does.
#[divan::bench]
fn verify_pass(bencher: Bencher) {
    let keys = keys();
    let (public, code) = (keys.public(), text(&keys, ticket()));
    bencher.bench_local(|| verify(&public, black_box(&code), NOW).is_ok());
}

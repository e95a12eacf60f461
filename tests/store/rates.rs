//! Figures, not checks: how fast batches go in and a start reads them back, on a server of its own with fsync on.
//!
//! `cargo test --release --test store -- --ignored --nocapture rates`

use std::time::{Duration, Instant};

use deeptravel::embedded::{DATABASE, Options};
use deeptravel::postgres::{Access, migrate};
use deeptravel::testing::suite;
use deeptravel_actors::ports::Warm;
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::order::rows::TicketRow;
use deeptravel_domain::row::{Rows, Uuid};
use deeptravel_domain::time::Timestamp;

use crate::support::*;

/// Orders of one batch of the projector.
const BATCH: u64 = 1_000;
const BATCHES: u64 = 10;
const DEPARTURES: usize = 1_000;
const HOLDS_OF_EACH: usize = 50;

#[test]
#[ignore = "measures; takes a minute"]
fn rates_of_projection_and_loads() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = suite::cluster(SUITE, &Options::new(directory.path().join("postgres"))).unwrap();
    let config = cluster.connection(DATABASE);
    io_runtime().block_on(migrate(&Access::by_socket(config.clone()))).unwrap();
    let stand = Stand::on(&config);

    let mut placed_batches = Vec::new();
    let mut paid_batches = Vec::new();
    for batch in 0..BATCHES {
        let (mut placed, mut paid) = (Rows::default(), Rows::default());
        for number in batch * BATCH..(batch + 1) * BATCH {
            let who = traveller((number % 5_000) as u16);
            let (mut buyer, rows) = Buyer::place(draft(order_id(number), who, "HKMO-0800.20261127"), NOW);
            placed.extend(&rows);
            paid.extend(&buyer.pay(NOW.plus_seconds(30)));
        }
        placed_batches.push(placed);
        paid_batches.push(paid);
    }
    project(&stand, "orders placed (1 order, 1 item, 3 passengers each)", &placed_batches);
    project(&stand, "orders paid (order, payment, 3 tickets, 3 audit rows, ledger each)", &paid_batches);

    let departures = departures();
    project(&stand, "departures with 50 holds each, first images", &departures);
    let confirmed: Vec<_> = departures.iter().map(confirmed).collect();
    project(&stand, "the same holds confirmed", &confirmed);

    let load = |what: &str, work: &dyn Fn() -> usize| {
        for round in ["first", "again"] {
            let started = Instant::now();
            let found = work();
            println!("{what}, {round}: {found} in {:?}", started.elapsed());
        }
    };
    load("departures after", &|| {
        let found = stand.departures_after(NOW).unwrap();
        found.iter().map(count::<HoldRow<'_>>).sum()
    });
    load("warm orders", &|| {
        stand.warm_orders(Warm { now: NOW, departs_before: Timestamp::MAX, bytes_max: u64::MAX }).unwrap().len()
    });
    load("desk entries", &|| stand.desk_entries(Timestamp::from_ms(0)).unwrap().len());
    load("one departure", &|| count::<HoldRow<'_>>(&stand.departure("D17.20261127").unwrap().unwrap()));
    load("one order", &|| count::<TicketRow<'_>>(&stand.order(order_id(17)).unwrap().unwrap()));
    load("a page of orders", &|| {
        stand.runtime.block_on(stand.lists.orders_of(traveller(17), None, None, 20)).unwrap().len()
    });
    load("a page of tickets", &|| {
        stand.runtime.block_on(stand.lists.tickets_of(traveller(17), None, None, 20)).unwrap().tickets.len()
    });
}

fn project(stand: &Stand, what: &str, batches: &[Rows]) {
    let mut took = Duration::ZERO;
    let mut rows = 0;
    for batch in batches {
        let started = Instant::now();
        stand.project(batch).unwrap();
        took += started.elapsed();
        rows += batch.images().count();
    }
    let each = took / batches.len() as u32;
    let rate = rows as u128 * 1_000 / took.as_millis();
    println!("{what}: {rows} rows in {} batches, {each:?} each, {rate} rows/s", batches.len());
}

/// In ten batches: coaches of 52 seats with 50 holds of one seat.
fn departures() -> Vec<Rows> {
    let one = Coach::new("D.20261127", 13).tell(&place(0, NOW), NOW);
    let departure: DepartureRow<'_> = one.of().next().unwrap().unwrap();
    let hold: HoldRow<'_> = one.of().next().unwrap().unwrap();
    let put = |number: usize, rows: &mut Rows| {
        let departure = DepartureRow { departure_id: code(&format!("D{number}.20261127")), ..departure.clone() };
        rows.put_first(&departure);
        for nth in 0..HOLDS_OF_EACH {
            rows.put_first(&HoldRow {
                order_id: Uuid(order_id((number * HOLDS_OF_EACH + nth) as u64)),
                departure_id: departure.departure_id.as_str(),
                version: nth as u64 + 1,
                ..hold.clone()
            });
        }
    };
    let numbers: Vec<usize> = (0..DEPARTURES).collect();
    let batch = |numbers: &[usize]| {
        let mut rows = Rows::default();
        for number in numbers {
            put(*number, &mut rows);
        }
        rows
    };
    numbers.chunks(DEPARTURES / 10).map(batch).collect()
}

fn confirmed(batch: &Rows) -> Rows {
    let mut rows = Rows::default();
    for hold in batch.of::<HoldRow<'_>>() {
        let hold = hold.unwrap();
        rows.put(&HoldRow { version: hold.version + 100, state: "confirmed", ..hold });
    }
    rows
}

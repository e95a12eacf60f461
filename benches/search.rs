//! What a search costs without HTTP, over the demo's timetable, and what a sale pays so that it costs so little: `cargo
//! bench --bench search`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use deeptravel::api::{Answers, Language, Live};
use deeptravel::import::timetable;
use deeptravel_actors::board::{Board, Occupancy};
use deeptravel_actors::stock_board::StockBoard;
use deeptravel_domain::catalogue::{Catalogue, Change};
use deeptravel_domain::departure::{Call, Channel, DepartureSpec, Seat, SeatClass, SeatMap, Stretch};
use deeptravel_domain::ids::{DepartureId, HoldId, OrderId};
use deeptravel_domain::inventory::{Command, Event, Inventory, PlaceHold, Wanted};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::Currency;
use deeptravel_domain::names::Names;
use deeptravel_domain::party::Party;
use deeptravel_domain::time::Timestamp;
use divan::{Bencher, black_box};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// Friday 20 November 2026, 00:00 in Hong Kong.
const NOW: Timestamp = Timestamp::from_ms(1_795_104_000_000);

/// 177 departures of ferries and coaches, and 20.
const QUERIES: [&str; 2] = [
    "origin=HK&destination=MO&travelDate=2026-11-24&adults=2&children=1",
    "origin=MO&destination=HK&travelDate=2026-11-24&adults=2&children=1",
];

/// Without its packages, so that figures go on being about departures.
fn demo() -> Arc<Catalogue> {
    let timetable = timetable::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")).unwrap();
    let mut catalogue = Catalogue::new(Currency::Cny);
    for command in timetable.commands.into_iter().filter(|command| !matches!(command.change, Change::Template(_))) {
        let events = catalogue.decide(&command, NOW).unwrap();
        catalogue.apply(&events, 1);
    }
    Arc::new(catalogue)
}

/// Every departure of these queries' day, born.
fn board(catalogue: &Catalogue) -> (Board, Vec<(Inventory, Arc<Occupancy>)>) {
    let (board, date) = (Board::default(), "2026-11-24".parse().unwrap());
    let place = |name| catalogue.place(name).unwrap();
    let trips = [("HK", "MO"), ("MO", "HK")].map(|(from, to)| catalogue.trips(place(from), place(to), date));
    let ids: BTreeSet<DepartureId> = trips.into_iter().flatten().map(|trip| trip.departure_id()).collect();
    let born = ids.iter().map(|id| {
        let inventory = Inventory::unborn(catalogue.departure_spec(id).unwrap()).unwrap();
        let occupancy = board.open(&inventory);
        (inventory, occupancy)
    });
    let born = born.collect();
    (board, born)
}

/// Of nothing that is sold here.
static STOCKS: LazyLock<StockBoard> = LazyLock::new(StockBoard::default);

fn search(answers: &Answers, catalogue: &Arc<Catalogue>, board: &Board, query: &str) -> usize {
    let live = Live { seats: board, units: &STOCKS };
    answers.search(catalogue, live, NOW, Language::Chinese, black_box(query)).unwrap().len()
}

/// Asked before, and nothing sold since.
#[divan::bench(args = QUERIES)]
fn same(bencher: Bencher, query: &str) {
    let (catalogue, answers) = (demo(), Answers::default());
    let (board, _departures) = board(&catalogue);
    bencher.bench_local(|| search(&answers, &catalogue, &board, query));
}

/// Asked before, and seats sold or given back since on every departure; their publishing included.
#[divan::bench(args = QUERIES)]
fn sold_since(bencher: Bencher, query: &str) {
    let (catalogue, answers) = (demo(), Answers::default());
    let (board, departures) = board(&catalogue);
    let mut sales: Vec<Sale> =
        departures.into_iter().map(|(inventory, occupancy)| Sale::new(inventory, occupancy)).collect();
    bencher.bench_local(|| {
        for sale in &mut sales {
            sale.publish();
        }
        search(&answers, &catalogue, &board, query)
    });
}

/// Asked for the first time since the catalogue has changed.
#[divan::bench(args = QUERIES)]
fn first(bencher: Bencher, query: &str) {
    let catalogue = demo();
    let (board, _departures) = board(&catalogue);
    bencher.with_inputs(Answers::default).bench_local_refs(|answers| search(answers, &catalogue, &board, query));
}

/// Two seats of a departure, held and given back in turn.
struct Sale {
    occupancy: Arc<Occupancy>,
    /// With them held, and free.
    states: [Inventory; 2],
    seats: Vec<u16>,
    turn: usize,
}

impl Sale {
    fn new(free: Inventory, occupancy: Arc<Occupancy>) -> Sale {
        let mut held = free.clone();
        let place = PlaceHold {
            hold: HoldId { order: OrderId::from_bits(1), item: 0 },
            epoch: 1,
            channel: Channel::Direct,
            class: free.spec().seat_map.classes[0].code.clone(),
            stretch: Stretch { board: 0, alight: free.spec().calls.len() as u8 - 1 },
            ride: None,
            wanted: Wanted::Auto(2),
            expires_at: NOW.plus_seconds(600),
        };
        let events = held.decide(&Command::PlaceHold(place), NOW).unwrap();
        held.apply(&events, 1);
        let seats = events.iter().flat_map(Event::touched_seats).collect();
        Sale { occupancy, states: [held, free], seats, turn: 0 }
    }

    /// What the departure's actor does after each change.
    fn publish(&mut self) {
        self.occupancy.publish(&self.states[self.turn], self.seats.iter().copied());
        self.turn ^= 1;
    }
}

/// A vessel of 413 seats, ten in a row.
fn vessel(stops: usize) -> Inventory {
    let seat = |index: u16| {
        let (row, column) = (index / 10, (index % 10) as u8);
        Seat { label: format!("{}{}", row + 1, char::from(b'A' + column)), class: 0, row, column }
    };
    let classes = vec![SeatClass { code: "standard".parse().unwrap(), names: Names::same("Standard") }];
    let call = |stop: usize| {
        let at = NOW.plus_seconds(86_400 + 3_600 * stop as i64);
        Call { arrives_at: at, departs_at: at }
    };
    let spec = DepartureSpec {
        id: "HKMO-0800.20261124".parse().unwrap(),
        route: "HKMO".parse().unwrap(),
        operator: "TJ".parse().unwrap(),
        calls: (0..stops).map(call).collect(),
        booking_closes_minutes: 30,
        seat_map: Arc::new(SeatMap { classes, seats: (0..413).map(seat).collect() }),
    };
    Inventory::unborn(spec).unwrap()
}

/// Seats left along one stretch.
#[divan::bench(args = [2, 12, 64])]
fn available_of_413(bencher: Bencher, stops: usize) {
    let board = Board::default();
    let occupancy = board.open(&vessel(stops));
    let (class, whole) = ("standard".parse().unwrap(), Stretch { board: 0, alight: stops as u8 - 1 });
    bencher.bench_local(|| black_box(&occupancy).available(black_box(&class), black_box(whole)));
}

/// Two seats held, or given back, for the whole way: the dearest change there is.
#[divan::bench(args = [2, 12, 64])]
fn publish_two_of_413(bencher: Bencher, stops: usize) {
    let board = Board::default();
    let inventory = vessel(stops);
    let occupancy = board.open(&inventory);
    let mut sale = Sale::new(inventory, occupancy);
    bencher.bench_local(|| sale.publish());
}

/// The price of one trip for a family, tiers and time of day included.
#[divan::bench]
fn quote(bencher: Bencher) {
    let catalogue = demo();
    let place = |name| catalogue.place(name).unwrap();
    let trip = catalogue.trips(place("HK"), place("MO"), "2026-11-24".parse().unwrap()).next().unwrap();
    let classes = catalogue.departure_spec(&trip.departure_id()).unwrap().seat_map;
    let (class, party) = (&classes.classes[0].code, Party::new(2, 1, 0).unwrap());
    bencher.bench_local(|| catalogue.quote(&trip, class, black_box(party)).unwrap());
}

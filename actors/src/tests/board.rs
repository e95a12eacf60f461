//! What the board counts is what the inventory counts.

use std::sync::Arc;

use deeptravel_domain::departure::{Call, Channel, DepartureSpec, Seat, SeatClass, SeatMap, Stretch};
use deeptravel_domain::ids::{HoldId, OrderId, SeatClassCode};
use deeptravel_domain::inventory::{
    Allotment, Command, Event, HoldAt, Inventory, PlaceHold, SEATS_PER_HOLD_MAX, Wanted,
};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::names::Names;
use deeptravel_domain::time::Timestamp;
use proptest::prelude::*;

use crate::board::{Board, Occupancy, SeatsLeft};

const NOW: Timestamp = Timestamp::from_ms(1_770_000_000_000);
const CLASSES: [&str; 2] = ["standard", "deluxe"];

/// Rows of four, the classes by turns.
fn departure(stops: u8, seats: u16) -> Inventory {
    let seat = |index: u16| Seat {
        label: index.to_string(),
        class: (index / 4 % 2) as u8,
        row: index / 4,
        column: (index % 4) as u8,
    };
    let classes = CLASSES.map(|class| SeatClass { code: code(class), names: Names::same(class) });
    let call = |stop: u8| {
        let at = NOW.plus_seconds(86_400 + 3_600 * i64::from(stop));
        Call { arrives_at: at, departs_at: at }
    };
    let spec = DepartureSpec {
        id: "HKMO-0800.20260202".parse().unwrap(),
        route: "HKMO".parse().unwrap(),
        operator: "TJ".parse().unwrap(),
        calls: (0..stops).map(call).collect(),
        booking_closes_minutes: 30,
        seat_map: Arc::new(SeatMap { classes: classes.into(), seats: (0..seats).map(seat).collect() }),
    };
    Inventory::unborn(spec).unwrap()
}

fn code(class: &str) -> SeatClassCode {
    class.parse().unwrap()
}

fn stretches(stops: u8) -> impl Iterator<Item = Stretch> {
    (0..stops).flat_map(move |board| (board + 1..stops).map(move |alight| Stretch { board, alight }))
}

#[derive(Clone, Debug)]
enum Step {
    Hold { class: usize, board: u8, ways: u8, seats: u16 },
    Release(usize),
    SetAside { class: usize, seats: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, 0..63_u8, 1..63_u8, 1..=SEATS_PER_HOLD_MAX as u16)
            .prop_map(|(class, board, ways, seats)| Step::Hold { class, board, ways, seats }),
        3 => (0..30_usize).prop_map(Step::Release),
        1 => (0..2_usize, 0..6_u16).prop_map(|(class, seats)| Step::SetAside { class, seats }),
    ]
}

fn command(step: &Step, number: usize, stops: u8) -> Command {
    let hold = |number: usize| HoldId { order: OrderId::from_bits(number as u128), item: 0 };
    match step {
        Step::Hold { class, board, ways, seats } => {
            let board = board % (stops - 1);
            Command::PlaceHold(PlaceHold {
                hold: hold(number),
                epoch: 1,
                channel: Channel::Direct,
                class: code(CLASSES[*class]),
                stretch: Stretch { board, alight: board + 1 + (ways - 1) % (stops - 1 - board) },
                ride: None,
                wanted: Wanted::Auto(*seats),
                expires_at: NOW.plus_seconds(600),
            })
        }
        Step::Release(number) => Command::ReleaseHold(HoldAt { hold: hold(*number), epoch: 1 }),
        Step::SetAside { class, seats } => Command::SetAllotments(vec![Allotment {
            channel: Channel::Ota("partner".into()),
            class: code(CLASSES[*class]),
            seats: *seats,
        }]),
    }
}

/// The operator's own seats of a class that are free along a stretch, looked at one by one.
fn counted(inventory: &Inventory, class: &SeatClassCode, stretch: Stretch) -> u16 {
    let class = inventory.spec().seat_map.class(class);
    let seats = inventory.spec().seat_map.seats.iter().zip(0..).filter(|(place, _)| Some(place.class) == class);
    let is_free = |seat: u16| inventory.occupancy(seat) & stretch.mask() == 0;
    let own = |seat: u16| inventory.channel_of(seat) == Some(&Channel::Direct);
    seats.filter(|(_, seat)| own(*seat) && is_free(*seat)).count() as u16
}

fn assert_counts(occupancy: &Occupancy, inventory: &Inventory, stops: u8) {
    for stretch in stretches(stops) {
        let mut all = 0;
        for class in CLASSES {
            let counted = counted(inventory, &code(class), stretch);
            assert_eq!(occupancy.available(&code(class), stretch), counted, "{class} {stretch:?}");
            all += counted;
        }
        assert_eq!(occupancy.seats(stretch).filter(|free| *free).count(), usize::from(all), "{stretch:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn r_search_04_seats_left_are_counted_right_on_every_stretch(
        stops in prop_oneof![Just(2_u8), 3..7_u8, Just(64)],
        seats in 0..40_u16,
        steps in prop::collection::vec(step(), 0..30),
    ) {
        let (board, mut inventory) = (Board::default(), departure(stops, seats));
        let occupancy = board.open(&inventory);
        assert_counts(&occupancy, &inventory, stops);
        for (number, step) in steps.iter().enumerate() {
            let Ok(events) = inventory.decide(&command(step, number, stops), NOW) else { continue };
            inventory.apply(&events, 1);
            occupancy.publish(&inventory, events.iter().flat_map(Event::touched_seats));
        }
        assert_counts(&occupancy, &inventory, stops);
        // A departure that is loaded again counts anew.
        assert_counts(&board.open(&inventory), &inventory, stops);
    }
}

#[test]
fn a_class_or_stretch_that_the_departure_lacks_has_no_seats() {
    let board = Board::default();
    let occupancy = board.open(&departure(3, 8));
    let whole = Stretch { board: 0, alight: 2 };
    assert_eq!(occupancy.available(&code("standard"), whole), 4);
    assert_eq!(occupancy.available(&code("sleeper"), whole), 0);
    for (from, to) in [(0, 3), (2, 2), (2, 1), (7, 9)] {
        let lacked = Stretch { board: from, alight: to };
        assert_eq!(occupancy.available(&code("standard"), lacked), 0, "{lacked:?}");
        assert!(occupancy.seats(lacked).all(|free| !free), "{lacked:?}");
    }
}

#[test]
fn what_was_looked_up_follows_every_sale_and_a_new_edition_says_when_to_look_again() {
    let (board, mut inventory) = (Board::default(), departure(2, 8));
    let (id, whole) = (inventory.spec().id.clone(), Stretch { board: 0, alight: 1 });
    let ride = inventory.spec().ride(whole).unwrap();
    let look = |board: &Board| -> Vec<SeatsLeft> {
        let classes = [(code("standard"), 4), (code("sleeper"), 3)];
        board.seats_left(&id, whole, ride, classes.iter().map(|(class, all)| (class, *all))).collect()
    };
    let read = |left: &[SeatsLeft]| -> Vec<u16> { left.iter().map(SeatsLeft::now).collect() };
    let unborn = board.edition();
    assert_eq!(read(&look(&board)), [4, 3], "what the catalogue says");

    let occupancy = board.open(&inventory);
    assert_ne!(board.edition(), unborn);
    let (born, left) = (board.edition(), look(&board));
    assert_eq!(read(&left), [4, 0], "what the departure has");
    let hold = Step::Hold { class: 0, board: 0, ways: 1, seats: 3 };
    let events = inventory.decide(&command(&hold, 0, 2), NOW).unwrap();
    inventory.apply(&events, 1);
    occupancy.publish(&inventory, events.iter().flat_map(Event::touched_seats));
    assert_eq!((board.edition(), read(&left)), (born, vec![1, 0]));

    board.close(&id);
    assert_ne!(board.edition(), born);
}

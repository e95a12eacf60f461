//! Rows → machine → rows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;

use super::super::rows::{DepartureRow, HoldRow, InventoryRow};
use super::random::{STOPS, Sender, VESSEL, beginning, steps};
use super::*;

/// The newest image of every row, as the database has it.
#[derive(Default)]
struct Table {
    departure: Option<DepartureRow>,
    holds: BTreeMap<String, HoldRow>,
}

impl Table {
    /// Writes the images through their wire form. Whether an image is its row's first is no part of the row.
    fn write(&mut self, rows: Vec<InventoryRow>) {
        for row in rows {
            match row {
                InventoryRow::Departure(row) => {
                    let row = DepartureRow::decode(row.encode_to_vec().as_slice()).unwrap();
                    assert_eq!(row.first, self.departure.is_none());
                    let row = DepartureRow { first: false, ..row };
                    assert!(self.departure.replace(row).is_none_or(|before| before.version < self.version()));
                }
                InventoryRow::Hold(row) => {
                    let row = HoldRow::decode(row.encode_to_vec().as_slice()).unwrap();
                    let row = HoldRow { first: false, ..row };
                    let version = row.version;
                    let before = self.holds.insert(row.hold_id.clone(), row);
                    assert!(before.is_none_or(|before| before.version < version), "one image per row and record");
                }
            }
        }
    }

    fn version(&self) -> u64 {
        let holds: Vec<HoldRow> = self.holds.values().cloned().collect();
        key_version(self.departure.as_ref().unwrap(), &holds)
    }

    fn wake(&self, now: Timestamp) -> Result<Inventory, RowsError> {
        let holds: Vec<HoldRow> = self.holds.values().cloned().collect();
        Inventory::from_rows(self.departure.as_ref().unwrap(), &holds, now)
    }
}

/// All that `decide` looks at, with channels by name because their numbers may differ.
fn essence(inventory: &Inventory, now: Timestamp) -> String {
    let channels: Vec<_> = (0..inventory.places.len() as u16).map(|seat| inventory.channel_of(seat)).collect();
    let holds: BTreeMap<HoldId, _> = inventory
        .holds()
        .map(|(id, hold)| (id, (Hold { channel: 0, ..*hold }, inventory.channel(hold.channel).unwrap())))
        .collect();
    let ended: BTreeMap<_, _> = inventory.ended.iter().filter(|(_, ended)| ended.expires_at > now).collect();
    let forget: Vec<_> = inventory.forget.iter().filter(|(at, _)| *at > now).collect();
    let Inventory { spec, born, status, taken, deadlines, .. } = inventory;
    format!("{spec:?} {born} {status:?} {channels:?} {taken:?} {holds:?} {deadlines:?} {ended:?} {forget:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_machine_wakes_from_its_rows_as_it_was(steps in steps()) {
        let mut machine = Inventory::unborn(departure(STOPS, VESSEL)).unwrap();
        let mut table = Table::default();
        let mut sender = Sender::default();
        let mut now = beginning();
        let mut version = 0;
        for step in &steps {
            now = now.plus_ms(step.minutes_later * MINUTE);
            let command = sender.command(step, &machine, now);
            let events = machine.decide(&command, now).unwrap_or_default();
            if events.is_empty() {
                continue;
            }
            for event in &events {
                machine.evolve(event);
            }
            sender.done(&command);
            version += 1;
            table.write(machine.changed_rows(&events, version));
            prop_assert_eq!(table.version(), version, "every record writes a row");

            let woken = table.wake(now).unwrap();
            prop_assert_eq!(essence(&woken, now), essence(&machine, now));
            let departure = table.departure.clone().unwrap();
            let again = woken.changed_rows(&[Event::Opened], departure.version);
            prop_assert_eq!(again, [InventoryRow::Departure(DepartureRow { first: true, ..departure })]);
            for row in table.holds.values().filter(|row| row.ended_at.is_none()) {
                let id = row.hold_id.parse().unwrap();
                let again = woken.changed_rows(&[Event::HoldConfirmed { id }], row.version);
                prop_assert_eq!(again, [InventoryRow::Hold(row.clone())]);
            }
        }
    }
}

/// A departure with one sale, one hold, and one hold released.
fn table() -> Table {
    let mut story = Story::new(3, &["ss", "ss"]);
    let mut table = Table::default();
    let steps = [
        Command::PlaceHold(place(1, "AB", Wanted::Auto(2), at(0))),
        Command::ConfirmHold(hold_at(1)),
        Command::PlaceHold(place(2, "BC", Wanted::Auto(2), at(0))),
        Command::PlaceHold(place(3, "AC", Wanted::Auto(1), at(0))),
        Command::ReleaseHold(hold_at(3)),
    ];
    for (version, command) in (1..).zip(&steps) {
        let events = story.apply(command, at(0)).unwrap();
        table.write(story.0.changed_rows(&events, version));
    }
    table
}

#[test]
fn rows_say_in_words_where_every_hold_stands() {
    let mut table = table();
    let states: Vec<_> = table.holds.values().map(|row| (row.state.as_str(), row.seat_numbers.join(" "))).collect();
    assert_eq!(states, [("confirmed", "1A 1B".into()), ("held", "1A 1B".into()), ("released", "2A".into())]);
    assert_eq!(table.holds.values().map(|row| row.version).collect::<Vec<_>>(), [2, 3, 5]);

    let mut woken = Story(table.wake(at(5)).unwrap());
    let late = woken.place(&place(3, "AC", Wanted::Auto(1), at(0)), at(5));
    assert_eq!(late, Err(Rejection::HoldAlreadyReleased), "R-HOLD-10 also after a restart");
    let events = woken.apply(&Command::Expire, at(10)).unwrap();
    table.write(woken.0.changed_rows(&events, 6));
    let row = &table.holds[&hold_id(2).to_string()];
    assert_eq!((row.state.as_str(), row.ended_at), ("expired", Some(at(10).as_ms())));
}

#[test]
fn r_hold_04_rows_that_sell_a_seat_twice_are_refused_by_its_name() {
    let mut table = table();
    table.holds.get_mut(&hold_id(2).to_string()).unwrap().board_stop = 0;
    assert_eq!(table.wake(at(1)).unwrap_err(), RowsError::SeatTwice { hold: hold_id(2), seat: "1A".into() });
}

#[test]
fn rows_that_no_machine_can_have_written_are_refused() {
    let hold = |change: fn(&mut HoldRow)| {
        let mut table = table();
        change(table.holds.get_mut(&hold_id(2).to_string()).unwrap());
        match table.wake(at(1)).unwrap_err() {
            RowsError::Hold { column, .. } => column,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(hold(|row| row.hold_id.push('x')), "hold_id");
    assert_eq!(hold(|row| row.departure_id.push('x')), "departure_id");
    assert_eq!(hold(|row| row.state = "lost".into()), "state");
    assert_eq!(hold(|row| row.class_code = "x".into()), "class_code");
    assert_eq!(hold(|row| row.alight_stop = 1 << 20), "stretch");
    assert_eq!(hold(|row| row.channel = "ota:".into()), "channel");
    assert_eq!(hold(|row| row.seats[0] = 70_000), "seats");
    assert_eq!(hold(|row| row.seats[0] = 3), "seat_numbers");
    assert_eq!(hold(|row| row.freed_seats.push(0)), "freed_seats");

    let departure = |change: fn(&mut DepartureRow)| {
        let mut table = table();
        change(table.departure.as_mut().unwrap());
        match table.wake(at(1)).unwrap_err() {
            RowsError::Departure { column, .. } => column,
            RowsError::Spec { .. } => "spec",
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(departure(|row| row.status = "sunk".into()), "status");
    assert_eq!(departure(|row| row.calls.clear()), "spec");
    assert_eq!(departure(|row| row.seats[1].class = 300), "class of a seat");
    assert_eq!(departure(|row| row.channels.push("direct".into())), "channel");
    assert_eq!(departure(|row| row.seat_channels = vec![0, 1, 0, 0]), "seat_channels");
    assert_eq!(departure(|row| row.seat_channels = vec![0]), "seat_channels");

    let mut table = table();
    let row = table.holds[&hold_id(1).to_string()].clone();
    let holds = vec![row.clone(), row];
    let twice = Inventory::from_rows(table.departure.as_ref().unwrap(), &holds, at(1));
    assert_eq!(twice.unwrap_err(), RowsError::HoldTwice { hold: hold_id(1) });
    let departure = table.departure.as_mut().unwrap();
    departure.channels.push("ota:trip".into());
    departure.seat_channels = vec![0, 1, 0, 0];
    assert_eq!(table.wake(at(1)).unwrap_err(), RowsError::WrongPool { hold: hold_id(1), seat: "1B".into() });
}

#[test]
fn departures_with_the_same_vehicle_share_its_seat_map() {
    let known = Arc::new(seat_map(&["ss", "ss"]));
    let mut woken = table().wake(at(1)).unwrap();
    woken.share_seat_map(&known);
    assert!(Arc::ptr_eq(&woken.spec().seat_map, &known));
    woken.share_seat_map(&Arc::new(seat_map(&["ss"])));
    assert!(Arc::ptr_eq(&woken.spec().seat_map, &known));
}

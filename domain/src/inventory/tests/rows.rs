//! Rows → machine → rows.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::rows::{DepartureRow, HoldRow};
use super::random::{STOPS, Sender, VESSEL, beginning, steps};
use super::*;
use crate::row::tests::altered;
use crate::row::{Damage, List, Raw, Row as _, Rows, Table};
use crate::tables::{by_slot, newest_version};
use crate::testing::Images;

/// The newest image of every row, as the database has it.
#[derive(Default)]
struct Stored(Images);

impl Stored {
    fn write(&mut self, rows: &Rows) {
        for (slot, image) in rows.images() {
            let table = by_slot(slot).unwrap();
            let known = self.image(table, image);
            let version = |image: &[u8]| table.version(image).unwrap();
            assert!(known.is_none_or(|before| version(&before) < version(image)), "one image per row and record");
            if table == DepartureRow::TABLE {
                assert_eq!(table.is_first(image).unwrap(), self.0.of(table).next().is_none());
            }
        }
        self.0.keep(rows).unwrap();
    }

    /// The stored image of the same row.
    fn image(&self, table: &Table, image: &[u8]) -> Option<Vec<u8>> {
        let key = table.key(image).unwrap();
        self.0.of(table).find(|known| table.key(known).unwrap() == key).map(<[u8]>::to_vec)
    }

    fn version(&self) -> u64 {
        newest_version(&self.0.all()).unwrap()
    }

    fn wake(&self, now: Timestamp) -> Result<Inventory, Damage> {
        Inventory::from_rows(&self.0.all(), now)
    }

    fn holds(&self) -> Vec<HoldRow<'_>> {
        let mut holds: Vec<_> = self.0.of(HoldRow::TABLE).map(|image| HoldRow::read(image).unwrap()).collect();
        holds.sort_by_key(|row| (row.hold(), row.epoch));
        holds
    }

    /// Everything, with another value in a column of one row.
    fn spoilt(&self, table: &Table, key: &str, column: &str, value: Option<Raw<'_>>) -> Rows {
        let mut rows = Rows::default();
        for (slot, image) in self.0.all().images() {
            if slot == table.slot && table.key_text(image) == key {
                rows.put_image(slot, &altered(table, image, column, value));
            } else {
                rows.put_image(slot, image);
            }
        }
        rows
    }
}

/// All that a decision depends on, with channels by name because their numbers may differ.
fn essence(inventory: &Inventory, now: Timestamp) -> String {
    let channels: Vec<_> = (0..inventory.places.len() as u16).map(|seat| inventory.channel_of(seat)).collect();
    let holds: BTreeMap<HoldId, _> = inventory
        .holds()
        .map(|(id, Hold { life, takes })| {
            (id, (*life, HeldSeats { channel: 0, ..*takes }, inventory.channel(takes.channel).unwrap()))
        })
        .collect();
    let ended = inventory.holds.remembered(now);
    let deadlines: Vec<_> = inventory.holds.due(Timestamp::MAX).map(|(id, hold)| (hold.life.expires_at, id)).collect();
    let Inventory { spec, born, status, taken, retired, .. } = &forgetful(inventory);
    format!("{spec:?} {born} {status:?} {retired:?} {channels:?} {taken:?} {holds:?} {deadlines:?} {ended:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_machine_wakes_from_its_rows_as_it_was(steps in steps()) {
        let mut machine = Inventory::unborn(departure(STOPS, VESSEL)).unwrap();
        let mut table = Stored::default();
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
            table.write(&machine.changed_rows(&events, version));
            prop_assert_eq!(table.version(), version, "every record writes a row");

            let woken = table.wake(now).unwrap();
            prop_assert_eq!(essence(&woken, now), essence(&machine, now));
            let unmarked = |events: &[Event], table: &Table, version: u64| {
                let again = woken.changed_rows(events, version);
                let image = again.images_of(table).next().unwrap().to_vec();
                table.unmarked(&image).unwrap()
            };
            let departure = table.0.of(DepartureRow::TABLE).next().unwrap();
            let opened = DepartureRow::read(departure).unwrap().version;
            prop_assert_eq!(unmarked(&[Event::Opened], DepartureRow::TABLE, opened), departure);
            for image in table.0.of(HoldRow::TABLE) {
                let row = HoldRow::read(image).unwrap();
                if row.ended_at.is_none() {
                    let confirmed = Event::HoldConfirmed { id: row.hold() };
                    prop_assert_eq!(unmarked(&[confirmed], HoldRow::TABLE, row.version), image);
                }
            }
        }
    }
}

/// A departure with one sale, one hold, and one hold released.
fn table() -> Stored {
    let mut story = Story::new(3, &["ss", "ss"]);
    let mut table = Stored::default();
    let steps = [
        Command::PlaceHold(place(1, "AB", Wanted::Auto(2), at(0))),
        Command::ConfirmHold(hold_at(1)),
        Command::PlaceHold(place(2, "BC", Wanted::Auto(2), at(0))),
        Command::PlaceHold(place(3, "AC", Wanted::Auto(1), at(0))),
        Command::ReleaseHold(hold_at(3)),
    ];
    for (version, command) in (1..).zip(&steps) {
        let events = story.apply(command, at(0)).unwrap();
        table.write(&story.0.changed_rows(&events, version));
    }
    table
}

#[test]
fn rows_say_in_words_where_every_hold_stands() {
    let mut table = table();
    let states: Vec<_> =
        table.holds().iter().map(|row| (row.state.to_owned(), row.seat_numbers.to_vec().join(" "))).collect();
    let stands = |state: &str, seats: &str| (state.to_owned(), seats.to_owned());
    assert_eq!(states, [stands("confirmed", "1A 1B"), stands("held", "1A 1B"), stands("released", "2A")]);
    assert_eq!(table.holds().iter().map(|row| row.version).collect::<Vec<_>>(), [2, 3, 5]);

    let mut woken = Story(table.wake(at(5)).unwrap());
    let late = woken.place(&place(3, "AC", Wanted::Auto(1), at(0)), at(5));
    assert_eq!(late, Err(Rejection::HoldAlreadyReleased), "R-HOLD-10 also after a restart");
    let events = woken.apply(&Command::Expire, at(10)).unwrap();
    table.write(&woken.0.changed_rows(&events, 6));
    let holds = table.holds();
    let row = holds.iter().find(|row| row.hold() == hold_id(2)).unwrap();
    assert_eq!((row.state, row.ended_at), ("expired", Some(at(10))));
}

/// The key of the row of a hold that was placed once.
fn hold_key(number: u16) -> String {
    let HoldId { order, item } = hold_id(number);
    format!("{order}/{item}/1")
}

/// Where every row of a hold stands, by epoch.
fn epochs(table: &Stored, number: u16) -> Vec<(u32, String, String, Option<Timestamp>)> {
    let mut epochs: Vec<_> = table.holds().into_iter().filter(|row| row.hold() == hold_id(number)).collect();
    epochs.sort_by_key(|row| row.epoch);
    let says = |row: &HoldRow<'_>| (row.state.to_owned(), row.seat_numbers.to_vec().join(" "));
    epochs.iter().map(|row| (row.epoch, says(row).0, says(row).1, row.ended_at)).collect()
}

/// Places hold 1, and again after twelve minutes, when its time is over and no timer has run; the seats that it had first are
/// sold to hold 2. `write` is given each record.
fn placed_again(mut write: impl FnMut(&mut Stored, Rows)) -> (Inventory, Stored) {
    let (mut story, mut table) = (Story::new(3, &["ss", "ss"]), Stored::default());
    let again = PlaceHold { epoch: 2, ..place(1, "AC", chosen("2A 2B"), at(12)) };
    let steps = [
        (Command::PlaceHold(place(1, "AC", chosen("1A 1B"), at(0))), 0),
        (Command::PlaceHold(again), 12),
        (Command::PlaceHold(place(2, "AC", chosen("1A 1B"), at(13))), 13),
        (Command::ConfirmHold(hold_at(2)), 13),
    ];
    for (version, (command, minute)) in (1..).zip(&steps) {
        let events = story.apply(command, at(*minute)).unwrap();
        write(&mut table, story.0.changed_rows(&events, version));
    }
    (story.0, table)
}

#[test]
fn d16_a_hold_that_is_placed_again_keeps_the_row_of_its_earlier_epoch() {
    let (machine, mut table) = placed_again(|table, rows| table.write(&rows));
    let row = |epoch, state: &str, seats: &str, ended_at| (epoch, state.to_owned(), seats.to_owned(), ended_at);
    let had = row(1, "expired", "1A 1B", Some(at(12)));
    assert_eq!(epochs(&table, 1), [had.clone(), row(2, "held", "2A 2B", None)]);
    assert_eq!(essence(&table.wake(at(13)).unwrap(), at(13)), essence(&machine, at(13)));

    // Once more, now that it has not ended yet: it makes way.
    let mut woken = Story(table.wake(at(14)).unwrap());
    let third = PlaceHold { epoch: 3, ..place(1, "AC", chosen("2A"), at(14)) };
    let events = woken.apply(&Command::PlaceHold(third), at(14)).unwrap();
    table.write(&woken.0.changed_rows(&events, 5));
    let made_way = row(2, "released", "2A 2B", Some(at(14)));
    assert_eq!(epochs(&table, 1), [had, made_way, row(3, "held", "2A", None)]);
    assert_eq!(essence(&table.wake(at(14)).unwrap(), at(14)), essence(&woken.0, at(14)));
}

#[test]
fn rule_23_where_a_hold_made_way_in_an_older_release_its_later_epoch_counts() {
    let (machine, mut table) = placed_again(|table, rows| {
        // Older releases wrote one image of a hold, its newest.
        let mut newest = Rows::default();
        let mut seen = HashSet::new();
        for (slot, image) in rows.images() {
            if slot != HoldRow::TABLE.slot || seen.insert(HoldRow::read(image).unwrap().hold()) {
                newest.put_image(slot, image);
            }
        }
        table.write(&newest);
    });
    assert_eq!(epochs(&table, 1)[0].1, "held", "the row of its first epoch was left as it was");

    let woken = table.wake(at(13)).unwrap();
    assert_eq!(essence(&woken, at(13)), essence(&machine, at(13)));
    let mut story = Story(woken);
    assert_eq!([story.seats_of(hold_id(1)), story.seats_of(hold_id(2))], ["2A 2B", "1A 1B"]);

    // Also when the later epoch has ended.
    let events = story.apply(&Command::Expire, at(22)).unwrap();
    table.write(&story.0.changed_rows(&events, 5));
    let woken = Story(table.wake(at(23)).unwrap());
    assert_eq!([woken.seats_of(hold_id(1)), woken.seats_of(hold_id(2))], ["", "1A 1B"]);
}

/// What is wrong with a hold, or the departure, that has another value in a column.
fn damage(table: &'static Table, key: &str, column: &str, value: Raw<'_>) -> String {
    let rows = self::table().spoilt(table, key, column, Some(value));
    let damage = Inventory::from_rows(&rows, at(1)).unwrap_err();
    damage.what
}

#[test]
fn r_hold_04_rows_that_sell_a_seat_twice_are_refused_by_its_name() {
    let what = damage(HoldRow::TABLE, &hold_key(2), "board_stop", Raw::Number(0));
    assert_eq!(what, "seat 1A is another hold's on the same stretch, or is in the hold twice");
}

#[test]
fn rows_that_no_machine_can_have_written_are_refused() {
    let hold = |column, value| damage(HoldRow::TABLE, &hold_key(2), column, value);
    let text = |text: &'static str| Raw::Text(text.as_bytes());
    assert_eq!(hold("order_id", text("x")), "order_id cannot be read");
    assert_eq!(hold("departure_id", text("x")), "departure_id does not fit");
    assert_eq!(hold("state", text("lost")), "state does not fit");
    assert_eq!(hold("class_code", text("x")), "class_code does not fit");
    assert_eq!(hold("alight_stop", Raw::Number(1 << 20)), "alight_stop cannot be read");
    assert_eq!(hold("alight_stop", Raw::Number(200)), "stretch does not fit");
    assert_eq!(hold("channel", text("ota:")), "channel cannot be read");
    // Numbers of seats, packed: 70,000 and 1; 3 and 1; 0.
    assert_eq!(hold("seats", Raw::Text(&[0xf0, 0xa2, 4, 1])), "seats does not fit");
    assert_eq!(hold("seats", Raw::Text(&[3, 1])), "seat_numbers does not fit");
    assert_eq!(hold("freed_seats", Raw::Text(&[0])), "freed_seats does not fit");

    let stored = table();
    let key = DepartureRow::TABLE.key_text(stored.0.of(DepartureRow::TABLE).next().unwrap());
    let departure = |column, value| damage(DepartureRow::TABLE, &key, column, value);
    assert_eq!(departure("status", text("sunk")), "status cannot be read");
    // One call only; a seat of class 300; the first channel alone, and not the operator's own; seats of channels.
    assert_eq!(departure("calls", Raw::Text(&[])), SpecError::Stops(1).to_string());
    assert_eq!(departure("seat_map", Raw::Text(&[0x10, 0xac, 2])), "seat_map cannot be read");
    assert_eq!(departure("channels", text("ota:trip")), "channels does not fit");
    assert_eq!(departure("seat_channels", Raw::Text(&[0, 1, 0, 0])), "seat_channels does not fit");
    assert_eq!(departure("seat_channels", Raw::Text(&[0])), "seat_channels does not fit");
}

#[test]
fn holds_that_are_there_twice_or_have_seats_of_another_channel_are_refused() {
    let stored = table();
    let mut twice = stored.0.all();
    let first = stored.0.of(HoldRow::TABLE).next().unwrap();
    twice.put_image(HoldRow::TABLE.slot, first);
    assert_eq!(Inventory::from_rows(&twice, at(1)).unwrap_err().what, "it is there twice");

    let departure = DepartureRow::read(stored.0.of(DepartureRow::TABLE).next().unwrap()).unwrap();
    let channels = [Channel::Direct, Channel::Ota("trip".into())];
    let changed = DepartureRow { channels: List::Of(&channels), seat_channels: &[0, 1, 0, 0], ..departure };
    let mut rows = Rows::default();
    rows.put(&changed);
    stored.0.of(HoldRow::TABLE).for_each(|image| rows.put_image(HoldRow::TABLE.slot, image));
    let damage = Inventory::from_rows(&rows, at(1)).unwrap_err();
    assert_eq!((damage.key, damage.what), (hold_key(1), "seat 1B is of another class or channel".to_owned()));
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

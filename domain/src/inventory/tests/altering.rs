//! Stories of what an administrator changes of one departure (R-ADMIN-04).

use super::*;

/// Twelve seats of class `s`, and two of class `d` in front.
const FERRY: &[&str] = &["dd", "ss ss", "ss ss", "ss ss"];

impl Story {
    fn refit(&mut self, drawing: &[&str], now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let seats = Refit { vehicle: Arc::new(seat_map(drawing)), capacities: None };
        self.apply(&Command::Alter(Alteration { seats: Some(seats), stopped: None }), now)
    }

    fn limit(&mut self, capacities: &[(char, u16)], now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let of = |(letter, capacity): &(char, u16)| ClassCapacity { code: class(*letter), capacity: *capacity };
        let capacities = Some(capacities.iter().map(of).collect());
        let seats = Refit { vehicle: Arc::new(seat_map(FERRY)), capacities };
        self.apply(&Command::Alter(Alteration { seats: Some(seats), stopped: None }), now)
    }

    fn stop(&mut self, stopped: bool, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.apply(&Command::Alter(Alteration { seats: None, stopped: Some(stopped) }), now)
    }

    fn labels(&self) -> String {
        let seats = &self.0.spec().seat_map.seats;
        seats.iter().map(|seat| seat.label.as_str()).collect::<Vec<_>>().join(" ")
    }
}

fn below(uses: &str) -> Result<Vec<Event>, Rejection> {
    Err(Rejection::BelowUse { uses: uses.to_owned() })
}

#[test]
fn r_admin_04_a_vehicle_changed_under_sold_and_held_seats_is_refused_and_names_them() {
    let mut story = Story::new(3, FERRY);
    story.choose(1, "AB", "4D 4E", at(0)).unwrap();
    story.confirm(1, at(1)).unwrap();
    story.choose(2, "BC", "2A", at(1)).unwrap();
    let before = story.0.clone();

    assert_eq!(story.refit(&["dd", "ss ss", "ss ss"], at(2)), below("seat 4D is sold, 4E is sold"));
    assert_eq!(story.refit(&["dd", "ds ss", "ss ss", "ss"], at(2)), below("seat 2A is held, 4D is sold, 4E is sold"));
    assert_eq!(format!("{:?}", story.0), format!("{before:?}"), "nothing has changed");

    // The hold lapses, and what was sold is there: the second one may run.
    story.refit(&["dd", "ds ss", "ss ss", "ss ss"], at(12)).unwrap();
    assert_eq!(story.seats_of(hold_id(1)), "4D 4E");
    assert_eq!(story.0.hold(hold_id(2)), None);
}

#[test]
fn r_hold_04_another_vehicle_keeps_what_is_sold_on_its_stretch_and_replaces_free_seats() {
    let mut story = Story::new(3, FERRY);
    story.choose(1, "AB", "3A 3B", at(0)).unwrap();
    story.confirm(1, at(1)).unwrap();
    // A row more in front, which moves every seat on in the map.
    story.refit(&["ddd", "ss ss", "ss ss", "ss ss", "ss"], at(1)).unwrap();
    assert_eq!(story.seats_of(hold_id(1)), "3A 3B");
    assert_eq!((story.left("AB"), story.left("BC")), (12, 14), "sold on the first stretch only");
    assert_eq!(story.choose(2, "AB", "3A", at(2)), Err(Rejection::SeatTaken { seat: "3A".to_owned() }));
    assert_eq!(story.choose(3, "BC", "3A 5B", at(2)).unwrap(), "3A 5B");
}

#[test]
fn r_admin_04_seats_that_were_freed_may_go_and_are_still_the_holds() {
    let mut story = Story::new(2, FERRY);
    story.choose(1, "AB", "4D 4E", at(0)).unwrap();
    story.confirm(1, at(1)).unwrap();
    story.free(1, "4D 4E", at(2)).unwrap();
    story.refit(&["dd", "ss ss"], at(3)).unwrap();
    assert_eq!(story.free(1, "4D", at(4)), Ok(vec![]), "it is freed already");
    let hold = story.0.hold(hold_id(1)).unwrap().takes;
    assert_eq!(hold.freed_seats().map(|seat| story.0.label(seat)).collect::<Vec<_>>(), ["4D", "4E"]);
    // On board again, and nobody's.
    story.refit(FERRY, at(5)).unwrap();
    assert_eq!(story.left("AB"), 12);
    assert_eq!(story.choose(2, "AB", "4D", at(5)).unwrap(), "4D");
    assert_eq!(story.free(1, "4D", at(6)), Ok(vec![]));
    assert_eq!(story.seats_of(hold_id(2)), "4D", "R-HOLD-10");
}

#[test]
fn r_admin_04_a_capacity_closes_free_seats_from_the_back_and_opens_them_again() {
    let mut story = Story::new(2, FERRY);
    story.choose(1, "AB", "4E", at(0)).unwrap();
    story.limit(&[('s', 5)], at(1)).unwrap();
    assert_eq!(story.labels(), "1A 1B 2A 2B 2D 2E 4E", "other classes stay");
    assert_eq!(story.limit(&[('s', 5)], at(1)), Ok(vec![]));
    assert_eq!(story.limit(&[('s', 0)], at(1)), below("of s 1 are held, 0 sold, and 0 set aside for partners"));
    story.limit(&[('s', 7), ('d', 1)], at(1)).unwrap();
    assert_eq!(story.labels(), "1A 2A 2B 2D 2E 3A 3B 4E");
    assert_eq!(story.left("AB"), 6);
    for wrong in [&[('s', 13)][..], &[('x', 1)], &[('s', 1), ('s', 2)]] {
        let refused = story.limit(wrong, at(1)).unwrap_err();
        assert!(matches!(refused, Rejection::Field { ref field, .. } if field == "classes"), "{refused:?}");
    }
}

#[test]
fn r_admin_04_partners_keep_their_seats_in_another_vehicle_or_it_is_refused() {
    let mut story = Story::new(2, FERRY);
    story.allot("trip", 4, at(0)).unwrap();
    let of_trip = PlaceHold { channel: partner("trip"), ..place(1, "AB", chosen("4A"), at(0)) };
    story.place(&of_trip, at(0)).unwrap();
    story.confirm(1, at(0)).unwrap();
    let set_aside = |story: &Story| story.0.allotment(&class('s'), &partner("trip"));

    story.refit(&["dd", "ss ss", "ss", "ss"], at(1)).unwrap();
    assert_eq!((set_aside(&story), story.left("AB")), (4, 4));
    let short = "of s 0 are held, 1 sold, and 4 set aside for partners";
    assert_eq!(story.limit(&[('s', 3)], at(1)), below(short));
    assert_eq!(story.refit(&["dd", "", "", "ss"], at(1)), below(short));
    story.limit(&[('s', 4)], at(1)).unwrap();
    assert_eq!((set_aside(&story), story.left("AB")), (4, 0));

    let mut deluxe = Story::new(2, FERRY);
    let allotment = Allotment { channel: partner("trip"), class: class('d'), seats: 1 };
    deluxe.apply(&Command::SetAllotments(vec![allotment]), at(0)).unwrap();
    let none_left = "of d 0 are held, 0 sold, and 1 set aside for partners";
    assert_eq!(deluxe.refit(&["", "ss ss"], at(1)), below(none_left));
}

#[test]
fn r_admin_04_a_stopped_departure_takes_no_hold_and_lets_what_is_held_be_paid() {
    let mut story = Story::new(2, FERRY);
    story.auto(1, "AB", 2, at(0)).unwrap();
    assert_eq!(story.stop(true, at(1)), Ok(vec![Event::SaleStopped]));
    assert_eq!(story.stop(true, at(1)), Ok(vec![]));
    assert_eq!(story.auto(2, "AB", 1, at(1)), Err(Rejection::BookingClosed));
    story.pay(1, at(15), at(2)).unwrap();
    story.confirm(1, at(3)).unwrap();
    story.stop(false, at(4)).unwrap();
    story.auto(2, "AB", 1, at(4)).unwrap();

    story.apply(&Command::CancelDeparture, at(5)).unwrap();
    assert_eq!(story.stop(false, at(6)), Err(Rejection::DepartureCancelled), "nobody resumes it");
    assert_eq!(story.refit(FERRY, at(6)), Err(Rejection::DepartureCancelled));
}

#[test]
fn r_search_02_after_a_retiming_booking_closes_by_the_times_in_force() {
    let mut story = Story::new(3, FERRY);
    let calls = |minutes: i64| -> Vec<Call> {
        let later = |at: Timestamp| at.plus_seconds(60 * minutes);
        let old = departure(3, FERRY).calls;
        old.iter().map(|call| Call { arrives_at: later(call.arrives_at), departs_at: later(call.departs_at) }).collect()
    };
    let earlier = Command::Retime(calls(-120));
    story.apply(&earlier, at(0)).unwrap();
    assert_eq!(story.apply(&earlier, at(0)), Ok(vec![]));
    let before_the_old = DEPARTS_AT.plus_seconds(-60 * 60);
    assert_eq!(story.auto(1, "AB", 1, before_the_old), Err(Rejection::BookingClosed));
    story.apply(&Command::Retime(calls(120)), before_the_old).unwrap();
    story.auto(1, "AB", 1, DEPARTS_AT).unwrap();

    let mut crossed = calls(0);
    crossed[1].departs_at = crossed[0].departs_at;
    for wrong in [calls(0)[..2].to_vec(), crossed, calls(9 * 24 * 60)] {
        let refused = story.apply(&Command::Retime(wrong), at(1)).unwrap_err();
        assert!(matches!(refused, Rejection::Field { ref field, .. } if field == "calls"), "{refused:?}");
    }
    story.apply(&Command::CancelDeparture, at(5)).unwrap();
    assert_eq!(story.apply(&earlier, at(6)), Err(Rejection::DepartureCancelled));
}

#[test]
fn r_search_02_after_a_retiming_seats_are_for_who_travels_at_the_times_in_force() {
    let mut story = Story::new(3, FERRY);
    story.auto(1, "AB", 1, at(0)).unwrap();
    let request = place(2, "AB", Wanted::Auto(1), at(0));
    let old = story.0.spec().ride(request.stretch);
    let late = |at: Timestamp| at.plus_seconds(3_600);
    let calls = story.0.spec().calls.iter();
    let calls = calls.map(|call| Call { arrives_at: late(call.arrives_at), departs_at: late(call.departs_at) });
    story.apply(&Command::Retime(calls.collect()), at(0)).unwrap();

    let refused = story.place(&PlaceHold { ride: old, ..request.clone() }, at(0));

    assert_eq!(refused, Err(Rejection::DepartureNotFound));
    let ride = old.map(|old| Ride { departs_at: late(old.departs_at), arrives_at: late(old.arrives_at) });
    story.place(&PlaceHold { ride, ..request }, at(0)).unwrap();
    story.confirm(1, at(1)).unwrap();
}

#[test]
fn r_admin_04_pools_count_every_seat_once_as_sold_held_or_free() {
    let mut story = Story::new(3, FERRY);
    story.allot("trip", 4, at(0)).unwrap();
    story.choose(1, "AB", "2A 2B", at(0)).unwrap();
    story.confirm(1, at(0)).unwrap();
    story.choose(2, "BC", "2A 2D", at(0)).unwrap();
    let counts = |story: &Story, now| {
        let pools = story.0.pools(now);
        pools
            .iter()
            .map(|of| format!("{} {} {} {} {}", of.class.code, of.channel, of.seats, of.held, of.sold))
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&story, at(1)), ["d direct 2 0 0", "s direct 8 1 2", "s ota:trip 4 0 0"]);
    assert_eq!(counts(&story, at(11)), ["d direct 2 0 0", "s direct 8 0 2", "s ota:trip 4 0 0"], "the hold is over");
}

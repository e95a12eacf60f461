use super::*;
use crate::departure::Ride;

const COACH: &[&str] = &["ss ss", "ss ss", "ss ss"];

fn sold_out(wanted: u16, available: u16) -> Rejection {
    Rejection::SoldOut { of: Sold::Seats, wanted, available }
}

#[test]
fn the_first_hold_opens_the_departure_and_a_refusal_does_not() {
    let mut story = Story::new(2, COACH);
    assert_eq!(story.auto(1, "AC", 1, at(0)), Err(Rejection::field("alightStop", "is not a stop after boardStop")));
    assert!(!story.0.is_born());
    let events = story.apply(&Command::PlaceHold(place(1, "AB", Wanted::Auto(2), at(0))), at(0)).unwrap();
    assert!(matches!(events.as_slice(), [Event::Opened, Event::HoldPlaced { .. }]), "{events:?}");
    assert!(story.0.is_born());
    let events = story.apply(&Command::PlaceHold(place(2, "AB", Wanted::Auto(2), at(0))), at(0)).unwrap();
    assert!(matches!(events.as_slice(), [Event::HoldPlaced { .. }]), "{events:?}");
    assert_eq!(events[0].touched_seats().collect::<Vec<_>>(), story.0.hold(hold_id(2)).unwrap().takes.seats.as_slice());
}

#[test]
fn r_hold_02_a_party_that_does_not_fit_gets_none_of_the_seats() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 10, at(0)).unwrap();
    assert_eq!(story.auto(2, "AB", 3, at(0)), Err(sold_out(3, 2)));
    assert_eq!(story.left("AB"), 2);
    assert_eq!(story.auto(2, "AB", 2, at(0)).unwrap(), "3D 3E");
    assert_eq!(story.auto(3, "AB", 1, at(0)), Err(sold_out(1, 0)));
}

#[test]
fn r_hold_03_expired_lock_frees_the_seats_at_the_timer() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 10, at(0)).unwrap();
    assert_eq!(story.0.next_deadline(), Some(at(10)));
    assert_eq!(story.apply(&Command::Expire, at(9)), Ok(vec![]));
    let events = story.apply(&Command::Expire, at(10)).unwrap();
    assert!(matches!(events.as_slice(), [Event::HoldLapsed { .. }]), "{events:?}");
    assert_eq!(story.left("AB"), 12);
    assert_eq!(story.0.next_deadline(), None);
    assert_eq!(story.confirm(1, at(10)), Err(Rejection::HoldNotFound));
}

#[test]
fn r_hold_03_the_next_buyer_gets_the_seats_of_an_expired_lock_before_the_timer_comes() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 10, at(0)).unwrap();
    story.auto(2, "AB", 2, at(5)).unwrap();
    let events = story.apply(&Command::PlaceHold(place(3, "AB", Wanted::Auto(10), at(10))), at(10)).unwrap();
    assert!(
        matches!(events.as_slice(), [Event::HoldLapsed { id, .. }, Event::HoldPlaced { .. }] if *id == hold_id(1)),
        "only the one that is due: {events:?}"
    );
    assert_eq!(story.auto(4, "AB", 1, at(10)), Err(sold_out(1, 0)));
    assert_eq!(story.confirm(1, at(10)), Err(Rejection::HoldNotFound));
    assert_eq!(story.auto(1, "AB", 11, at(16)), Err(Rejection::field("seats", "is 1 to 10")));
    assert_eq!(story.choose(5, "AB", "3D 3E", at(15)).unwrap(), "3D 3E", "also when they are chosen");
}

#[test]
fn r_hold_03_the_timer_takes_many_expired_locks_in_turns() {
    let mut story = Story::new(2, &["ssssss"; 100]);
    for number in 0..600 {
        story.auto(number, "AB", 1, at(0)).unwrap();
    }
    assert_eq!(story.apply(&Command::Expire, at(10)).unwrap().len(), LAPSES_PER_TURN_MAX);
    assert_eq!(story.0.next_deadline(), Some(at(10)), "the rest is still due");
    assert_eq!(story.apply(&Command::Expire, at(10)).unwrap().len(), 600 - LAPSES_PER_TURN_MAX);
    assert_eq!((story.left("AB"), story.0.next_deadline()), (600, None));
}

#[test]
fn r_hold_03_cancelling_frees_the_seats() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 3, at(0)).unwrap();
    let events = story.release(1, at(1)).unwrap();
    assert!(matches!(events.as_slice(), [Event::HoldReleased { .. }]));
    assert_eq!(story.left("AB"), 12);
    assert_eq!(story.release(1, at(2)), Ok(vec![]), "it is already so");
    assert_eq!(story.confirm(1, at(2)), Err(Rejection::HoldAlreadyReleased));
    assert_eq!(story.pay(1, at(15), at(2)), Err(Rejection::HoldAlreadyReleased));
}

#[test]
fn r_hold_04_a_chosen_seat_is_sold_once() {
    let mut story = Story::new(2, COACH);
    story.choose(1, "AB", "1A 1B", at(0)).unwrap();
    let taken = Err(Rejection::SeatTaken { seat: "1B".into() });
    assert_eq!(story.choose(2, "AB", "2A 1B", at(0)), taken);
    story.confirm(1, at(1)).unwrap();
    assert_eq!(story.choose(2, "AB", "2A 1B", at(20)), taken, "a sale does not expire");
    assert_eq!(story.left("AB"), 10, "2A was not touched");
}

#[test]
fn r_hold_04_repeating_a_step_is_already_so() {
    let mut story = Story::new(2, COACH);
    let request = place(1, "AB", Wanted::Auto(2), at(0));
    story.place(&request, at(0)).unwrap();
    for (step, now) in [(None, 1), (Some("pay"), 2), (Some("confirm"), 3)] {
        match step {
            Some("pay") => {
                assert_eq!(story.pay(1, at(15), at(now)).unwrap().len(), 1);
                assert_eq!(story.pay(1, at(15), at(now)), Ok(vec![]));
                assert_eq!(story.pay(1, at(12), at(now)), Ok(vec![]), "a hold is never shortened");
            }
            Some(_) => {
                assert_eq!(story.confirm(1, at(now)).unwrap().len(), 1);
                assert_eq!(story.confirm(1, at(now)), Ok(vec![]));
            }
            None => {}
        }
        assert_eq!(story.apply(&Command::PlaceHold(request.clone()), at(now)), Ok(vec![]), "after {step:?}");
    }
    assert_eq!(story.seats_of(hold_id(1)), "1A 1B");
    assert_eq!(story.left("AB"), 10);
    assert_eq!(story.release(1, at(4)), Err(Rejection::HoldAlreadyConfirmed));
    assert_eq!(story.pay(1, at(20), at(4)), Err(Rejection::HoldAlreadyConfirmed));
    let other = PlaceHold { wanted: Wanted::Auto(3), ..request };
    assert!(matches!(story.place(&other, at(4)), Err(Rejection::Field { field, .. }) if field == "epoch"));
}

#[test]
fn r_hold_09_a_hold_whose_payment_was_begun_never_lapses() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 10, at(0)).unwrap();
    story.pay(1, at(15), at(9)).unwrap();
    assert_eq!(story.0.next_deadline(), None);
    assert_eq!(story.0.overdue(at(14)), vec![]);
    assert_eq!(story.apply(&Command::Expire, at(60)), Ok(vec![]));
    assert_eq!(story.auto(2, "AB", 3, at(60)), Err(sold_out(3, 2)));
    assert_eq!(story.0.overdue(at(60)), vec![hold_id(1)], "an alarm, never a release");
    assert!(story.confirm(1, at(60)).is_ok(), "paid in the last moment");
    assert_eq!(story.0.overdue(at(60)), vec![]);
}

#[test]
fn r_hold_09_after_the_confirmed_close_the_seats_of_a_begun_payment_are_released() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 10, at(0)).unwrap();
    story.pay(1, at(15), at(9)).unwrap();
    assert_eq!(story.release(1, at(16)).unwrap().len(), 1);
    assert_eq!(story.left("AB"), 12);
    assert_eq!(story.release(1, at(17)), Ok(vec![]));
}

#[test]
fn r_hold_10_a_late_message_cannot_touch_seats_that_have_gone_to_somebody_else() {
    let mut story = Story::new(2, COACH);
    let first = place(1, "AB", Wanted::Auto(2), at(0));
    story.place(&first, at(0)).unwrap();
    story.release(1, at(1)).unwrap();
    assert_eq!(story.place(&first, at(2)), Err(Rejection::HoldAlreadyReleased), "the placing comes again, late");
    assert_eq!(story.auto(2, "AB", 2, at(3)).unwrap(), "1A 1B");
    assert_eq!(story.release(1, at(4)), Ok(vec![]));
    assert_eq!(story.seats_of(hold_id(2)), "1A 1B");
    assert_eq!(story.place(&first, at(10)), Err(Rejection::HoldExpired), "and later still");
    assert_eq!(story.confirm(1, at(10).plus_ms(-1)), Err(Rejection::HoldAlreadyReleased));
    assert_eq!(story.confirm(1, at(10)), Err(Rejection::HoldNotFound), "its time is over and it is forgotten");
}

#[test]
fn r_hold_10_a_higher_epoch_replaces_what_the_order_gave_up() {
    let mut story = Story::new(2, &["ss"]);
    let first = place(1, "AB", Wanted::Auto(2), at(0));
    story.place(&first, at(0)).unwrap();
    let second = PlaceHold { epoch: 2, wanted: chosen("1B"), ..first.clone() };
    let events = story.apply(&Command::PlaceHold(second), at(1)).unwrap();
    assert!(matches!(events.as_slice(), [Event::HoldReleased { .. }, Event::HoldPlaced { .. }]), "{events:?}");
    assert_eq!(story.seats_of(hold_id(1)), "1B");
    assert_eq!(story.left("AB"), 1);
    let third = PlaceHold { epoch: 3, wanted: Wanted::Auto(3), ..first.clone() };
    assert_eq!(story.place(&third, at(2)), Err(sold_out(3, 2)));
    assert_eq!(story.seats_of(hold_id(1)), "1B", "a refusal changes nothing");
    story.apply(&Command::ConfirmHold(HoldAt { epoch: 2, ..hold_at(1) }), at(3)).unwrap();
    let fourth = PlaceHold { epoch: 4, wanted: Wanted::Auto(1), ..first };
    assert_eq!(story.place(&fourth, at(4)), Err(Rejection::HoldAlreadyConfirmed));
}

#[test]
fn r_search_06_a_seat_sold_a_to_c_sells_again_c_to_e_never_b_to_d() {
    let mut story = Story::new(5, &["s"]);
    assert_eq!(story.auto(1, "AC", 1, at(0)).unwrap(), "1A");
    story.confirm(1, at(0)).unwrap();
    assert_eq!(story.auto(2, "BD", 1, at(1)), Err(sold_out(1, 0)));
    assert_eq!(story.choose(2, "BD", "1A", at(1)), Err(Rejection::SeatTaken { seat: "1A".into() }));
    assert_eq!((story.left("AE"), story.left("BD"), story.left("CE")), (0, 0, 1));
    assert_eq!(story.auto(3, "CE", 1, at(1)).unwrap(), "1A");
    assert_eq!(story.0.occupancy(0), 0b1111);
}

#[test]
fn after_sales_puts_a_part_of_a_sale_back_on_sale() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 3, at(0)).unwrap();
    assert!(matches!(story.free(1, "1A", at(1)), Err(Rejection::Field { field, .. }) if field == "hold"));
    story.confirm(1, at(1)).unwrap();
    assert!(matches!(story.free(1, "3E", at(2)), Err(Rejection::Field { field, .. }) if field == "seatNumbers"));
    assert_eq!(story.free(1, "1A 1A", at(2)).unwrap().len(), 1);
    assert_eq!(story.free(1, "1A", at(3)), Ok(vec![]), "it is already so");
    assert_eq!(story.seats_of(hold_id(1)), "1B 1D");
    assert_eq!(story.choose(2, "AB", "1A", at(4)).unwrap(), "1A");
    assert_eq!(story.free(1, "1A 1B", at(5)).unwrap()[0].touched_seats().collect::<Vec<_>>(), [1]);
    assert_eq!(story.0.occupancy(0), 1, "the seat's next holder keeps it");
    assert_eq!(story.free(9, "1A", at(5)), Err(Rejection::HoldNotFound));
}

#[test]
fn booking_closes_before_the_departure_from_the_first_stop_of_the_stretch() {
    let mut story = Story::new(3, COACH);
    let closes_at = DEPARTS_AT.plus_seconds(-30 * 60);
    story.auto(1, "AB", 1, closes_at.plus_ms(-1)).unwrap();
    assert_eq!(story.auto(2, "AB", 1, closes_at), Err(Rejection::BookingClosed));
    assert!(story.auto(2, "BC", 1, closes_at).is_ok(), "an hour later");
    assert!(story.confirm(1, closes_at).is_ok(), "what is held can still be bought");
}

#[test]
fn a_cancelled_departure_takes_no_holds_and_begins_no_payments() {
    let mut story = Story::new(2, COACH);
    story.auto(1, "AB", 1, at(0)).unwrap();
    story.auto(2, "AB", 1, at(0)).unwrap();
    story.pay(2, at(15), at(0)).unwrap();
    assert_eq!(story.apply(&Command::CancelDeparture, at(1)), Ok(vec![Event::DepartureCancelled]));
    assert_eq!(story.apply(&Command::CancelDeparture, at(1)), Ok(vec![]));
    assert_eq!(story.auto(3, "AB", 1, at(2)), Err(Rejection::DepartureCancelled));
    assert_eq!(story.pay(1, at(15), at(2)), Err(Rejection::DepartureCancelled));
    assert_eq!(story.pay(2, at(15), at(2)), Ok(vec![]));
    assert!(story.confirm(2, at(2)).is_ok(), "the money came; after-sales gives it back");
    assert!(story.release(1, at(2)).is_ok());
}

#[test]
fn where_several_refusals_apply_the_first_of_the_list_is_answered() {
    let mut story = Story::new(2, &["s"]);
    let unknown = |field: &str, result: Result<String, Rejection>| {
        assert!(matches!(&result, Err(Rejection::Field { field: named, .. }) if named == field), "{field}: {result:?}");
    };
    let old = PlaceHold { expires_at: at(-1), ..place(1, "AB", Wanted::Auto(1), at(0)) };
    assert_eq!(story.place(&old, at(0)), Err(Rejection::HoldExpired));
    story.place(&PlaceHold { epoch: 2, expires_at: at(10), ..old.clone() }, at(0)).unwrap();
    assert_eq!(story.place(&old, at(0)), Err(sold_out(1, 0)), "an earlier epoch does not make the later one give way");
    let late = DEPARTS_AT;
    assert_eq!(story.place(&old, late), Err(Rejection::BookingClosed));
    story.apply(&Command::CancelDeparture, at(1)).unwrap();
    assert_eq!(story.place(&old, late), Err(Rejection::DepartureCancelled));
    unknown("seatClass", story.place(&PlaceHold { class: class('x'), ..old.clone() }, late));
    unknown("alightStop", story.auto(1, "AC", 1, late));
    unknown("alightStop", story.auto(1, "BA", 1, late));
    unknown("alightStop", story.place(&PlaceHold { stretch: Stretch { board: 200, alight: 255 }, ..old }, late));
    unknown("seats", story.auto(1, "AB", 0, late));
    unknown("seats", story.auto(1, "AB", 11, late));
    unknown("seatNumbers", story.choose(1, "AB", "9Z", late));
    unknown("seatNumbers", story.choose(1, "AB", "1A 1A", late));
    unknown("seatNumbers", story.place(&place(1, "AB", Wanted::Chosen(vec![]), late), late));
}

#[test]
fn r_admin_04_each_channel_sells_its_own_seats_only() {
    let mut story = Story::new(2, COACH);
    let events = story.allot("trip", 4, at(0)).unwrap();
    assert!(matches!(events.as_slice(), [Event::Opened, Event::SeatsAllotted { moves }] if moves.len() == 4));
    assert_eq!(story.allot("trip", 4, at(0)), Ok(vec![]), "it is already so");
    assert_eq!((story.left("AB"), story.0.allotment(&class('s'), &partner("trip"))), (8, 4));
    assert_eq!(story.choose(1, "AB", "3A", at(0)), Err(Rejection::SeatTaken { seat: "3A".into() }));
    let of_trip = |number, wanted| PlaceHold { channel: partner("trip"), ..place(number, "AB", wanted, at(0)) };
    assert_eq!(story.place(&of_trip(1, Wanted::Auto(5)), at(0)), Err(sold_out(5, 4)));
    assert_eq!(story.place(&of_trip(1, Wanted::Auto(3)), at(0)).unwrap(), "3A 3B 3D");
    assert_eq!(story.auto(2, "AB", 9, at(0)), Err(sold_out(9, 8)));
    let of_nobody = PlaceHold { channel: partner("nobody"), ..place(3, "AB", Wanted::Auto(1), at(0)) };
    assert_eq!(story.place(&of_nobody, at(0)), Err(sold_out(1, 0)));
    let states = |channel| story.0.seat_states(stretch("AB"), &channel).map(|(_, state)| state).collect::<Vec<_>>();
    assert_eq!(states(partner("trip"))[7..], {
        use SeatState::{Free, NotForSale, Taken};
        [NotForSale, Taken, Taken, Taken, Free]
    });
}

#[test]
fn r_admin_04_an_allotment_never_falls_below_what_is_in_use() {
    let mut story = Story::new(3, COACH);
    story.allot("trip", 4, at(0)).unwrap();
    let of_trip = PlaceHold { channel: partner("trip"), ..place(1, "AB", Wanted::Auto(3), at(0)) };
    story.place(&of_trip, at(0)).unwrap();
    let below = |uses: &str| Err(Rejection::BelowUse { uses: uses.to_owned() });
    assert_eq!(story.allot("trip", 2, at(1)), below("of 4 seats of s for ota:trip 3 are held and 0 sold"));
    assert_eq!(story.0.allotment(&class('s'), &partner("trip")), 4, "nothing has changed");
    assert!(story.allot("trip", 3, at(1)).is_ok());
    story.auto(2, "BC", 5, at(1)).unwrap();
    story.auto(3, "BC", 2, at(1)).unwrap();
    story.confirm(3, at(1)).unwrap();
    let of_own = below("of 9 seats of s for direct 5 are held and 2 sold");
    assert_eq!(story.allot("trip", 6, at(1)), of_own, "the operator has 2 whole seats left");
    assert_eq!(story.allot("trip", 13, at(1)), of_own);
    assert!(story.allot("trip", 5, at(1)).is_ok());
    assert!(story.allot("trip", 0, at(11)).is_ok(), "the hold lapsed in the meantime");
    assert_eq!(story.0.allotment(&class('s'), &Channel::Direct), 12);
}

#[test]
fn r_admin_04_one_change_can_pass_seats_from_one_partner_to_another() {
    let mut story = Story::new(2, COACH);
    let set = |trip, klook| {
        let of = |name, seats| Allotment { channel: partner(name), class: class('s'), seats };
        Command::SetAllotments(vec![of("klook", klook), of("trip", trip)])
    };
    story.apply(&set(12, 0), at(0)).unwrap();
    story.apply(&set(5, 7), at(1)).unwrap();
    let counts = ["trip", "klook"].map(|name| story.0.allotment(&class('s'), &partner(name)));
    assert_eq!(counts, [5, 7]);
    for allotments in [
        vec![Allotment { channel: Channel::Direct, class: class('s'), seats: 1 }],
        vec![Allotment { channel: partner("trip"), class: class('x'), seats: 1 }],
        vec![Allotment { channel: partner("trip"), class: class('s'), seats: 1 }; 2],
        vec![Allotment { channel: partner(""), class: class('s'), seats: 1 }],
    ] {
        let refused = story.apply(&Command::SetAllotments(allotments), at(2));
        assert!(matches!(refused, Err(Rejection::Field { .. })), "{refused:?}");
    }
}

#[test]
fn a_departure_that_cannot_be_is_refused() {
    let refused = |stops, change: fn(&mut SeatMap)| {
        let mut spec = departure(stops, COACH);
        change(Arc::make_mut(&mut spec.seat_map));
        Inventory::unborn(spec).unwrap_err()
    };
    assert_eq!(refused(1, |_| ()), SpecError::Stops(1));
    assert_eq!(refused(65, |_| ()), SpecError::Stops(65));
    assert_eq!(refused(2, |map| map.seats.swap(0, 1)), SpecError::SeatOrder("1A".into()));
    assert_eq!(refused(2, |map| map.seats[1].label = "1A".into()), SpecError::SeatLabel("1A".into()));
    assert_eq!(refused(2, |map| map.seats[1].class = 1), SpecError::UnknownClass("1B".into()));
    assert!(Inventory::unborn(departure(64, COACH)).is_ok());
}

#[test]
fn r_admin_04_who_asks_for_another_ride_than_the_departure_does_gets_no_seat() {
    let mut story = Story::new(3, COACH);
    let request = place(1, "AB", Wanted::Auto(1), at(0));
    let ride = story.0.spec().ride(request.stretch);
    let later = ride.map(|ride| Ride { arrives_at: ride.arrives_at.plus_seconds(60), ..ride });
    let refused = story.place(&PlaceHold { ride: later, ..request.clone() }, at(0));
    assert_eq!(refused, Err(Rejection::DepartureNotFound));
    story.place(&PlaceHold { ride, ..request }, at(0)).unwrap();
}

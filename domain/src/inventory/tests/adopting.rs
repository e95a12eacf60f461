//! R-HOLD-07: an order takes the place of a reservation.

use super::*;

const COACH: &[&str] = &["ss ss", "ss ss", "dd"];

/// The reservation of these stories, and the order's hold that adopts it.
const RESERVATION: u16 = 1;
const ORDER: u16 = 2;

/// An order that asks for a lock of ten minutes adopts so many seats.
fn adopt(number: u16, stops: &str, seats: u16, now: Timestamp) -> PlaceHold {
    place(number, stops, Wanted::Reserved { reservation: hold_id(RESERVATION), seats }, now)
}

/// Two seats are reserved until `at(10)`.
fn reserved() -> Story {
    let mut story = Story::new(3, COACH);
    assert_eq!(story.auto(RESERVATION, "AB", 2, at(0)).unwrap(), "1A 1B");
    story
}

#[test]
fn r_hold_07_an_order_adopts_a_reservation_in_one_step_with_its_seats_and_the_time_that_is_left() {
    let mut story = reserved();

    let events = story.apply(&Command::PlaceHold(adopt(ORDER, "AB", 2, at(4))), at(4)).unwrap();

    assert!(
        matches!(events.as_slice(), [Event::HoldReleased { id, .. }, Event::HoldPlaced { .. }] if *id == hold_id(RESERVATION)),
        "one decision: {events:?}"
    );
    assert_eq!((story.seats_of(hold_id(ORDER)), story.seats_of(hold_id(RESERVATION))), ("1A 1B".into(), String::new()));
    assert_eq!(story.left("AB"), 6);
    assert_eq!(story.0.next_deadline(), Some(at(10)), "and not ten minutes from now");
    assert_eq!(story.apply(&Command::PlaceHold(adopt(ORDER, "AB", 2, at(5))), at(5)), Ok(vec![]), "it is already so");
    story.confirm(ORDER, at(9)).unwrap();
    assert_eq!(story.apply(&Command::Expire, at(10)), Ok(vec![]), "nothing of it lapses");
}

#[test]
fn r_hold_07_an_order_that_holds_for_less_time_than_is_left_ends_when_it_says() {
    let mut story = reserved();
    let hasty = PlaceHold { expires_at: at(6), ..adopt(ORDER, "AB", 2, at(4)) };
    assert_eq!(story.place(&hasty, at(4)).unwrap(), "1A 1B");
    assert_eq!(story.0.next_deadline(), Some(at(6)));
}

#[test]
fn r_hold_07_a_reservation_is_adopted_in_its_last_instant_and_not_in_the_next_one() {
    let last = at(10).plus_ms(-1);
    let mut story = reserved();
    assert_eq!(story.place(&adopt(ORDER, "AB", 2, last), last).unwrap(), "1A 1B");
    assert_eq!(story.0.next_deadline(), Some(at(10)));

    let mut story = reserved();
    assert_eq!(story.place(&adopt(ORDER, "AB", 2, at(10)), at(10)), Err(Rejection::HoldExpired), "swept or not");
    story.apply(&Command::Expire, at(10)).unwrap();
    assert_eq!(story.place(&adopt(ORDER, "AB", 2, at(10)), at(10)), Err(Rejection::HoldExpired));
    assert_eq!(story.left("AB"), 8);
}

#[test]
fn r_hold_07_of_two_orders_one_adopts_a_reservation() {
    let mut story = reserved();
    story.place(&adopt(ORDER, "AB", 2, at(1)), at(1)).unwrap();
    assert_eq!(story.place(&adopt(3, "AB", 2, at(1)), at(1)), Err(Rejection::ReservationEnded));
    assert_eq!(story.left("AB"), 6);
    assert_eq!(story.place(&adopt(3, "AB", 2, at(10)), at(10)), Err(Rejection::HoldExpired), "its time is over");
}

#[test]
fn r_hold_07_who_comes_second_of_adoption_and_release_changes_nothing() {
    let mut story = reserved();
    story.place(&adopt(ORDER, "AB", 2, at(1)), at(1)).unwrap();
    assert_eq!(story.release(RESERVATION, at(1)), Ok(vec![]));
    assert_eq!((story.seats_of(hold_id(ORDER)), story.left("AB")), ("1A 1B".into(), 6));

    let mut story = reserved();
    story.release(RESERVATION, at(1)).unwrap();
    assert_eq!(story.place(&adopt(ORDER, "AB", 2, at(1)), at(1)), Err(Rejection::ReservationEnded));
    assert_eq!(story.left("AB"), 8);
}

#[test]
fn r_hold_07_a_reservation_of_other_seats_than_the_order_wants_stays_as_it_is() {
    let mut story = reserved();
    let other = Err(Rejection::field("reservationId", "holds other seats"));
    assert_eq!(story.place(&adopt(ORDER, "AB", 3, at(1)), at(1)), other);
    assert_eq!(story.place(&adopt(ORDER, "AC", 2, at(1)), at(1)), other);
    let deluxe = PlaceHold { class: class('d'), ..adopt(ORDER, "AB", 2, at(1)) };
    assert_eq!(story.place(&deluxe, at(1)), other);
    let partners = PlaceHold { channel: partner("trip"), ..adopt(ORDER, "AB", 2, at(1)) };
    assert_eq!(story.place(&partners, at(1)), other);
    assert_eq!(story.seats_of(hold_id(RESERVATION)), "1A 1B");
}

#[test]
fn r_hold_07_a_departure_that_sells_nothing_more_lets_no_reservation_be_adopted() {
    let mut story = reserved();
    story.apply(&Command::CancelDeparture, at(1)).unwrap();
    assert_eq!(story.place(&adopt(ORDER, "AB", 2, at(1)), at(1)), Err(Rejection::DepartureCancelled));

    let (closes, mut story) = (DEPARTS_AT.plus_ms(-30 * MINUTE), Story::new(2, COACH));
    story.auto(RESERVATION, "AB", 2, closes.plus_ms(-MINUTE)).unwrap();
    assert_eq!(story.place(&adopt(ORDER, "AB", 2, closes), closes), Err(Rejection::BookingClosed));
}

use super::*;
use crate::rejection::{Sold, Uses};

const DIRECT: Channel = Channel::Direct;

/// More is in use than a change would leave.
fn below_use(held: u32, sold: u32) -> Rejection {
    Rejection::BelowUse { uses: format!("{held} are held and {sold} are sold") }
}

fn sold_out(wanted: u16, available: u16) -> Result<bool, Rejection> {
    Err(Rejection::SoldOut { of: Sold::Package("deluxe".parse().unwrap()), wanted, available })
}

fn exhausted(of: Uses) -> Result<bool, Rejection> {
    Err(Rejection::PromotionExhausted { promotion: "SPRING".parse().unwrap(), of })
}

#[test]
fn r_hold_02_units_are_held_all_or_none_and_come_back_when_the_hold_lapses() {
    let mut story = Story::of(package(), total(5));
    assert_eq!(story.place(1, 3, at(0)), Ok(true));
    assert_eq!(story.place(1, 3, at(0)), Ok(false), "it is already so");
    assert_eq!(story.place(2, 3, at(9)), sold_out(3, 2));
    assert_eq!(story.left(&DIRECT), Some(2));
    assert_eq!(story.place(2, 5, at(10)), Ok(true), "the first one's time is over, whatever the timer does");
    assert_eq!(story.confirm(1, at(10)), Err(Rejection::HoldNotFound));
    assert_eq!(story.confirm(2, at(11)), Ok(true));
    assert_eq!((story.stock.in_use(), story.left(&DIRECT)), (5, Some(0)));
}

#[test]
fn rule_19_of_very_many_holds_that_are_due_some_lapse_in_a_turn_and_none_of_them_takes_anything() {
    let many = u16::try_from(2 * LAPSES_PER_TURN_MAX).unwrap() + 10;
    let mut story = Story::of(package(), total(many.into()));
    for number in 1..=many {
        story.place(number, 1, at(0)).unwrap();
    }
    let lapsed = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::HoldLapsed { .. })).count();

    // The last of them is placed again, and then everything that is left: all of it is free.
    let again = Place { at: HoldAt { hold: hold_id(many), epoch: 2 }, ..place(many, 1, at(10)) };
    let events = story.tell(&Command::Place(again), at(10)).unwrap();
    assert_eq!(lapsed(&events), LAPSES_PER_TURN_MAX + 1, "its own, too");
    let rest = u32::from(many) - 1;
    let events = story.tell(&Command::Place(place(many + 1, rest, at(10))), at(10)).unwrap();
    assert_eq!(lapsed(&events), LAPSES_PER_TURN_MAX);
    assert_eq!(story.place(many + 2, 1, at(10)), sold_out(1, 0));

    assert_eq!(story.does(&Command::Expire, at(10)), Ok(true));
    assert_eq!(story.does(&Command::Expire, at(10)), Ok(false));
    assert_eq!(story.stock.in_use(), u64::from(many));
    story.restart(at(11));
    assert_eq!((story.stock.in_use(), story.left(&DIRECT)), (u64::from(many), Some(0)));
}

#[test]
fn what_is_unlimited_is_everybodys_and_counted_all_the_same() {
    let mut story = Story::of(package(), Limits::default());
    assert_eq!(story.version, 0, "what is so already is not written");
    assert_eq!(story.of_channel(1, &partner("trip"), 100_000, at(0)), Ok(true));
    assert_eq!(story.place(2, 100_000, at(0)), Ok(true));
    assert_eq!((story.stock.in_use(), story.left(&DIRECT)), (200_000, None));
    let too_many = Rejection::field("quantity", "is 1 to 100000");
    assert_eq!(story.place(3, 100_001, at(0)), Err(too_many.clone()));
    assert_eq!(story.place(3, 0, at(0)), Err(too_many));
}

#[test]
fn a_date_has_a_limit_of_its_own_beside_the_total() {
    let mut story = Story::of(package(), Limits { per_date: Some(4), ..total(6) });
    let on = |number, day, quantity| Command::Place(Place { date: Some(date(day)), ..place(number, quantity, at(0)) });
    assert_eq!(story.does(&on(1, 5, 3), at(0)), Ok(true));
    assert_eq!(story.does(&on(2, 5, 2), at(0)), sold_out(2, 1));
    assert_eq!(story.does(&on(2, 6, 4), at(0)), sold_out(4, 3), "the total");
    assert_eq!(story.does(&on(2, 6, 3), at(0)), Ok(true));
    assert_eq!((story.stock.in_use_on(date(5)), story.stock.in_use_on(date(6))), (3, 3));
}

#[test]
fn r_ota_02_what_is_set_aside_for_a_partner_is_sold_by_nobody_else_and_never_overdrawn() {
    let (trip, klook) = (partner("trip"), partner("klook"));
    let mut story = Story::of(package(), total(10));
    assert_eq!(story.of_channel(1, &trip, 1, at(0)), sold_out(1, 0), "a partner sells what is set aside for it");
    assert_eq!(story.allot(&trip, 4, at(0)), Ok(true));
    assert_eq!(story.allot(&trip, 4, at(0)), Ok(false), "it is already so");
    assert_eq!(story.place(2, 7, at(0)), sold_out(7, 6));
    assert_eq!(story.place(2, 6, at(0)), Ok(true));
    assert_eq!(story.of_channel(3, &klook, 1, at(0)), sold_out(1, 0));
    assert_eq!(story.of_channel(3, &trip, 5, at(0)), sold_out(5, 4));
    assert_eq!(story.of_channel(3, &trip, 4, at(0)), Ok(true));
    assert_eq!([&DIRECT, &trip, &klook].map(|channel| story.left(channel)), [Some(0); 3]);
}

#[test]
fn r_ota_02_neither_limit_nor_allotment_falls_below_what_is_in_use() {
    let trip = partner("trip");
    let mut story = Story::of(package(), total(10));
    story.allot(&trip, 4, at(0)).unwrap();
    story.of_channel(1, &trip, 2, at(0)).unwrap();
    story.of_channel(2, &trip, 1, at(0)).unwrap();
    story.confirm(2, at(0)).unwrap();
    story.place(3, 5, at(0)).unwrap();
    assert_eq!(story.allot(&trip, 2, at(1)), Err(below_use(2, 1)));
    assert_eq!(story.allot(&trip, 6, at(1)), Err(below_use(5, 0)), "of the operator's own");
    let more_than_there_is =
        Rejection::field("allotments", "would leave less than the 11 units that are set aside for partners");
    assert_eq!(story.allot(&trip, 11, at(1)), Err(more_than_there_is));
    assert_eq!(story.does(&Command::SetLimits(total(8)), at(1)), Err(below_use(5, 0)), "four are set aside");
    let per_date = |limit| Command::SetLimits(Limits { per_date: Some(limit), ..total(10) });
    assert_eq!(story.does(&per_date(1), at(1)), Ok(true), "they are of no date");
    assert_eq!(story.allot(&trip, 3, at(1)), Ok(true));
    assert_eq!(story.does(&Command::SetLimits(total(8)), at(1)), Ok(true));
    assert_eq!(story.does(&Command::SetLimits(total(4)), at(10)), Ok(true), "the holds lapsed in the meantime");
    assert_eq!((story.stock.in_use(), story.left(&DIRECT), story.left(&trip)), (1, Some(1), Some(2)));
}

#[test]
fn a_limit_of_dates_looks_at_those_to_come() {
    let mut story = Story::of(package(), Limits { per_date: Some(3), ..Limits::default() });
    let on = |number, day, quantity| Command::Place(Place { date: Some(date(day)), ..place(number, quantity, at(0)) });
    for (number, day) in [(1, 2), (2, 5)] {
        story.does(&on(number, day, 3), at(0)).unwrap();
        story.confirm(number, at(0)).unwrap();
    }
    let two = Command::SetLimits(Limits { per_date: Some(2), ..Limits::default() });
    let below = Err(below_use(0, 3));
    assert_eq!(story.does(&two, at(0)), below);
    story.free(2, 1, at(0)).unwrap();
    assert_eq!(story.does(&two, at(0)), below, "the day after");
    assert_eq!(story.does(&two, at(3 * 24 * 60)), Ok(true), "that day is over everywhere");
}

#[test]
fn r_price_03_a_promotion_has_so_many_uses_and_each_traveller_so_many_orders() {
    let mut story = Story::of(promotion(), Limits { per_holder: Some(2), ..total(4) });
    let by =
        |number, traveller, now| Command::Place(Place { holder: Some(holder(traveller)), ..place(number, 1, now) });
    for number in [1, 2] {
        assert_eq!(story.does(&by(number, 7, at(0)), at(0)), Ok(true));
    }
    assert_eq!(story.does(&by(3, 7, at(0)), at(0)), exhausted(Uses::OfTraveller));
    story.confirm(1, at(1)).unwrap();
    story.free(1, 0, at(2)).unwrap();
    assert_eq!(story.does(&by(3, 7, at(2)), at(2)), Ok(true), "a use comes back with its order");
    assert_eq!(story.does(&by(4, 7, at(10)), at(10)), Ok(true), "a hold has lapsed");
    for number in [5, 6] {
        assert_eq!(story.does(&by(number, number, at(10)), at(10)), Ok(true));
    }
    assert_eq!(story.does(&by(8, 8, at(10)), at(10)), exhausted(Uses::All));
    let sold_by_partner = Place { channel: partner("trip"), ..place(8, 1, at(12)) };
    assert_eq!(story.does(&Command::Place(sold_by_partner), at(12)), Ok(true), "nothing is set aside: all have a part");
}

#[test]
fn freeing_says_how_many_are_left_so_that_repeating_frees_nothing_twice() {
    let mut story = Story::of(package(), total(6));
    story.place(1, 6, at(0)).unwrap();
    assert_eq!(story.free(1, 4, at(1)), Err(Rejection::field("hold", "is not confirmed")));
    story.confirm(1, at(1)).unwrap();
    assert_eq!(
        [story.free(1, 4, at(2)), story.free(1, 4, at(2)), story.free(1, 5, at(2))],
        [Ok(true), Ok(false), Ok(false)]
    );
    assert_eq!(story.left(&DIRECT), Some(2));
    assert_eq!(story.place(1, 6, at(3)), Ok(false), "it was placed with the same content");
    assert_eq!(story.free(1, 0, at(3)), Ok(true));
    assert_eq!(story.confirm(1, at(4)), Err(Rejection::HoldAlreadyReleased));
    assert_eq!(story.left(&DIRECT), Some(6));
}

#[test]
fn r_hold_10_a_late_step_never_touches_what_a_later_epoch_holds() {
    let mut story = Story::of(package(), total(2));
    story.place(1, 2, at(0)).unwrap();
    story.release(1, at(1)).unwrap();
    let again = HoldAt { epoch: 2, ..hold_at(1) };
    assert_eq!(story.place(1, 2, at(1)), Err(Rejection::HoldAlreadyReleased));
    assert_eq!(story.does(&Command::Place(Place { at: again, ..place(1, 1, at(2)) }), at(2)), Ok(true));
    story.restart(at(2));
    for command in [Command::Confirm(hold_at(1)), Command::Release(hold_at(1)), free(1, 0)] {
        assert_eq!(story.does(&command, at(3)), Err(Rejection::HoldEpochStale), "{command:?}");
    }
    assert_eq!(story.does(&Command::Confirm(again), at(3)), Ok(true));
    assert_eq!(story.left(&DIRECT), Some(1));
}

#[test]
fn r_hold_09_a_paying_hold_never_lapses() {
    let mut story = Story::of(package(), total(1));
    story.place(1, 1, at(0)).unwrap();
    let paying = BeginPaying { hold: hold_id(1), epoch: 1, expires_at: at(15) };
    assert_eq!(story.does(&Command::BeginPaying(paying), at(9)), Ok(true));
    assert_eq!(story.place(2, 1, at(60)), sold_out(1, 0));
    assert_eq!((story.stock.next_deadline(), story.stock.overdue(at(15))), (None, vec![hold_id(1)]));
    story.restart(at(60));
    assert_eq!(story.confirm(1, at(60)), Ok(true));
}

/// Two days after its payment ended.
const SETTLED: i64 = 49 * 60;

#[test]
fn a_hold_that_was_confirmed_long_ago_is_a_sum_and_a_row_and_can_be_freed_all_the_same() {
    let mut story = Story::of(package(), total(9));
    let placed = Place { holder: Some(holder(7)), date: Some(date(9)), ..place(1, 3, at(0)) };
    story.does(&Command::Place(placed.clone()), at(0)).unwrap();
    story.confirm(1, at(1)).unwrap();
    assert_eq!(story.does(&Command::Forget, at(60)), Ok(false), "its order may still ask");
    assert_eq!(story.does(&Command::Forget, at(SETTLED)), Ok(true));
    assert_eq!((story.stock.holds().count(), story.stock.in_use(), story.stock.in_use_on(date(9))), (0, 3, 3));
    assert_eq!(story.does(&Command::Place(placed.clone()), at(SETTLED)), Err(Rejection::HoldExpired), "very late");
    story.tell(&Command::SetLimits(Limits { per_holder: Some(1), ..total(9) }), at(SETTLED)).unwrap();
    let next = Place { at: hold_at(2), quantity: 1, expires_at: at(SETTLED + 10), ..placed };
    assert_eq!(story.does(&Command::Place(next.clone()), at(SETTLED)), sold_out(1, 0), "the holder has one");

    assert_eq!(story.free(1, 1, at(SETTLED)), Err(Rejection::HoldNotFound));
    let with_row = |story: &Story, units_left| {
        Command::Free(Free { at: hold_at(1), units_left, settled: story.settled(hold_at(1)) })
    };
    let stale = with_row(&story, 1);
    assert_eq!(story.does(&stale, at(SETTLED)), Ok(true));
    assert_eq!(story.does(&stale, at(SETTLED)), Ok(false), "what is in memory knows better than a row read before");
    assert_eq!((story.stock.in_use(), story.stock.in_use_on(date(9))), (1, 1));
    story.tell(&Command::Forget, at(SETTLED)).unwrap();
    let freed = with_row(&story, 0);
    assert_eq!(story.does(&freed, at(SETTLED)), Ok(true));
    assert_eq!(story.does(&Command::Place(next), at(SETTLED)), Ok(true), "the holder has none any more");
    assert_eq!(story.stock.in_use(), 1);
}

#[test]
fn a_hold_that_never_was_confirmed_is_not_recalled() {
    let mut story = Story::of(package(), total(5));
    story.place(1, 3, at(0)).unwrap();
    story.release(1, at(1)).unwrap();
    assert_eq!(story.settled(hold_at(1)), None);
    story.place(2, 3, at(0)).unwrap();
    story.confirm(2, at(1)).unwrap();
    assert_eq!(story.settled(HoldAt { epoch: 2, ..hold_at(2) }), None);
    assert!(story.settled(hold_at(2)).is_some());
}

#[test]
fn an_allotment_names_a_partner_once_whose_name_can_be_kept() {
    let mut story = Story::of(package(), total(5));
    let long = partner(&"x".repeat(65));
    for channel in [DIRECT, long, partner("a\0b")] {
        assert!(matches!(story.allot(&channel, 1, at(0)), Err(Rejection::Field { .. })), "{channel}");
    }
    let twice = vec![Allotment { channel: partner("trip"), quantity: 1 }; 2];
    assert!(matches!(story.does(&Command::SetAllotments(twice), at(0)), Err(Rejection::Field { .. })));
}

#[test]
fn a_stock_has_one_text() {
    for id in [package(), promotion()] {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for text in ["package", "package/", "promotion/a b", "other/x", "package/a/b"] {
        assert!(text.parse::<StockId>().is_err(), "{text}");
    }
}

//! A partner's book as stories. The stock is asked by hand: what the book wants it told is what its hold keeps.

use super::*;
use crate::announcement::{AnnouncementKind, AnnouncementRow};
use crate::batch::Activation;
use crate::catalogue::{Names, Tier, Zone};
use crate::fare::DayType;
use crate::machine::Machine as _;
use crate::money::{Currency, Money};
use crate::order::{Contact, Order, OrderStatus};
use crate::package::{EntitlementTerms, PackageTerms, RedemptionChannel, StartsAt, Validity};
use crate::party::PassengerType;
use crate::testing::Images;

const NOON: Timestamp = Timestamp::from_ms(1_795_147_200_000);
const HOUR: i64 = 60 * 60;

struct World {
    book: PartnerBook,
    now: Timestamp,
    version: u64,
    rows: Images,
    /// What it has announced: reservations that have expired, with the units that were left.
    announced: Vec<(String, Option<u32>)>,
}

fn world() -> World {
    let book = PartnerBook::new("partner-a".parse().unwrap());
    World { book, now: NOON, version: 0, rows: Images::default(), announced: Vec::new() }
}

/// A museum: for adults, and for children at half the price.
fn offer() -> Arc<Offer> {
    let museum = EntitlementTerms {
        code: "MUSEUM".parse().unwrap(),
        names: Names::new("博物馆", "Museum"),
        quantity: 1,
        merchant: None,
        locations: vec![],
        channel: RedemptionChannel::Any,
        requires_identity: false,
        shared: false,
        weight: 0,
        validity: Validity::Relative { days: 30, starts: StartsAt::Payment, until: None },
    };
    let tier = |passenger_type, minor| Tier {
        passenger_type,
        min_party: 1,
        day_type: DayType::Any,
        price: Money::new(minor, Currency::Cny),
    };
    let terms = PackageTerms {
        template: "deluxe".parse().unwrap(),
        version: 3,
        product: Some(108),
        names: Names::new("豪华套票", "Deluxe"),
        zone: "Asia/Hong_Kong".parse::<Zone>().unwrap(),
        service_date: None,
        quantity: 1,
        entitlements: vec![museum],
    };
    let tiers = vec![tier(PassengerType::Adult, 39_900), tier(PassengerType::Child, 19_950)];
    Arc::new(Offer { terms, tiers, holidays: vec![], blackout: vec![] })
}

fn activation(reference: &str) -> Activation {
    Activation {
        customer: Contact { name: "Mei".into(), phone: "+852 5555 0000".into(), email: None },
        visitor: PassengerType::Adult,
        visit_date: None,
        payment_reference: reference.into(),
        message: None,
        paid_at: None,
        locale: "en".into(),
    }
}

fn batch(number: u64) -> OrderId {
    OrderId::compose(NOON, Shard::of(number), number << 8)
}

fn draw(reservation: PartnerReservationId, number: u64, drawn_for: DrawnFor, quantity: Option<u32>) -> Command {
    Command::Draw(Draw { reservation, by: batch(number), drawn_for, quantity })
}

impl World {
    fn tell(&mut self, command: &Command) -> Result<usize, Rejection> {
        let events = self.book.decide(command, self.now)?;
        if events.is_empty() {
            return Ok(0);
        }
        self.version += 1;
        let rows = self.book.apply(&events, self.version);
        for row in rows.all::<AnnouncementRow>().unwrap() {
            assert_eq!(
                (row.kind, row.partner),
                (AnnouncementKind::ReservationExpired, Some(self.book.partner.clone()))
            );
            self.announced.push((row.order_id.to_string(), row.count));
        }
        self.rows.keep(&rows).unwrap();
        self.is_the_same_after_a_restart();
        Ok(events.len())
    }

    fn is_the_same_after_a_restart(&self) {
        let (woken, mut book) = (self.woken(), self.book.clone());
        book.forget(self.now);
        assert_eq!(woken.reservations, book.reservations);
        assert_eq!((&woken.active, &woken.due), (&book.active, &book.due));
        assert_eq!((&woken.untold, &woken.drawers, &woken.settled), (&book.untold, &book.drawers, &book.settled));
        assert_eq!(woken.keys, book.keys);
    }

    fn woken(&self) -> PartnerBook {
        PartnerBook::from_rows(self.book.partner.clone(), &self.rows.all(), self.now).unwrap()
    }

    fn asked(&self, key: &str, quantity: u32, hours: Option<i64>) -> Reserve {
        Reserve {
            id: PartnerReservationId::compose(self.now, u64::from(quantity) << 8 | key.len() as u64),
            idempotency_key: key.into(),
            body_hash: [quantity as u8; 32],
            product: 108,
            offer: offer(),
            quantity,
            expires_at: hours.map(|hours| self.now.plus_seconds(hours * HOUR)),
        }
    }

    /// Reserved and confirmed.
    fn reserve(&mut self, key: &str, quantity: u32, hours: Option<i64>) -> PartnerReservationId {
        let asked = self.asked(key, quantity, hours);
        let id = asked.id;
        self.tell(&Command::Reserve(asked)).unwrap();
        assert_eq!(self.told(), [(id, Tell::Confirm)]);
        id
    }

    /// The stock is told everything that it does not know.
    fn told(&mut self) -> Vec<(PartnerReservationId, Tell)> {
        let untold: Vec<_> = self.book.untold().collect();
        for (reservation, tell) in &untold {
            let learned = match *tell {
                Tell::Confirm => Command::Confirmed(*reservation),
                Tell::Keep(keeps) => Command::Told { reservation: *reservation, keeps },
            };
            self.tell(&learned).unwrap();
        }
        assert_eq!(self.book.untold().count(), 0);
        untold
    }

    fn passes(&mut self, hours: i64) {
        self.now = self.now.plus_seconds(hours * HOUR);
    }

    fn stands(&self, id: PartnerReservationId) -> (ReservationStatus, u32) {
        let reservation = self.book.reservation(id).unwrap();
        (reservation.status(self.now), reservation.remaining())
    }
}

#[test]
fn r_ota_03_a_reservation_that_is_not_activated_expires_and_its_units_return() {
    let mut world = world();
    let id = world.reserve("a", 40, Some(24));
    world.passes(23);
    assert_eq!(world.tell(&Command::Expire), Ok(0));
    assert_eq!(world.stands(id), (ReservationStatus::Active, 40));

    world.passes(1);
    assert_eq!(world.stands(id), (ReservationStatus::Expired, 40), "however late the timer is");
    assert_eq!(world.tell(&draw(id, 1, DrawnFor::Batch, Some(1))), Err(Rejection::ReservationExpired));
    assert_eq!(world.book.next_deadline(), Some(world.now));
    assert_eq!(world.tell(&Command::Expire), Ok(1));
    assert_eq!(world.told(), [(id, Tell::Keep(0))]);
    assert_eq!(world.book.next_deadline(), None);
    assert_eq!(world.tell(&Command::Cancel(id)), Ok(0), "it holds nothing any more");
}

#[test]
fn r_ota_09_what_expires_is_announced_once_with_what_was_left_and_nothing_else_is() {
    let mut world = world();
    let drawn = world.reserve("a", 40, Some(24));
    world.tell(&draw(drawn, 1, DrawnFor::Order, Some(30))).unwrap();
    let emptied = world.reserve("bb", 20, Some(24));
    world.tell(&draw(emptied, 2, DrawnFor::Batch, None)).unwrap();
    let cancelled = world.reserve("ccc", 10, Some(24));
    world.tell(&Command::Cancel(cancelled)).unwrap();
    world.told();
    assert_eq!(world.announced, []);

    world.passes(24);
    world.tell(&Command::Expire).unwrap();
    world.tell(&Command::Expire).unwrap();
    world.told();
    assert_eq!(world.announced, [(drawn.to_string(), Some(10))]);
}

#[test]
fn r_ota_03_expiry_can_be_switched_off() {
    let mut world = world();
    let id = world.reserve("a", 40, None);
    world.passes(24 * 365 * 10);
    assert_eq!((world.book.next_deadline(), world.tell(&Command::Expire)), (None, Ok(0)));
    assert_eq!(world.stands(id), (ReservationStatus::Active, 40));
}

#[test]
fn r_ota_03_what_is_drawn_stays_and_the_rest_returns_when_it_is_cancelled() {
    let mut world = world();
    let id = world.reserve("a", 100, Some(24));
    world.tell(&draw(id, 1, DrawnFor::Batch, Some(60))).unwrap();
    world.tell(&draw(id, 2, DrawnFor::Order, Some(10))).unwrap();
    assert_eq!(world.book.untold().count(), 0, "a draw changes nothing at the stock");
    assert_eq!(world.stands(id), (ReservationStatus::Active, 30));

    assert_eq!(world.tell(&Command::Cancel(id)), Ok(1));
    assert_eq!(world.told(), [(id, Tell::Keep(70))]);
    assert_eq!(world.stands(id).0, ReservationStatus::Cancelled);
    assert_eq!(world.tell(&draw(id, 3, DrawnFor::Batch, Some(1))), Err(Rejection::ReservationEnded));
    assert_eq!(world.tell(&Command::Cancel(id)), Ok(0));
}

#[test]
fn r_ota_03_all_of_it_drawn_it_is_activated_and_cannot_be_cancelled() {
    let mut world = world();
    let id = world.reserve("a", 100, Some(24));
    assert_eq!(world.tell(&draw(id, 1, DrawnFor::Order, None)), Ok(2), "all that is left");
    assert_eq!(world.stands(id), (ReservationStatus::Activated, 0));
    assert_eq!(world.tell(&Command::Cancel(id)), Err(Rejection::ReservationActivated));
    assert_eq!(world.tell(&draw(id, 2, DrawnFor::Order, None)), Err(Rejection::ReservationActivated));
    world.passes(48);
    assert_eq!(world.tell(&Command::Expire), Ok(0), "nothing is left that could end");
}

#[test]
fn r_ota_03_one_activation_takes_at_most_100_and_never_more_than_is_left() {
    let mut world = world();
    let id = world.reserve("a", 150, Some(24));
    let refused = |world: &mut World, command| match world.tell(&command) {
        Err(Rejection::Field { field, .. }) => field.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut world, draw(id, 1, DrawnFor::Order, None)), "quantity");
    assert_eq!(refused(&mut world, draw(id, 1, DrawnFor::Order, Some(0))), "quantity");
    let too_many = Rejection::InsufficientAllotment { wanted: 151, available: 150 };
    assert_eq!(world.tell(&draw(id, 1, DrawnFor::Batch, Some(151))), Err(too_many));
    assert_eq!(world.tell(&draw(id, 1, DrawnFor::Order, Some(100))), Ok(1));
}

#[test]
fn a_draw_told_again_is_already_so_and_another_for_the_same_is_refused() {
    let mut world = world();
    let id = world.reserve("a", 100, Some(24));
    let other = world.reserve("bb", 50, Some(24));
    world.tell(&draw(id, 1, DrawnFor::Batch, Some(60))).unwrap();
    assert_eq!(world.tell(&draw(id, 1, DrawnFor::Batch, Some(60))), Ok(0));
    assert!(world.tell(&draw(id, 1, DrawnFor::Batch, Some(40))).is_err());
    assert!(world.tell(&draw(other, 1, DrawnFor::Batch, Some(40))).is_err());
    assert_eq!(world.stands(id).1, 40);
}

#[test]
fn r_ota_07_units_that_were_drawn_come_back_once_however_often_it_is_told() {
    let mut world = world();
    let id = world.reserve("a", 100, Some(24));
    world.tell(&draw(id, 1, DrawnFor::Batch, Some(60))).unwrap();
    world.tell(&draw(id, 2, DrawnFor::Order, Some(40))).unwrap();
    let back = |number, units_left| Command::GiveBack(GiveBack { by: batch(number), units_left });
    assert_eq!(world.tell(&back(1, 59)), Ok(1));
    assert_eq!(world.tell(&back(1, 59)), Ok(0));
    assert_eq!(world.tell(&back(1, 60)), Ok(0), "a late message");
    assert_eq!(world.tell(&back(2, 38)), Ok(1));
    assert_eq!(world.told(), [(id, Tell::Keep(97))], "told once, for all");
    assert_eq!(world.tell(&back(9, 0)), Err(Rejection::ReservationNotFound));
    assert_eq!(world.stands(id), (ReservationStatus::Activated, 0), "they go on sale, not to the reservation");
}

#[test]
fn a_key_names_its_reservation_until_48_hours_after_the_end() {
    let mut world = world();
    let first = world.asked("a", 40, Some(24));
    let id = world.reserve("a", 40, Some(24));
    let made = |world: &World, hash| world.book.made_by("a", &[hash; 32], world.now).map(|made| made.map(|one| one.id));
    assert_eq!(made(&world, 40), Ok(Some(id)));
    assert_eq!(made(&world, 41), Err(Rejection::IdempotencyMismatch));
    assert_eq!(world.tell(&Command::Reserve(first)), Ok(0));

    world.passes(24);
    world.tell(&Command::Expire).unwrap();
    world.told();
    world.passes(47);
    assert_eq!(made(&world, 40), Ok(Some(id)));
    world.passes(1);
    assert_eq!(made(&world, 41), Ok(None));
    let again = world.reserve("a", 41, Some(24));
    assert_ne!(again, id);
    assert_eq!(world.book.reservation(id), Err(Rejection::ReservationNotFound), "forgotten");
}

#[test]
fn a_key_is_free_48_hours_after_the_end_although_units_of_its_reservation_are_sold() {
    let mut world = world();
    let id = world.reserve("a", 40, Some(24));
    world.tell(&draw(id, 1, DrawnFor::Order, Some(40))).unwrap();
    world.passes(48);
    assert_eq!(world.book.made_by("a", &[40; 32], world.now), Ok(None));
    assert_ne!(world.reserve("a", 41, Some(24)), id);
    assert_eq!(world.stands(id), (ReservationStatus::Activated, 0), "it keeps what was sold");
}

#[test]
fn units_that_went_before_they_were_confirmed_leave_no_promise_and_free_the_key() {
    let mut world = world();
    let asked = world.asked("a", 40, Some(24));
    let id = asked.id;
    world.tell(&Command::Reserve(asked)).unwrap();
    assert_eq!(world.book.reservation(id), Err(Rejection::ReservationNotFound), "nobody was promised it");
    assert_eq!(world.tell(&draw(id, 1, DrawnFor::Batch, None)), Err(Rejection::ReservationNotFound));

    assert_eq!(world.tell(&Command::Lost(id)), Ok(1));
    assert_eq!(world.book.untold().count(), 0);
    assert_eq!(world.tell(&Command::Confirmed(id)), Ok(0), "a late answer");
    world.passes(1);
    world.reserve("a", 40, Some(24));
}

#[test]
fn rule_19_so_many_are_active_at_once_and_so_many_end_in_one_turn() {
    let mut world = world();
    for number in 0..ACTIVE_MAX {
        let asked = Reserve {
            id: PartnerReservationId::compose(NOON, (number as u64) << 4),
            ..world.asked(&number.to_string(), 1, Some(1))
        };
        // Without looking after a restart each time.
        let events = world.book.decide(&Command::Reserve(asked.clone()), NOON).unwrap();
        world.book.apply(&events, 1);
        world.book.apply(&[Event::Confirmed(asked.id)], 2);
    }
    let one_more = Command::Reserve(world.asked("one more", 1, Some(1)));
    let limit = Rejection::ReservationLimit { limit: ACTIVE_MAX as u32 };
    assert_eq!(world.book.decide(&one_more, NOON), Err(limit.clone()));
    assert_eq!(world.book.check_room(1, 0), Err(limit.clone()));

    world.passes(1);
    let ended = world.book.decide(&Command::Expire, world.now).unwrap();
    assert_eq!(ended.len(), EXPIRES_PER_TURN_MAX);
    world.book.apply(&ended, 3);
    assert_eq!(world.book.next_deadline(), Some(world.now), "the rest is still due");
}

#[test]
fn r_ota_03_an_activation_sells_units_at_the_price_that_was_reserved_and_a_repetition_finds_its_order() {
    let mut world = world();
    let id = world.reserve("a", 40, Some(24));
    let by = world.book.order_of(id, "key");
    let other = PartnerBook::new("partner-b".parse().unwrap()).order_of(id, "key");
    assert_ne!((by, world.book.order_of(id, "yek")), (world.book.order_of(id, "yek"), by));
    assert_eq!((by.made_at(), by.shard(), other == by), (NOON, world.book.partner.shard(), false));
    assert_eq!(by.of_batch(), None);

    world.passes(2);
    let draw = Draw { reservation: id, by, drawn_for: DrawnFor::Order, quantity: Some(3) };
    let child = Activation { visitor: PassengerType::Child, ..activation("PAY-1") };
    let sale = world.book.sale(&draw, child.clone(), world.now).unwrap();
    assert_eq!((sale.id, sale.items.len(), sale.price.total.minor), (by, 3, 3 * 19_950));
    assert_eq!(sale.price.lines.iter().map(|line| line.item).collect::<Vec<_>>(), [0, 1, 2]);
    let (order, _) = Order::born_paid(sale, world.now);
    assert_eq!((order.status(), order.tickets().len(), order.units_kept()), (OrderStatus::Paid, 3, 3));

    world.tell(&Command::Draw(draw)).unwrap();
    assert!(world.book.has_drawn(id, by) && world.woken().has_drawn(id, by));
    for (units, is_same) in [(None, true), (Some(3), true), (Some(4), false)] {
        assert_eq!(child.has_made(&order, units), is_same, "{units:?}");
    }
    let others = [
        Activation { payment_reference: "PAY-2".into(), ..child.clone() },
        Activation { visitor: PassengerType::Adult, ..child.clone() },
        Activation { visit_date: Some(jiff::civil::date(2026, 12, 24)), ..child.clone() },
        Activation { customer: Contact { name: "Ann".into(), ..child.customer.clone() }, ..child.clone() },
    ];
    assert!(others.iter().all(|other| !other.has_made(&order, Some(3))));
}

#[test]
fn r_ota_03_what_cannot_be_drawn_or_priced_sells_nothing() {
    let mut world = world();
    let id = world.reserve("a", 150, Some(24));
    let draw = |quantity| Draw { reservation: id, by: batch(1), drawn_for: DrawnFor::Order, quantity };
    let field = |refused: Result<_, Rejection>| match refused.map(drop) {
        Err(Rejection::Field { field, .. }) => field.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(field(world.book.sale(&draw(None), activation("PAY-1"), NOON)), "quantity", "more than one order has");
    assert_eq!(field(world.book.sale(&draw(Some(1)), activation(" "), NOON)), "paymentReference");
    let senior = Activation { visitor: PassengerType::Senior, ..activation("PAY-1") };
    assert_eq!(field(world.book.sale(&draw(Some(1)), senior, NOON)), "customerType");
    world.passes(24);
    let late = world.book.sale(&draw(Some(1)), activation("PAY-1"), world.now);
    assert_eq!(late.map(drop), Err(Rejection::ReservationExpired), "before anything else is said");
    world.tell(&Command::Expire).unwrap();
    assert!(world.book.reservation(id).unwrap().offer.is_none(), "it sells nothing any more");
}

#[test]
fn rule_19_requests_whose_units_are_being_asked_for_count_too() {
    let world = world();
    assert_eq!(world.book.check_room(1, ACTIVE_MAX - 1), Ok(()));
    let limit = Rejection::ReservationLimit { limit: ACTIVE_MAX as u32 };
    assert_eq!(world.book.check_room(1, ACTIVE_MAX), Err(limit));
}

#[test]
fn no_order_is_taken_for_a_reservation() {
    let id = PartnerReservationId::compose(NOON, 77);
    assert_eq!(id.to_string().parse(), Ok(id));
    let order = OrderId::compose(NOON, Shard::of(3), 77);
    assert_eq!(order.to_string().parse::<PartnerReservationId>(), Err(InvalidId("reservation id")));
}

#[test]
fn rows_of_another_partner_are_damage() {
    let mut world = world();
    world.reserve("a", 40, Some(24));
    assert!(PartnerBook::from_rows("partner-b".parse().unwrap(), &world.rows.all(), NOON).is_err());
}

//! Reservations of partners, with their stocks: units return when they should, whatever breaks in between (R-OTA-03).

use deeptravel_domain::departure::Channel;
use deeptravel_domain::hold::HoldAt;
use deeptravel_domain::ids::{HoldId, OrderId, PartnerCode, Shard};
use deeptravel_domain::partner::rows::{PartnerDrawRow, PartnerReservationRow};
use deeptravel_domain::partner::{Draw, DrawnFor, GiveBack, PartnerReservationId, ReservationStatus};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Row as _, Rows, Uuid};
use deeptravel_domain::stock::{Allotment, Command, Limits, Place};
use futures_util::future::join_all;

use super::batches::{product, stock};
use crate::outage::Outage;
use crate::partner::{DrawUnits, ReserveUnits, Shown};
use crate::testing::{Fault, NOON, Postgres, Running, World, eventually, put};

pub(super) const HOUR: i64 = 60 * 60;
pub(super) const PRICE: i64 = 20_000;

pub(super) fn partner(name: &str) -> PartnerCode {
    name.parse().unwrap()
}

pub(super) fn channel(name: &str) -> Channel {
    Channel::Ota(name.into())
}

pub(super) fn units(key: &str, quantity: u32) -> ReserveUnits {
    ReserveUnits {
        idempotency_key: key.into(),
        body_hash: [quantity as u8; 32],
        product: 106,
        quantity,
        ttl_hours: Some(24),
    }
}

fn batch(number: u64) -> OrderId {
    OrderId::compose(NOON, Shard::of(number), number << 8)
}

fn draw(reservation: PartnerReservationId, number: u64, quantity: u32) -> DrawUnits {
    let draw = Draw { reservation, by: batch(number), drawn_for: DrawnFor::Batch, quantity: Some(quantity) };
    DrawUnits { draw, birth: Rows::default() }
}

pub(super) type Outcome = Result<Result<Shown, Rejection>, Outage>;

impl Running {
    /// 100 units: 40 for partner A, 10 for partner B, 50 for direct sale.
    pub(super) async fn allot(&self) {
        self.shown(self.engine.configure(put(product(PRICE)))).await.unwrap().unwrap();
        let limits = Limits { total: Some(100), ..Limits::default() };
        self.shown(self.engine.set_stock_limits(&stock(), limits)).await.unwrap().unwrap();
        let allotment = |name, quantity| Allotment { channel: channel(name), quantity };
        let allotments = vec![allotment("a", 40), allotment("b", 10)];
        self.shown(self.engine.set_stock_allotments(&stock(), allotments)).await.unwrap().unwrap();
    }

    pub(super) async fn ask_units(&self, name: &str, wish: ReserveUnits) -> Outcome {
        self.shown(self.engine.reserve_units(&partner(name), wish)).await
    }

    pub(super) async fn reserved(&self, name: &str, key: &str, quantity: u32) -> PartnerReservationId {
        self.ask_units(name, units(key, quantity)).await.unwrap().unwrap().reservation.id
    }

    pub(super) async fn reservation(
        &self,
        name: &str,
        id: PartnerReservationId,
    ) -> Result<(ReservationStatus, u32), Rejection> {
        let shown = self.shown(self.engine.partner_reservation(&partner(name), id)).await.unwrap();
        shown.map(|shown| (shown.reservation.status(shown.now), shown.reservation.remaining()))
    }

    pub(super) async fn cancelled(&self, name: &str, id: PartnerReservationId) -> Result<Shown, Rejection> {
        self.shown(self.engine.cancel_partner_reservation(&partner(name), id)).await.unwrap()
    }

    async fn drawn(&self, name: &str, draw: DrawUnits) -> Result<Shown, Rejection> {
        self.shown(self.engine.draw_units(&partner(name), draw)).await.unwrap()
    }

    pub(super) fn left_for(&self, channel: &Channel) -> u32 {
        self.services().stock_board.left(&stock(), None, channel).unwrap()
    }

    pub(super) async fn has_left(&self, name: &str, units: u32) {
        let what = format!("{name} has {units}");
        eventually(&what, || self.left_for(&channel(name)) == units).await;
    }
}

#[actix::test]
async fn r_ota_03_a_reservation_takes_units_and_its_expiry_returns_them() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let id = running.reserved("a", "one", 30).await;
    assert_eq!(running.left_for(&channel("a")), 10);

    world.clock.pass(23 * HOUR);
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Active, 30)));
    world.clock.pass(HOUR);
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Expired, 30)));
    running.has_left("a", 40).await;
    let late = running.drawn("a", draw(id, 1, 1)).await;
    assert_eq!(late.unwrap_err(), Rejection::ReservationExpired);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_the_same_request_twice_is_one_reservation_also_at_once_and_after_a_restart() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let asking = (0..5).map(|_| running.ask_units("a", units("one", 30)));
    let ids: Vec<_> = join_all(asking).await.into_iter().map(|asked| asked.unwrap().unwrap().reservation.id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    let other = running.ask_units("a", units("one", 29)).await.unwrap();
    assert_eq!(other.unwrap_err(), Rejection::IdempotencyMismatch);
    running.stop().await.unwrap();

    let running = world.start().await;
    assert_eq!(running.reserved("a", "one", 30).await, ids[0]);
    assert_eq!(running.left_for(&channel("a")), 10);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_02_two_partners_and_direct_sale_sell_out_without_touching_each_other() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let keys: Vec<String> = (0..60).map(|number| format!("key {number}")).collect();
    let asking = ["a", "b"].into_iter().flat_map(|name| keys.iter().map(move |key| (name, key)));
    let asking = asking.map(|(name, key)| running.ask_units(name, units(key, 1)));
    let answers = join_all(asking).await;
    let (of_a, of_b) = answers.split_at(60);
    let made = |answers: &[Outcome]| answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
    assert_eq!((made(of_a), made(of_b)), (40, 10));
    let refused = Rejection::InsufficientAllotment { wanted: 1, available: 0 };
    assert_eq!(running.ask_units("a", units("more", 1)).await.unwrap().unwrap_err(), refused);

    assert_eq!(running.left_for(&Channel::Direct), 50);
    let place = Command::Place(Place {
        at: HoldAt { hold: HoldId { order: batch(1), item: 0 }, epoch: 1 },
        quantity: 50,
        date: None,
        channel: Channel::Direct,
        holder: None,
        expires_at: running.engine.now().plus_seconds(600),
    });
    running.services().stocks.consult(&stock(), place).await.unwrap().outcome.unwrap();
    assert_eq!(running.left_for(&Channel::Direct), 0);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_what_is_drawn_stays_sold_and_what_is_cancelled_or_given_back_returns() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let id = running.reserved("a", "one", 30).await;
    let shown = running.drawn("a", draw(id, 1, 20)).await.unwrap();
    assert_eq!(shown.reservation.remaining(), 10);
    assert_eq!(running.left_for(&channel("a")), 10, "nothing was on sale in between");
    let foreign = running.drawn("b", draw(id, 2, 1)).await;
    assert_eq!(foreign.unwrap_err(), Rejection::ReservationNotFound, "it is another partner's");
    assert_eq!(running.cancelled("b", id).await.unwrap_err(), Rejection::ReservationNotFound);

    running.cancelled("a", id).await.unwrap();
    running.has_left("a", 20).await;
    let back = GiveBack { by: batch(1), units_left: 15 };
    for _ in 0..2 {
        running.shown(running.engine.give_back_units(&partner("a"), back)).await.unwrap().unwrap();
    }
    running.has_left("a", 25).await;
    running.stop().await.unwrap();

    let running = world.start().await;
    assert_eq!(running.left_for(&channel("a")), 25);
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Cancelled, 10)));
    running.stop().await.unwrap();
}

#[actix::test]
async fn rule_4_what_is_drawn_is_born_in_the_record_of_the_draw() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let id = running.reserved("a", "one", 30).await;
    // Any row does: here it is a draw of another partner's.
    let mut birth = Rows::default();
    birth.put_first(&PartnerDrawRow {
        drawn_by: Uuid(batch(7)),
        version: 0,
        reservation_id: Uuid(batch(8)),
        partner_id: partner("b"),
        drawn_for: DrawnFor::Order,
        quantity: 1,
        units_left: 1,
        drawn_at: NOON,
    });
    let bearing = |birth| DrawUnits { birth, ..draw(id, 1, 31) };
    assert!(running.drawn("a", bearing(birth.clone())).await.is_err());
    running.drained().await;
    assert!(world.store.rows(PartnerDrawRow::TABLE).is_empty(), "what is refused bears nothing");

    running.drawn("a", DrawUnits { birth, ..draw(id, 1, 30) }).await.unwrap();
    running.drained().await;
    let rows = world.store.rows(PartnerDrawRow::TABLE);
    assert_eq!(rows.all::<PartnerDrawRow>().unwrap().len(), 2);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_units_of_a_reservation_that_never_got_its_record_return_by_themselves() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    // The stock breaks when it has the units: the partner's owner does not hear of them, and records nothing.
    running.services().faults.plant(&stock(), Fault::AfterAppend);
    assert_eq!(running.ask_units("a", units("one", 30)).await, Err(Outage::Rebuilding));
    running.has_left("a", 10).await;
    assert_eq!(world_rows(&world, &running).await, 0);
    world.clock.pass(2 * 60);
    running.has_left("a", 40).await;
    running.reserved("a", "one", 40).await;
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_a_crash_after_the_record_confirms_the_units_at_the_next_start() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    running.services().faults.plant(&partner("a"), Fault::AfterAppend);
    assert_eq!(running.ask_units("a", units("one", 30)).await, Err(Outage::Rebuilding));
    running.drained().await;
    running.kill().await;

    let running = world.start().await;
    let id = running.reserved("a", "one", 30).await;
    world.clock.pass(10 * 60);
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Active, 30)));
    assert_eq!(running.left_for(&channel("a")), 10, "they did not lapse");
    assert_eq!(world_rows(&world, &running).await, 1);
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_units_return_after_a_crash_between_the_end_and_the_stock() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let id = running.reserved("a", "one", 30).await;
    // The end is recorded; what the stock is told breaks it.
    running.services().faults.plant(&stock(), Fault::AtMessage);
    running.cancelled("a", id).await.unwrap();
    running.drained().await;
    running.kill().await;

    let running = world.start().await;
    running.has_left("a", 40).await;
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Cancelled, 30)));
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_a_partner_reserves_for_the_first_time_while_postgres_is_away() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    running.drained().await;
    world.store.set(Postgres::Away);
    let id = running.reserved("b", "one", 4).await;
    world.store.set(Postgres::Up);
    running.drained().await;
    running.kill().await;

    let running = world.start().await;
    assert_eq!(running.reservation("b", id).await, Ok((ReservationStatus::Active, 4)));
    running.reserved("b", "two", 4).await;
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_a_stock_that_does_not_hear_of_an_end_delays_no_other_reservation() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let old = running.ask_units("a", ReserveUnits { ttl_hours: None, ..units("old", 5) }).await.unwrap().unwrap();
    running.drained().await;
    // The stock knows only its sum, and has to read it.
    world.clock.pass(72 * HOUR);
    running.drained().await;
    world.store.set(Postgres::Away);
    running.cancelled("a", old.reservation.id).await.unwrap();
    for number in 0..3 {
        running.reserved("a", &number.to_string(), 1).await;
    }
    world.store.set(Postgres::Up);
    world.clock.pass(2);
    running.has_left("a", 37).await;
    running.stop().await.unwrap();
}

#[actix::test]
async fn r_ota_03_expiry_does_not_wait_for_postgres() {
    let world = World::default();
    let running = world.start().await;
    running.allot().await;
    let id = running.reserved("a", "one", 30).await;
    running.drained().await;
    world.store.set(Postgres::Away);
    world.clock.pass(24 * HOUR);
    running.has_left("a", 40).await;
    assert_eq!(running.reservation("a", id).await, Ok((ReservationStatus::Expired, 30)));
    running.reserved("a", "two", 40).await;
    world.store.set(Postgres::Up);
    running.stop().await.unwrap();
}

async fn world_rows(world: &World, running: &Running) -> usize {
    running.drained().await;
    world.store.rows(PartnerReservationRow::TABLE).all::<PartnerReservationRow<'_>>().unwrap().len()
}

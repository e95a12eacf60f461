//! Promotions in orders, with owners: their limits hold whoever orders at once, also through unpaid orders, late money and
//! crashes (R-PRICE-03).

use std::sync::Arc;

use deeptravel_domain::catalogue::{Names, Template};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::{PromotionCode, TemplateId, TravellerId};
use deeptravel_domain::order::{ItemWish, Order, OrderStatus, PackageWish, Wish};
use deeptravel_domain::promotion::Promotion;
use deeptravel_domain::rejection::{Rejection, Uses};
use deeptravel_domain::stock::StockId;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use super::space::assert_nobody_died;
use crate::outage::Outage;
use crate::testing::{Call, FARE, Running, World, coach, eventually, eventually_so, put, traveller, wish};

fn code() -> PromotionCode {
    "SPRING".parse().unwrap()
}

/// A tenth off with its code.
fn spring(more: Value) -> Promotion {
    let mut promotion = json!({
        "code": "SPRING", "name": { "zh": "春", "en": "Spring" }, "automatic": false, "kind": "percent", "value": 10,
        "validFrom": "2026-01-01", "validUntil": "2036-12-31",
    });
    let Value::Object(more) = more else { panic!("fields, not {more}") };
    promotion.as_object_mut().unwrap().extend(more);
    serde_json::from_value(promotion).unwrap()
}

/// A museum for everybody: no seats run out before the promotion does.
fn museum() -> (TemplateId, Template) {
    let said = json!({
        "name": { "zh": "博物馆", "en": "Museum" },
        "status": "active",
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1,
            "redemptionChannel": "any", "requiresIdentity": false, "shared": false,
            "validity": { "kind": "relative", "days": 30, "startsAt": "payment" },
        }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 10_001, "currency": "CNY" } }],
    });
    (Template::id_of(&Names::new("博物馆", "Museum")), serde_json::from_value(said).unwrap())
}

fn with_code(wish: Wish) -> Wish {
    Wish { promotion_code: Some(code()), ..wish }
}

fn coach_for(number: u64, party: u16) -> Wish {
    with_code(wish(traveller(number), "key", &coach(), party))
}

fn visit(traveller: TravellerId, key: &str, party: u16) -> Wish {
    let (template, _) = museum();
    let package = PackageWish { template, service_date: None, quantity: 1, journeys: vec![] };
    Wish { items: vec![ItemWish::Package(package)], ..with_code(wish(traveller, key, &coach(), party)) }
}

async fn shop(seats: u16, promotion: Promotion) -> (World, Running) {
    let (world, running) = World::with_seats(seats).await;
    running.shown(running.engine.configure(put(museum().1))).await.unwrap().unwrap();
    running.promote(promotion).await;
    (world, running)
}

impl Running {
    async fn promote(&self, promotion: Promotion) {
        self.shown(self.engine.configure(put(promotion))).await.unwrap().unwrap();
    }

    fn uses(&self) -> u64 {
        self.services().stock_board.get(&StockId::Promotion(code())).map_or(0, |shown| shown.in_use())
    }

    fn uses_left(&self) -> Option<u32> {
        self.services().stock_board.left(&StockId::Promotion(code()), None, &Channel::Direct)
    }

    /// Orders, and repeats it while the server has too much to do.
    async fn order_at_last(&self, wish: Wish) -> Result<Arc<Order>, Rejection> {
        loop {
            match self.shown(self.place(wish.clone())).await {
                Ok(answer) => return answer.map(|(order, _)| order),
                Err(Outage::Overloaded) => tokio::task::yield_now().await,
                Err(outage) => panic!("{outage:?}"),
            }
        }
    }

    async fn refusal(&self, wish: Wish) -> Rejection {
        self.order_at_last(wish).await.unwrap_err()
    }

    async fn pay(&self, world: &World, order: &Order) {
        let number = self.open_payment(order.id()).await;
        let fact = world.gateway.pay(number).unwrap();
        self.shown(self.engine.learn(fact)).await.unwrap().unwrap();
    }

    async fn is(&self, order: &Order, status: OrderStatus) {
        eventually_so("it is so", || async { self.order(order.id()).await.status() == status }).await;
    }
}

fn exhausted(of: Uses) -> Rejection {
    Rejection::PromotionExhausted { promotion: code(), of }
}

#[actix::test]
async fn r_price_03_a_promotion_is_taken_off_the_price_and_every_tickets_share() {
    let (world, running) = shop(8, spring(json!({ "limitTotal": 5 }))).await;
    let order = running.buy(coach_for(1, 3)).await;
    let off = (3 * FARE + 5) / 10;
    assert_eq!((order.total().minor, order.details().promotions[0].discount_minor), (3 * FARE - off, off));
    assert_eq!((running.uses(), running.free_seats(&coach())), (1, 5));

    running.pay(&world, &order).await;
    let order = running.order(order.id()).await;
    assert_eq!(order.tickets().iter().map(|ticket| ticket.price_minor).sum::<i64>(), order.total().minor);
    assert_eq!((order.status(), running.uses_left()), (OrderStatus::Paid, Some(4)));

    let odd = running.buy_and_pay(&world, visit(traveller(2), "key", 3)).await;
    assert_eq!(odd.tickets().iter().map(|ticket| ticket.price_minor).collect::<Vec<_>>(), [9_001, 9_001, 9_001]);
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_price_03_ten_uses_are_ten_orders_of_whatever_party_though_fifty_ask_at_once() {
    let (_world, running) = shop(100, spring(json!({ "limitTotal": 10 }))).await;
    let answers: Vec<_> = stream::iter(0..50)
        .map(|number| running.order_at_last(coach_for(number, 1 + (number % 3) as u16)))
        .buffer_unordered(50)
        .collect()
        .await;
    let (placed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((placed.len(), running.uses()), (10, 10));
    assert!(refused.into_iter().all(|refused| refused.unwrap_err() == exhausted(Uses::All)));
    let seats: usize = placed.into_iter().map(|order| order.unwrap().details().passengers.len()).sum();
    assert_eq!(usize::from(running.free_seats(&coach())), 100 - seats, "who had no use keeps no seat");
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_price_03_a_traveller_who_orders_five_times_at_once_has_one_use_of_his() {
    let (_world, running) = shop(100, spring(json!({ "limitPerTraveller": 1 }))).await;
    let wishes = (0..5).map(|number| with_code(wish(traveller(1), &format!("key-{number}"), &coach(), 1)));
    let answers: Vec<_> =
        stream::iter(wishes).map(|wish| running.order_at_last(wish)).buffer_unordered(5).collect().await;
    let (placed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((placed.len(), running.uses(), running.free_seats(&coach())), (1, 1, 99));
    assert!(refused.into_iter().all(|refused| refused.unwrap_err() == exhausted(Uses::OfTraveller)));
    running.order_at_last(coach_for(2, 1)).await.unwrap();

    let first = placed.into_iter().next().unwrap().unwrap();
    running.shown(running.engine.cancel(first.id())).await.unwrap().unwrap();
    running.order_at_last(with_code(wish(traveller(1), "again", &coach(), 1))).await.unwrap();
}

/// Who is refused, and who has ordered and paid; every third never does.
#[derive(Default)]
struct Wave {
    refused: u64,
    placed: u64,
    paid: u64,
}

async fn wave(world: &World, running: &Running, name: &str, buyers: u64, uses: u64) -> Wave {
    let buyer = async |number: u64| {
        let order = running.order_at_last(visit(traveller(number), name, 1 + (number % 3) as u16)).await;
        assert!(running.uses() <= uses, "never above");
        match order {
            Ok(order) if number.is_multiple_of(3) => {
                assert_eq!(order.status(), OrderStatus::Pending);
                Wave { placed: 1, ..Wave::default() }
            }
            Ok(order) => {
                running.pay(world, &order).await;
                Wave { placed: 1, paid: 1, ..Wave::default() }
            }
            Err(refused) => {
                assert_eq!(refused, exhausted(Uses::All));
                Wave { refused: 1, ..Wave::default() }
            }
        }
    };
    let sum = async |sum: Wave, one: Wave| Wave {
        refused: sum.refused + one.refused,
        placed: sum.placed + one.placed,
        paid: sum.paid + one.paid,
    };
    stream::iter(0..buyers).map(buyer).buffer_unordered(1_000).fold(Wave::default(), sum).await
}

#[actix::test]
async fn r_price_03_of_a_thousand_uses_the_unpaid_come_back_and_a_second_wave_gets_exactly_those() {
    const USES: u64 = 1_000;
    let (world, running) = shop(8, spring(json!({ "limitTotal": USES }))).await;
    let first = wave(&world, &running, "first", 5_000, USES).await;
    assert_eq!((first.placed, first.refused, running.uses()), (USES, 4_000, USES));

    world.clock.pass(601);
    eventually("the unpaid have expired", || running.uses() == first.paid).await;

    let second = wave(&world, &running, "second", 1_000, USES).await;
    assert_eq!((second.placed, running.uses()), (USES - first.paid, USES));
    assert_nobody_died(&running);
}

#[actix::test]
async fn r_price_03_after_a_crash_uses_are_held_and_sold_as_before() {
    let (world, running) = shop(8, spring(json!({ "limitTotal": 3 }))).await;
    let paid = running.buy_and_pay(&world, coach_for(1, 2)).await;
    let cancelled = running.buy(coach_for(2, 2)).await;
    let unpaid = running.buy(coach_for(3, 2)).await;
    assert_eq!(running.refusal(coach_for(4, 2)).await, exhausted(Uses::All));
    running.kill().await;

    let running = world.start().await;
    assert_eq!((running.uses(), running.free_seats(&coach())), (3, 2));
    assert_eq!(running.refusal(coach_for(4, 2)).await, exhausted(Uses::All));
    let again = running.order(paid.id()).await;
    assert_eq!(again.details().promotions, paid.details().promotions);
    running.shown(running.engine.cancel(cancelled.id())).await.unwrap().unwrap();
    assert_eq!((running.uses(), running.free_seats(&coach())), (2, 4));
    world.clock.pass(601);
    running.is(&unpaid, OrderStatus::Cancelled).await;
    eventually("one is used", || (running.uses(), running.free_seats(&coach())) == (1, 6)).await;
}

#[actix::test]
async fn rule_16_uses_of_orders_that_a_crash_cut_short_come_back_with_their_seats() {
    let (world, running) = shop(100, spring(json!({ "limitTotal": 30 }))).await;
    let asked = stream::iter(0..30).map(|number| running.order_at_last(coach_for(number, 1))).buffer_unordered(30);
    let placed: Vec<_> = asked.take(5).map(Result::unwrap).collect().await;
    running.kill().await;

    let running = world.start().await;
    assert!((5..=30).contains(&running.uses()));
    running.pay(&world, &placed[0]).await;
    world.clock.pass(601);
    eventually("what is paid is used", || (running.uses(), running.free_seats(&coach())) == (1, 99)).await;
    for number in 100..129 {
        running.order_at_last(coach_for(number, 1)).await.unwrap();
    }
    assert_eq!(running.refusal(coach_for(129, 1)).await, exhausted(Uses::All));
}

#[actix::test]
async fn r_pay_04_late_money_has_its_use_again_or_goes_back_whole() {
    let (world, running) = shop(8, spring(json!({ "limitTotal": 1 }))).await;
    let cancelled = async |number: u64| {
        let order = running.buy(coach_for(number, 2)).await;
        let payment = running.open_payment(order.id()).await;
        running.shown(running.engine.cancel(order.id())).await.unwrap().unwrap();
        (order, payment)
    };
    let (late, payment) = cancelled(1).await;
    let (lucky, other) = cancelled(2).await;
    for payment in [other, payment] {
        let fact = world.gateway.pay_after_all(payment).unwrap();
        running.shown(running.engine.learn(fact)).await.unwrap().unwrap();
        if payment == other {
            running.is(&lucky, OrderStatus::Paid).await;
        }
    }
    eventually("the refund is accepted", || world.gateway.refunds().len() == 1).await;
    let (_, known) = world.gateway.refunds().remove(0);
    assert_eq!((known.payment, known.amount), (payment, late.total()));
    assert_eq!(running.order(late.id()).await.status(), OrderStatus::Cancelled);
    assert_eq!((running.uses(), running.free_seats(&coach())), (1, 6), "seats are free, and it has none");
    assert_eq!(world.gateway.calls(Call::Refund), 1);
}

#[actix::test]
async fn r_price_03_an_automatic_promotion_that_has_run_out_is_not_taken_off() {
    let (_world, running) = shop(8, spring(json!({ "automatic": true, "limitTotal": 1 }))).await;
    let plain = |number| wish(traveller(number), "key", &coach(), 1);
    let first = running.buy(plain(1)).await;
    let second = running.buy(plain(2)).await;
    assert_eq!([first.total().minor, second.total().minor], [FARE - (FARE + 5) / 10, FARE]);
    assert_eq!((first.details().promotions.len(), second.details().promotions.len(), running.uses()), (1, 0, 1));
}

#[actix::test]
async fn r_price_01_an_order_that_a_promotion_makes_free_is_paid_at_once_and_has_its_use() {
    let (world, running) = shop(8, spring(json!({ "value": 100, "limitTotal": 2 }))).await;
    let order = running.buy(coach_for(1, 2)).await;
    running.is(&order, OrderStatus::Paid).await;
    let order = running.order(order.id()).await;
    assert_eq!((order.tickets().len(), order.total().minor, running.uses()), (2, 0, 1));
    assert_eq!(world.gateway.calls(Call::Create), 0);
    world.clock.pass(601);
    running.order_at_last(coach_for(2, 2)).await.unwrap();
    assert_eq!(running.uses(), 2);
}

#[actix::test]
async fn r_price_03_a_changed_or_withdrawn_promotion_leaves_orders_as_they_are() {
    let (world, running) = shop(8, spring(json!({ "limitTotal": 5 }))).await;
    let (first, second) = (running.buy(coach_for(1, 1)).await, running.buy(coach_for(2, 1)).await);
    running.promote(spring(json!({ "limitTotal": 2, "value": 50 }))).await;
    assert_eq!(running.refusal(coach_for(3, 1)).await, exhausted(Uses::All));
    running.shown(running.engine.cancel(second.id())).await.unwrap().unwrap();
    let third = running.buy(coach_for(4, 1)).await;
    assert_eq!(third.details().promotions[0].revision, 2);
    assert!(third.total().minor < first.total().minor);

    running.pay(&world, &first).await;
    assert_eq!(running.order(first.id()).await.total(), first.total());
    let withdrawn =
        deeptravel_domain::catalogue::Change::withdraw(deeptravel_domain::catalogue::Key::Promotion(code()));
    running.shown(running.engine.configure(put(withdrawn))).await.unwrap().unwrap();
    running.pay(&world, &third).await;
    assert_eq!((running.order(third.id()).await.status(), running.uses()), (OrderStatus::Paid, 2));
    let unknown = Rejection::field("promotionCode", "SPRING is not known");
    assert_eq!(running.refusal(coach_for(5, 1)).await, unknown);
}

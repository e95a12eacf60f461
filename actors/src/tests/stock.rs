//! Owners of stocks: limits hold whoever asks at once, through crashes and faults (rule 5, R-OTA-02).

use deeptravel_domain::departure::Channel;
use deeptravel_domain::hold::{BeginPaying, HoldAt};
use deeptravel_domain::ids::{HoldId, OrderId, Shard};
use deeptravel_domain::promotion::Promotion;
use deeptravel_domain::rejection::{Rejection, Sold, Uses};
use deeptravel_domain::row::Row as _;
use deeptravel_domain::stock::rows::StockHoldRow;
use deeptravel_domain::stock::{Allotment, Command, Free, Limits, Place, StockId};
use deeptravel_domain::time::Timestamp;
use futures_util::future::join_all;
use jiff::civil::date;

use crate::outage::Outage;
use crate::testing::{
    Fault, NOON, Postgres, Running, World, below_use, eventually, eventually_so, put, traveller, within,
};

const DIRECT: Channel = Channel::Direct;
const DAY_SECONDS: i64 = 24 * 60 * 60;

fn package() -> StockId {
    StockId::Package("deluxe".parse().unwrap())
}

fn promotion() -> StockId {
    StockId::Promotion("SPRING".parse().unwrap())
}

fn total(units: u32) -> Limits {
    Limits { total: Some(units), ..Limits::default() }
}

/// The only hold of an order.
fn hold(number: u64) -> HoldAt {
    HoldAt { hold: HoldId { order: OrderId::compose(NOON, Shard::of(number), number << 8), item: 0 }, epoch: 1 }
}

fn place(number: u64, quantity: u32, channel: &Channel, now: Timestamp) -> Command {
    let channel = channel.clone();
    let expires_at = now.plus_seconds(600);
    Command::Place(Place {
        at: hold(number),
        quantity,
        date: None,
        channel,
        holder: Some(traveller(number)),
        expires_at,
    })
}

fn free(number: u64, units_left: u32) -> Command {
    Command::Free(Free { at: hold(number), units_left, settled: None })
}

impl Running {
    async fn ask_stock(&self, id: &StockId, command: Command) -> Result<Result<(), Rejection>, Outage> {
        Ok(within("answered", self.services().stocks.consult(id, command)).await?.outcome)
    }

    async fn tell_stock(&self, id: &StockId, command: Command) {
        self.ask_stock(id, command).await.unwrap().unwrap();
    }

    async fn limit(&self, id: &StockId, limits: Limits) {
        self.shown(self.engine.set_stock_limits(id, limits)).await.unwrap().unwrap();
    }

    fn left(&self, id: &StockId, channel: &Channel) -> Option<u32> {
        self.services().stock_board.left(id, None, channel)
    }

    fn in_use(&self, id: &StockId) -> u64 {
        self.services().stock_board.get(id).map_or(0, |shown| shown.in_use())
    }

    /// Sells so many units to an order of this number.
    async fn sell(&self, number: u64, quantity: u32) {
        self.tell_stock(&package(), place(number, quantity, &DIRECT, self.engine.now())).await;
        self.tell_stock(&package(), Command::Confirm(hold(number))).await;
    }

    async fn stock_is_back(&self, id: &StockId) {
        let asked = || self.ask_stock(id, Command::Release(hold(999)));
        eventually_so("the stock is back", || async { asked().await.is_ok() }).await;
    }
}

#[actix::test]
async fn r_price_03_a_promotion_with_ten_uses_is_used_ten_times_by_fifty_orders_at_once() {
    let world = World::default();
    let running = world.start().await;
    running.limit(&promotion(), total(10)).await;

    let asking = (0..50).map(|number| {
        let (owners, now) = (running.engine.owners.clone(), running.engine.now());
        let asking = async move {
            let placed = owners.stocks.consult(&promotion(), place(number, 1, &DIRECT, now)).await.unwrap().outcome;
            match placed {
                Ok(()) => owners.stocks.consult(&promotion(), Command::Confirm(hold(number))).await.unwrap().outcome,
                Err(refused) => Err(refused),
            }
        };
        running.services().io.spawn(asking)
    });
    let answers: Vec<_> = join_all(asking).await.into_iter().map(|asked| asked.unwrap()).collect();

    let refused = Rejection::PromotionExhausted { promotion: "SPRING".parse().unwrap(), of: Uses::All };
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    assert!(answers.iter().all(|answer| answer.is_ok() || *answer == Err(refused.clone())), "{answers:?}");
    assert_eq!((running.left(&promotion(), &DIRECT), running.in_use(&promotion())), (Some(0), 10));
}

#[actix::test]
async fn r_ota_02_three_channels_each_sell_their_own_to_the_last_unit() {
    let world = World::default();
    let running = world.start().await;
    running.limit(&package(), total(60)).await;
    let partners = ["trip", "klook"].map(|name| Channel::Ota(name.into()));
    let [trip, klook] = partners.clone().map(|channel| (channel, 15));
    let allotments = [trip, klook].map(|(channel, quantity)| Allotment { channel, quantity }).to_vec();
    running.shown(running.engine.set_stock_allotments(&package(), allotments)).await.unwrap().unwrap();

    let channels: Vec<Channel> = [DIRECT].into_iter().chain(partners).collect();
    let asking = (0..150_u64).map(|number| {
        let (owners, now) = (running.engine.owners.clone(), running.engine.now());
        let channel = channels[number as usize % 3].clone();
        running.services().io.spawn(async move {
            let answer = owners.stocks.consult(&package(), place(number, 1, &channel, now)).await.unwrap();
            (channel, answer.outcome.is_ok())
        })
    });
    let placed: Vec<_> = join_all(asking).await.into_iter().map(|asked| asked.unwrap()).collect();

    let sold = |of: &Channel| placed.iter().filter(|(channel, placed)| channel == of && *placed).count();
    assert_eq!(channels.iter().map(sold).collect::<Vec<_>>(), [30, 15, 15]);
    assert!(channels.iter().all(|channel| running.left(&package(), channel) == Some(0)));
}

#[actix::test]
async fn what_is_held_and_sold_is_exact_after_every_restart() {
    let world = World::default();
    let mut running = world.start().await;
    running.limit(&package(), Limits { per_holder: Some(1), per_date: Some(50), ..total(100) }).await;
    for number in 0..10 {
        running.tell_stock(&package(), place(number, 3, &DIRECT, running.engine.now())).await;
    }
    for number in 0..6 {
        running.tell_stock(&package(), Command::Confirm(hold(number))).await;
    }
    running.tell_stock(&package(), free(0, 1)).await;
    running.tell_stock(&package(), Command::Release(hold(9))).await;
    let HoldAt { hold: paying, epoch } = hold(8);
    let expires_at = running.engine.now().plus_seconds(900);
    running.tell_stock(&package(), Command::BeginPaying(BeginPaying { hold: paying, epoch, expires_at })).await;
    assert_eq!(running.in_use(&package()), 9 * 3 - 2);

    running.kill().await;
    running = world.start().await;
    assert_eq!((running.in_use(&package()), running.left(&package(), &DIRECT)), (25, Some(75)));

    // Two have lapsed, one is paying. What was confirmed becomes sums.
    world.clock.pass(3 * DAY_SECONDS);
    running.kill().await;
    running = world.start().await;
    eventually("two have lapsed", || running.in_use(&package()) == 25 - 6).await;
    running.stop().await.unwrap();
    running = world.start().await;
    assert_eq!(running.in_use(&package()), 19);

    let again = running.ask_stock(&package(), place(1, 3, &DIRECT, NOON)).await.unwrap();
    let deluxe = Sold::Package("deluxe".parse().unwrap());
    assert_eq!(again, Err(Rejection::SoldOut { of: deluxe, wanted: 3, available: 0 }), "the traveller has one");
    running.tell_stock(&package(), Command::Confirm(hold(1))).await;
    running.tell_stock(&package(), free(1, 2)).await;
    running.tell_stock(&package(), free(1, 2)).await;
    running.tell_stock(&package(), free(0, 0)).await;
    assert_eq!(running.in_use(&package()), 19 - 2);
    let gone = running.ask_stock(&package(), Command::Confirm(hold(0))).await.unwrap();
    assert_eq!(gone, Err(Rejection::HoldAlreadyReleased));
    let never = running.ask_stock(&package(), Command::Confirm(hold(50))).await.unwrap();
    assert_eq!(never, Err(Rejection::HoldNotFound));
}

#[actix::test]
async fn a_long_confirmed_hold_is_freed_from_its_row_once_postgres_has_it() {
    let world = World::default();
    let running = world.start().await;
    running.limit(&package(), total(10)).await;
    running.sell(1, 4).await;
    let stocks = &running.services().stocks;
    let forgotten = || async {
        world.clock.pass(61 * 60);
        let answer = running.ask_stock(&package(), free(1, 4)).await;
        world.store.set(Postgres::Away);
        let is_forgotten = running.ask_stock(&package(), free(1, 4)).await == Err(Outage::Storage);
        world.store.set(Postgres::Up);
        answer == Ok(Ok(())) && is_forgotten
    };
    world.clock.pass(3 * DAY_SECONDS);
    running.drained().await;
    eventually_so("it is forgotten", forgotten).await;

    assert_eq!(running.in_use(&package()), 4, "not by the sums");
    world.store.set(Postgres::Away);
    let away = within("answered", stocks.consult(&package(), free(1, 1))).await;
    assert_eq!(away.unwrap_err(), Outage::Storage);
    running.sell(2, 1).await;
    world.store.set(Postgres::Up);
    running.tell_stock(&package(), free(1, 1)).await;
    world.store.set(Postgres::Away);
    running.tell_stock(&package(), free(1, 1)).await;
    assert_eq!((running.in_use(&package()), running.left(&package(), &DIRECT)), (2, Some(8)));
}

#[actix::test]
async fn rule_13_what_nobody_has_limited_or_bought_yet_is_sold_and_limited_while_postgres_is_away() {
    let world = World::default();
    let running = world.start().await;
    world.store.set(Postgres::Away);
    running.sell(1, 2).await;
    running.limit(&promotion(), total(10)).await;
    assert_eq!((running.in_use(&package()), running.left(&promotion(), &DIRECT)), (2, Some(10)));
}

#[actix::test]
async fn rule_20_a_stock_that_panics_is_rebuilt_and_right_and_others_are_unaffected() {
    for fault in [Fault::AtMessage, Fault::AfterAppend] {
        let world = World::default();
        let running = world.start().await;
        running.limit(&package(), total(10)).await;
        running.limit(&promotion(), total(10)).await;
        running.sell(1, 2).await;

        running.services().faults.plant(&package(), fault);
        let broken = running.ask_stock(&package(), place(2, 3, &DIRECT, running.engine.now())).await;
        assert_eq!(broken, Err(Outage::Rebuilding));
        running.tell_stock(&promotion(), place(3, 1, &DIRECT, running.engine.now())).await;
        running.stock_is_back(&package()).await;

        assert_eq!(running.services().stocks.restarts(), 1);
        // What was appended before the fault is there, whoever was told otherwise; asking again is already so.
        let found = if fault == Fault::AfterAppend { 3 } else { 0 };
        assert_eq!(running.in_use(&package()), 2 + found);
        running.tell_stock(&package(), place(2, 3, &DIRECT, NOON)).await;
        assert_eq!(running.in_use(&package()), 5);
    }
}

#[actix::test]
async fn a_limit_is_raised_and_lowered_but_never_below_use_and_repeating_it_goes_through() {
    let world = World::default();
    let running = world.start().await;
    running.limit(&package(), total(5)).await;
    running.sell(1, 3).await;
    running.tell_stock(&package(), place(2, 1, &DIRECT, running.engine.now())).await;

    let below = running.shown(running.engine.set_stock_limits(&package(), total(3))).await.unwrap();
    assert_eq!(below, Err(below_use(1, 3)));
    running.limit(&package(), total(4)).await;
    // The template's record was not written: the process ends, and the administrator repeats the request.
    running.kill().await;
    let running = world.start().await;
    assert_eq!(running.left(&package(), &DIRECT), Some(0));
    running.limit(&package(), total(4)).await;
    running.limit(&package(), Limits::default()).await;
    assert_eq!(running.left(&package(), &DIRECT), None);
    running.drained().await;
    let rows = world.store.rows(StockHoldRow::TABLE);
    assert_eq!(rows.all::<StockHoldRow<'_>>().unwrap().len(), 2);
}

#[actix::test]
async fn the_board_shows_what_is_left_of_each_date() {
    let world = World::default();
    let running = world.start().await;
    running.limit(&package(), Limits { per_date: Some(4), ..total(10) }).await;
    let on = |number, day| {
        let Command::Place(place) = place(number, 3, &DIRECT, running.engine.now()) else { unreachable!() };
        Command::Place(Place { date: Some(date(2027, 1, day)), ..place })
    };
    running.tell_stock(&package(), on(1, 1)).await;
    running.tell_stock(&package(), on(2, 2)).await;
    let left = |day| running.services().stock_board.left(&package(), Some(date(2027, 1, day)), &DIRECT);
    assert_eq!([left(1), left(2), left(3)], [Some(1), Some(1), Some(4)]);
    running.tell_stock(&package(), Command::Confirm(hold(1))).await;
    running.tell_stock(&package(), free(1, 1)).await;
    running.tell_stock(&package(), Command::Release(hold(2))).await;
    assert_eq!([left(1), left(2), left(3)], [Some(3), Some(4), Some(4)]);
}

/// A promotion with so many uses, or without a limit.
fn spring(uses: Option<u32>) -> Promotion {
    serde_json::from_value(serde_json::json!({
        "code": "SPRING", "name": { "zh": "春", "en": "Spring" }, "automatic": true, "kind": "percent", "value": 10,
        "validFrom": "2026-01-01", "validUntil": "2036-12-31", "limitTotal": uses, "limitPerTraveller": 1,
    }))
    .unwrap()
}

#[actix::test]
async fn r_price_03_a_promotions_write_limits_its_stock_first_and_goes_through_when_it_is_repeated() {
    let world = World::default();
    let running = world.start().await;
    let configure = |running: &Running, uses| {
        let engine = running.engine.clone();
        async move { engine.configure(put(spring(uses))).await.unwrap().outcome }
    };
    configure(&running, Some(5)).await.unwrap();
    assert_eq!(running.left(&promotion(), &DIRECT), Some(5));
    for number in 0..3 {
        running.tell_stock(&promotion(), place(number, 1, &DIRECT, running.engine.now())).await;
    }
    let used_up = |running: &Running, number| {
        let services = running.services();
        let catalogue = services.catalogue.load();
        let entry = catalogue.promotion("SPRING").unwrap();
        services.stock_board.used_up(&entry.content, traveller(number), &DIRECT)
    };
    assert_eq!([0, 7].map(|number| used_up(&running, number)), [Some(Uses::OfTraveller), None]);
    assert_eq!(configure(&running, Some(2)).await, Err(below_use(3, 0)));
    let stands = |running: &Running| running.services().catalogue.load().promotion("SPRING").unwrap().limit_total;
    assert_eq!(stands(&running), Some(5), "nothing was written");

    // It broke off when the stock had its new limits.
    let limits = spring(Some(3)).limits();
    running.limit(&promotion(), limits).await;
    running.kill().await;
    let running = world.start().await;
    assert_eq!((stands(&running), running.left(&promotion(), &DIRECT)), (Some(5), Some(0)));
    assert_eq!(used_up(&running, 7), Some(Uses::All));
    configure(&running, Some(3)).await.unwrap();
    assert_eq!(stands(&running), Some(3));
    running.tell_stock(&promotion(), Command::Release(hold(0))).await;
    assert_eq!([0, 1].map(|number| used_up(&running, number)), [None, Some(Uses::OfTraveller)]);
}

#[actix::test]
async fn r_price_03_a_promotions_write_is_made_whole_though_its_client_goes() {
    let world = World::default();
    let running = world.start().await;
    let services = running.services();
    let release = services.faults.stall(&promotion());
    let engine = running.engine.clone();
    let writing = actix::spawn(async move { engine.configure(put(spring(Some(3)))).await });
    eventually("its stock hears of it", || !services.faults.is_planted(&promotion())).await;
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    drop(release);

    let limit = || services.catalogue.load().promotion("SPRING").map(|promotion| promotion.limit_total);
    eventually("both have it", || limit() == Ok(Some(3))).await;
    assert_eq!(running.left(&promotion(), &DIRECT), Some(3));
}

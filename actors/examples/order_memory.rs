//! What an order costs in resident memory while Postgres is away: as made, payable, paid, and scanned.
//!
//! ```text
//! cargo run --release -p deeptravel-actors --example order_memory -- [orders] [passengers of each]
//! ```
//!
//! A whole engine with its journal in a temporary directory; nothing is ever projected, so nothing may leave memory.
//! Each line says by how much the process has grown per order since a quarter as many had been sold, holds at the
//! departures and the desks' entries included, and what a step cost in processor time. Texts are as long as real ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deeptravel_actors::clock::Clock;
use deeptravel_actors::engine::{Engine, Parts};
use deeptravel_actors::journal::{Journal, JournalOptions, Position};
use deeptravel_actors::ports::{GatewayError, Haste, Load, Parameter, PaymentGateway, Store, StoreError};
use deeptravel_actors::projector::Projector;
use deeptravel_actors::services::SalesPolicy;
use deeptravel_domain::catalogue::{
    Change, Command, Marks, Mode, Names, Operator, Port, Route, RouteStatus, RulesByChannel, Schedule, Stop, Timetable,
    Vehicle, Weekdays, Zone, departure_id,
};
use deeptravel_domain::departure::{Channel, Seat, SeatClass, SeatMap};
use deeptravel_domain::fare::{DayType, Fare, FareTable};
use deeptravel_domain::ids::{DepartureId, OrderId, OutRefundNo, OutTradeNo, SessionId, TravellerId};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::order::rows::OrderRow;
use deeptravel_domain::order::{
    Capture, Contact, FactState, Gate, ItemWish, JourneyWish, Passenger, PaymentFact, PaymentTerms, Place,
    RefundFactState, RefundTerms, Scan, ScanTarget, SeatWish, Take, Wish,
};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::row::{Row as _, Rows};
use futures_util::stream::{self, StreamExt};
use jiff::civil::{Date, date};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Orders that are being made, paid or scanned at once.
const AT_ONCE: usize = 256;
/// Departures a day, days on sale, and seats of each: for 130,000 orders of two.
const A_DAY: u16 = 10;
const DAYS: i32 = 28;
const SEATS: u16 = 1_000;
/// After a step everything comes to rest, and the allocator gives back what it does not need.
const REST: Duration = Duration::from_secs(6);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (orders, passengers) = (number(100_000), number(2));
    actix_rt::System::new().block_on(run(orders, passengers));
}

async fn run(count: usize, passengers: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let (journal, _) = Journal::open(dir.path(), JournalOptions::default()).expect("a directory that can be written");
    let store: Arc<dyn Store> = Arc::new(Away);
    let (projector, projected) =
        Projector::new(&journal, Arc::clone(&store), Position::NOTHING).expect("a new journal");
    io.spawn(projector.run());
    let engine = Engine::start(Parts {
        journal: journal.clone(),
        clock: Clock::start(None),
        store,
        gateway: Arc::new(WeChat),
        projected,
        io: io.handle().clone(),
        sales: SalesPolicy {
            lock_seconds: None,
            live_holds_max: 5,
            payment_grace_seconds: 90,
            cap_extra_seconds: 300,
            payment_min_seconds: 60,
            warm_load_bytes_max: 1 << 30,
            warm_bytes_max: 1 << 30,
            at_hand_bytes_max: 1 << 30,
        },
        arbiters: 1,
    })
    .await
    .expect("an empty store");
    let departures = open_sale(&engine).await;
    // As in a server that has been selling for a while: departures are born, tables and buffers have their size.
    let first = 1 + count / 4;
    let ids = place(&engine, 1..first, &departures, passengers).await;
    let numbers: Vec<OutTradeNo> = each(ids.into_iter(), |id| open_payment(&engine, id)).await;
    each(numbers.into_iter(), |number| pay(&engine, number)).await;

    let base = settled().await;
    println!(
        "{count} orders of {passengers}; {:.1} MB resident after a quarter as many",
        megabytes(base.resident_bytes)
    );
    let report = async |what: &str, before: Usage| {
        let worked = usage();
        let now = settled().await;
        let dormant = engine.services().dormant_orders();
        let bytes = now.resident_bytes.saturating_sub(base.resident_bytes) / count as u64;
        let micros = (worked.cpu_ms - before.cpu_ms) * 1000 / count as u64;
        println!("{what:<10} {bytes:>6} bytes an order, {micros:>4} µs of processor time each");
        println!(
            "           {} dormant, themselves {} bytes each",
            dormant.keys(),
            dormant.bytes() / dormant.keys().max(1)
        );
        usage()
    };
    let ids = place(&engine, first..first + count, &departures, passengers).await;
    let before = report("pending", base).await;
    let numbers: Vec<OutTradeNo> = each(ids.iter().copied(), |id| open_payment(&engine, id)).await;
    let before = report("payable", before).await;
    each(numbers.into_iter(), |number| pay(&engine, number)).await;
    let before = report("paid", before).await;
    each(ids.iter().copied().enumerate(), |(number, id)| redeem(&engine, number, id)).await;
    report("scanned", before).await;

    engine.stop();
    io.shutdown_background();
}

async fn each<T, U, F: Future<Output = U>>(items: impl Iterator<Item = T>, work: impl FnMut(T) -> F) -> Vec<U> {
    stream::iter(items).map(work).buffered(AT_ONCE).collect().await
}

async fn place(
    engine: &Engine,
    numbers: std::ops::Range<usize>,
    departures: &[DepartureId],
    passengers: usize,
) -> Vec<OrderId> {
    each(numbers, async |number| {
        let wished = wish(number, &departures[number % departures.len()], passengers);
        let reply = engine.place(wished, |order, _| order.id()).await.expect("no outage");
        reply.outcome.expect("an order")
    })
    .await
}

async fn open_payment(engine: &Engine, id: OrderId) -> OutTradeNo {
    let reply = engine.open_payment(id, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".into()).await.expect("no outage");
    reply.outcome.expect("a payment").live_payment().expect("one that can be paid").number
}

async fn pay(engine: &Engine, number: OutTradeNo) {
    let amount = engine.order(number.order).await.expect("no outage").outcome.expect("the order").total();
    let transaction_id = format!("42000017{:020}", number.order.bits() % 100_000_000_000).into();
    let fact =
        PaymentFact { number, state: FactState::Paid(Capture { transaction_id, amount, payer: None, paid_at: None }) };
    let reply = engine.learn(fact).await.expect("no outage");
    reply.outcome.expect("money for the order");
}

async fn redeem(engine: &Engine, number: usize, id: OrderId) {
    let gate = Gate {
        session: SessionId::from_bits(number as u128 % 100),
        operator: "gate-3".into(),
        device: "handheld-17".into(),
        redeems: Arc::default(),
        location: None,
        port: None,
        departure: None,
    };
    let scan = Scan {
        gate,
        request_id: uuid(number),
        place: Place::Gate,
        target: ScanTarget::Order,
        take: Take::ONE,
        code: None,
        overrides: Box::default(),
    };
    let reply = engine.redeem(id, scan, |outcome, _| outcome.tickets.len()).await.expect("no outage");
    assert!(reply.outcome.expect("tickets") > 0);
}

fn uuid(number: usize) -> Box<str> {
    format!("{number:08x}-4b5c-4d6e-8f70-{number:012x}").into()
}

fn wish(number: usize, departure: &DepartureId, passengers: usize) -> Wish {
    let passenger = |at| Passenger {
        name: format!("Chan Tai Man {}", number * 10 + at).into(),
        kind: PassengerType::Adult,
        document: None,
    };
    let traveller = (number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let mut body_hash = [7; 32];
    body_hash[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    Wish {
        traveller: TravellerId::from_bits(traveller),
        channel: Channel::Direct,
        idempotency_key: uuid(number),
        body_hash,
        locale: "zh-CN".into(),
        contact: Contact {
            name: format!("Chan Tai Man {number}").into(),
            phone: format!("+8529{number:07}").into(),
            email: None,
        },
        passengers: (0..passengers).map(passenger).collect(),
        items: vec![ItemWish::Journey(JourneyWish {
            departure: departure.clone(),
            class: code("standard"),
            board: None,
            alight: None,
            seats: SeatWish::Any,
        })],
        promotion_code: None,
    }
}

fn code<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a code")
}

/// A catalogue with one route; every departure of it that can be booked for two days from now on.
async fn open_sale(engine: &Engine) -> Vec<DepartureId> {
    let seat = |index: u16| Seat {
        label: format!("{:03}{}", index / 4 + 1, ["A", "B", "C", "D"][usize::from(index % 4)]),
        class: 0,
        row: index / 4,
        column: (index % 4) as u8,
    };
    let seat_map = SeatMap {
        classes: vec![SeatClass { code: code("standard"), names: Names::same("Standard") }],
        seats: (0..SEATS).map(seat).collect(),
    };
    let port = |text: &str| Port { code: code(text), names: Names::new("口岸", "Port") };
    let schedule = |number: u16| Schedule {
        id: code(&format!("hzmb-hk-zhuhai-{:02}00", number + 8)),
        route: code("hzmb-hk-zhuhai"),
        departs_minutes: (number + 8) * 60,
        weekdays: Weekdays::DAILY,
        first_date: date(2020, 1, 1),
        last_date: date(2099, 12, 31),
        exceptions: BTreeMap::new(),
    };
    let stop = |port: &str, minutes| Stop { port: code(port), arrives_minutes: minutes, departs_minutes: minutes };
    let route = Route {
        code: code("hzmb-hk-zhuhai"),
        operator: code("one-bus"),
        mode: Mode::Coach,
        names: Names::new("線", "Route"),
        time_zone: Zone::named("Asia/Hong_Kong").expect("a zone"),
        stops: vec![stop("HK-HZMB", 0), stop("ZH-HZMB", 45)],
        vehicle: code("coach"),
        booking_closes_minutes: 30,
        sales_window_days: 60,
        boarding_opens_minutes: None,
        refund_rules: RulesByChannel::default(),
        status: RouteStatus::OnSale,
        marks: Marks::new(),
    };
    let fare = Fare {
        passenger_type: PassengerType::Adult,
        seat_class: None,
        stretch: None,
        day_type: DayType::Any,
        dates: None,
        season: None,
        times: None,
        price: Money::new(6_000, Currency::Cny),
        source_price: Some(Money::new(6_500, Currency::Hkd)),
        assumed: true,
    };
    let vehicle =
        Vehicle { code: code("coach"), names: Names::same("Coach"), seat_map: Arc::new(seat_map), marks: Marks::new() };
    let put = |content: Change| Command::new(content, "example");
    let commands = [
        put(Operator { code: code("one-bus"), names: Names::new("公司", "Company") }.into()),
        put(port("HK-HZMB").into()),
        put(port("ZH-HZMB").into()),
        put(vehicle.into()),
        put(route.into()),
        put(Timetable::new(code("hzmb-hk-zhuhai"), (0..A_DAY).map(schedule)).into()),
        put(FareTable { seat_lock_minutes: 60, ..FareTable::new(code("hzmb-hk-zhuhai"), vec![fare], Vec::new()) }
            .into()),
    ];
    for command in commands {
        let reply = engine.configure(command).await.expect("no outage");
        reply.outcome.expect("a catalogue");
    }
    let today = engine.now().to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |days: i32| -> Date { today.saturating_add(jiff::Span::new().days(days + 2)) };
    let all = (0..DAYS).flat_map(|days| (0..A_DAY).map(move |number| (days, number)));
    let departures: Vec<DepartureId> =
        all.filter_map(|(days, number)| departure_id(&schedule(number).id, day(days))).collect();
    // The catalogue is published once it is durable, the fares last.
    while engine.place(wish(0, &departures[0], 1), |_, _| ()).await.is_ok_and(|reply| reply.outcome.is_err()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    departures
}

#[derive(Clone, Copy)]
struct Usage {
    resident_bytes: u64,
    cpu_ms: u64,
}

/// Waits until nothing is under way any more.
async fn settled() -> Usage {
    tokio::time::sleep(REST).await;
    usage()
}

fn usage() -> Usage {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    // After the name in brackets: user and system time are the 12th and 13th field, in hundredths of a second.
    let stat = read("/proc/self/stat");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Usage { resident_bytes: kilobytes * 1024, cpu_ms: ticks * 10 }
}

#[allow(clippy::cast_precision_loss)] // to be read by people
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// Postgres, empty at the start and then gone.
#[derive(Debug)]
struct Away;

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("it is away".to_owned()))
}

#[async_trait]
impl Store for Away {
    async fn load(&self, load: Load, _: Vec<Parameter>, haste: Haste) -> Result<Rows, StoreError> {
        let is_of_order = load.rows.iter().any(|statement| statement.table == OrderRow::TABLE);
        if haste == Haste::Wake && is_of_order { away() } else { Ok(Rows::default()) }
    }

    async fn project(&self, _: &Rows, _: Position, _: Position) -> Result<(), StoreError> {
        away()
    }
}

/// Answers everything at once, and keeps nothing.
#[derive(Debug)]
struct WeChat;

#[async_trait]
impl PaymentGateway for WeChat {
    fn create_body(&self, terms: &PaymentTerms, description: &str, openid: &str) -> Result<Vec<u8>, GatewayError> {
        let mut body = format!("{} {description} {openid}", terms.number).into_bytes();
        // As long as the one that WeChat gets.
        body.resize(500, b'.');
        Ok(body)
    }

    async fn create(&self, body: &[u8]) -> Result<String, GatewayError> {
        Ok(format!("wx{}", String::from_utf8_lossy(body.get(..34).unwrap_or_default())))
    }

    async fn query(&self, _: OutTradeNo) -> Result<FactState, GatewayError> {
        Ok(FactState::NotPaid)
    }

    async fn close(&self, _: OutTradeNo) -> Result<(), GatewayError> {
        Ok(())
    }

    fn refund_body(&self, _: &RefundTerms) -> Result<Vec<u8>, GatewayError> {
        Ok(Vec::new())
    }

    async fn refund(&self, _: &[u8]) -> Result<RefundFactState, GatewayError> {
        Err(no_refunds())
    }

    async fn query_refund(&self, _: OutRefundNo) -> Result<RefundFactState, GatewayError> {
        Err(no_refunds())
    }
}

fn no_refunds() -> GatewayError {
    GatewayError::Unknown("nobody pays late here".to_owned())
}

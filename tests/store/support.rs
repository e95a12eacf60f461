//! What the stories share: a database with its store, an order and a departure that are led through their lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deeptravel::postgres::{Access, Database, JournalPosition, Store, claim_epoch, read_position};
use deeptravel::testing::suite::{self, Kind};
use deeptravel::testing::{TestDatabase, fresh_database};
use deeptravel_actors::journal::Position;
use deeptravel_actors::loads::{self, DeskEntryRow, TransactionRow, lowest_id};
use deeptravel_actors::ports::{self, Haste, Load, Parameter, Store as _, StoreError, Warm};
use deeptravel_domain::code::{Code, CodeToken, Opened, Subject};
use deeptravel_domain::departure::{Call, Channel, DepartureSpec, Seat, SeatClass, SeatMap, Stretch};
use deeptravel_domain::ids::{HoldId, OrderId, OutTradeNo, SessionId, Shard, TravellerId};
use deeptravel_domain::inventory::{self, Inventory};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::names::Names;
use deeptravel_domain::order::{
    Capture, Command, Contact, Draft, Effect, FactState, Gate, Item, KnownRefund, Leg, LineKind, Order, OrderStatus,
    Passenger, PaymentFact, PaymentPolicy, Place, Prepay, Price, PriceLine, RefundFact, RefundFactState, RefundStatus,
    Scan, ScanTarget, SealedDocument, SeatWish, Take, back, collect, sale, ticket,
};
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::refund_rule::RuleRevision;
use deeptravel_domain::row::{self, Damage, Row, Rows};
use deeptravel_domain::tables;
use deeptravel_domain::time::Timestamp;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The name of these tests, where logs are kept.
pub const SUITE: &str = "store";

/// A week before the departure.
pub const NOW: Timestamp = Timestamp::from_ms(1_795_147_200_123);
pub const DEPARTS_AT: Timestamp = Timestamp::from_ms(1_795_147_200_000 + 7 * 24 * 3_600_000);

pub fn io_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A migrated database and the process that projects into it.
pub struct Stand {
    pub runtime: Runtime,
    pub database: Database,
    pub journal_id: Uuid,
    pub store: Store,
    pub lists: Box<dyn ports::Lists>,
    position: AtomicU64,
    pub test_database: Option<TestDatabase>,
}

/// What a desk reads of an order.
#[derive(Debug)]
pub struct DeskEntry {
    pub order: OrderId,
    pub traveller: TravellerId,
    pub idempotency_key: String,
    pub body_hash: [u8; 32],
    pub status: OrderStatus,
}

impl From<DeskEntryRow<'_>> for DeskEntry {
    fn from(row: DeskEntryRow<'_>) -> DeskEntry {
        let DeskEntryRow {
            order_id: row::Uuid(order),
            traveller_id: row::Uuid(traveller),
            idempotency_key,
            body_hash,
            status,
        } = row;
        DeskEntry { order, traveller, idempotency_key: idempotency_key.to_owned(), body_hash, status }
    }
}

impl Stand {
    pub fn new() -> Stand {
        Stand::in_database(fresh_database().unwrap())
    }

    pub fn in_database(test_database: TestDatabase) -> Stand {
        let config = test_database.config.clone();
        Stand { test_database: Some(test_database), ..Stand::on(&config) }
    }

    /// On a migrated database of somebody else.
    pub fn on(config: &tokio_postgres::Config) -> Stand {
        suite::log_of_this_process(SUITE);
        let runtime = io_runtime();
        let database = Database::new(runtime.handle().clone(), &Access::by_socket(config.clone()));
        let journal_id = Uuid::now_v7();
        let store = runtime.block_on(open(&database, journal_id));
        let lists = Box::new(database.clone());
        Stand { runtime, database, journal_id, store, lists, position: AtomicU64::new(0), test_database: None }
    }

    /// Projects the rows as the next record.
    pub fn project(&self, rows: &Rows) -> Result<(), StoreError> {
        let from = self.position.load(Ordering::Relaxed);
        self.runtime.block_on(self.store.project(rows, Position(from), Position(from + 1)))?;
        self.position.store(from + 1, Ordering::Relaxed);
        Ok(())
    }

    pub fn load(&self, load: Load, parameters: Vec<Parameter>, haste: Haste) -> Result<Rows, StoreError> {
        self.runtime.block_on(self.store.load(load, parameters, haste))
    }

    /// An order's rows, as it wakes from them. `None`: it has none.
    pub fn order(&self, id: OrderId) -> Result<Option<Rows>, StoreError> {
        let rows = self.load(loads::ORDER, vec![vec![id].into()], Haste::Wake)?;
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// A departure's rows, as it wakes from them. `None`: it was never born.
    pub fn departure(&self, id: &str) -> Result<Option<Rows>, StoreError> {
        let rows = self.load(loads::DEPARTURE, vec![id.to_owned().into()], Haste::Wake)?;
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// By their ids.
    pub fn departures_after(&self, after: Timestamp) -> Result<Vec<Rows>, StoreError> {
        let rows = self.load(loads::DEPARTURES_AFTER, vec![after.into()], Haste::Start)?;
        Ok(tables::split(&rows, "departure_id")?)
    }

    /// By their ids.
    pub fn warm_orders(&self, warm: Warm) -> Result<Vec<Rows>, StoreError> {
        let rows = self.load(loads::WARM_ORDERS, warm.parameters(), Haste::Start)?;
        Ok(tables::split(&rows, "order_id")?)
    }

    pub fn desk_entries(&self, since: Timestamp) -> Result<Vec<DeskEntry>, StoreError> {
        let rows = self.load(loads::DESK_ENTRIES, vec![lowest_id(since)], Haste::Start)?;
        rows.of::<DeskEntryRow<'_>>().map(|row| Ok(DeskEntry::from(row?))).collect()
    }

    pub fn desk_reservations(&self, since: Timestamp) -> Result<Rows, StoreError> {
        self.load(loads::DESK_RESERVATIONS, vec![lowest_id(since)], Haste::Start)
    }

    pub fn catalogue(&self) -> Result<Rows, StoreError> {
        self.load(loads::CATALOGUE, vec![deeptravel_domain::catalogue::OWNER.to_owned().into()], Haste::Start)
    }

    /// As many as that, those of the newest orders.
    pub fn transactions(&self, now: Timestamp) -> Result<Vec<(OutTradeNo, String)>, StoreError> {
        let rows = self.load(loads::TRANSACTIONS, loads::recent_transactions(now), Haste::Start)?;
        let read = |row: Result<TransactionRow<'_>, Damage>| {
            row.map(|row| (row.out_trade_no, row.transaction_id.to_owned())).map_err(StoreError::from)
        };
        rows.of().map(read).collect()
    }

    /// With the newest version of any row.
    pub fn identities(&self, now: Timestamp) -> Result<(Rows, u64), StoreError> {
        with_version(self.load(loads::IDENTITIES, vec![now.into()], Haste::Start)?)
    }

    /// With the newest version of any row.
    pub fn quarantine(&self, limit: u32) -> Result<(Rows, u64), StoreError> {
        with_version(self.load(loads::QUARANTINE, vec![Parameter::Number(limit.into())], Haste::Start)?)
    }

    pub fn quarantined_notice(&self, id: &str) -> Result<Rows, StoreError> {
        self.load(loads::QUARANTINED_NOTICE, vec![id.to_owned().into()], Haste::Wake)
    }

    /// The first column of the first row of a statement.
    pub fn ask<T: for<'a> tokio_postgres::types::FromSql<'a> + Send + 'static>(&self, sql: impl Into<String>) -> T {
        let sql = sql.into();
        let job = move |session: deeptravel::postgres::Session| async move {
            Ok(session.query_one(&sql, &[]).await?.try_get(0)?)
        };
        self.runtime.block_on(self.database.run(deeptravel::postgres::Lane::Lists, job)).unwrap()
    }
}

fn with_version(rows: Rows) -> Result<(Rows, u64), StoreError> {
    let version = ports::newest_version(&rows)?;
    Ok((rows, version))
}

/// How many rows of a type there are.
pub fn count<'a, R: Row<'a>>(rows: &Rows) -> usize {
    rows.images_of(R::TABLE).count()
}

/// The same with every row of one type changed; what was the first image of a row still says so.
pub fn each<'a, R: Row<'a>>(rows: &'a Rows, change: impl Fn(R) -> R) -> Rows {
    let mut changed = Rows::default();
    for (slot, image) in rows.images() {
        if slot != R::TABLE.slot {
            changed.put_image(slot, image);
            continue;
        }
        let row = change(R::read(image).unwrap());
        if R::TABLE.is_first(image).unwrap() {
            changed.put_first(&row);
        } else {
            changed.put(&row);
        }
    }
    changed
}

/// As releases wrote rows that had no marks of first images.
pub fn without_marks(rows: &Rows) -> Rows {
    let mut unmarked = Rows::default();
    for (slot, image) in rows.images() {
        unmarked.put_image(slot, &tables::by_slot(slot).unwrap().unmarked(image).unwrap());
    }
    unmarked
}

/// The store of a process that comes now.
pub async fn open(database: &Database, journal_id: Uuid) -> Store {
    let claim = move |session: deeptravel::postgres::Session| async move {
        let found = read_position(&*session).await.unwrap();
        let (position, epoch) = found.map_or((0, 1), |found| (found.position, found.epoch + 1));
        claim_epoch(&*session, JournalPosition { journal_id, position, epoch }).await.unwrap();
        Ok(epoch)
    };
    let epoch = database.run(deeptravel::postgres::Lane::Projection, claim).await.unwrap();
    Store::new(database.clone(), journal_id, epoch)
}

pub fn code<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub fn traveller(number: u16) -> TravellerId {
    TravellerId::from_bits(u128::from(number) << 64 | 9)
}

/// The `number`-th order, made so many milliseconds after [`NOW`].
pub fn order_id(number: u64) -> OrderId {
    OrderId::compose(NOW.plus_ms(number as i64), Shard::of(number), number << 8)
}

/// A coach of three stops with two classes and as many rows of four seats as asked for.
pub fn departure(id: &str, rows: u16) -> DepartureSpec {
    let call = |hours: i64| Call {
        arrives_at: DEPARTS_AT.plus_seconds(3600 * hours),
        departs_at: DEPARTS_AT.plus_seconds(3600 * hours + 60),
    };
    let seat = |row: u16, column: u8| Seat {
        label: format!("{:02}{}", row + 1, char::from(b'A' + column)),
        class: u8::from(row == 0),
        row,
        column,
    };
    let classes = ["standard", "deluxe"]
        .map(|name| SeatClass { code: code(name), names: Names::new(format!("{name} 座"), name) });
    DepartureSpec {
        id: code(id),
        route: code("HKMO"),
        operator: code("TJ"),
        calls: (0..3).map(call).collect(),
        booking_closes_minutes: 30,
        seat_map: Arc::new(SeatMap {
            classes: classes.to_vec(),
            seats: (0..rows).flat_map(|row| (0..4).map(move |column| seat(row, column))).collect(),
        }),
    }
}

/// A machine with the versions its owner would give it.
pub struct Coach {
    pub machine: Inventory,
    pub version: u64,
}

impl Coach {
    pub fn new(id: &str, rows: u16) -> Coach {
        Coach { machine: Inventory::unborn(departure(id, rows)).unwrap(), version: 0 }
    }

    /// Decides, changes, and answers the rows of the record.
    pub fn tell(&mut self, command: &inventory::Command, now: Timestamp) -> Rows {
        let events = self.machine.decide(command, now).unwrap();
        self.version += 1;
        self.machine.apply(&events, self.version)
    }
}

pub fn hold(number: u64) -> HoldId {
    HoldId { order: order_id(number), item: 0 }
}

/// One seat for ten minutes, first stop to last.
pub fn place(number: u64, now: Timestamp) -> inventory::Command {
    place_as(number, 1, now)
}

/// The same as a hold of this epoch.
pub fn place_as(number: u64, epoch: u32, now: Timestamp) -> inventory::Command {
    inventory::Command::PlaceHold(inventory::PlaceHold {
        hold: hold(number),
        epoch,
        channel: Channel::Direct,
        class: code("standard"),
        stretch: Stretch { board: 0, alight: 2 },
        ride: None,
        wanted: inventory::Wanted::Auto(1),
        expires_at: now.plus_seconds(600),
    })
}

pub fn confirm(number: u64) -> inventory::Command {
    inventory::Command::ConfirmHold(inventory::HoldAt { hold: hold(number), epoch: 1 })
}

pub fn release(number: u64) -> inventory::Command {
    inventory::Command::ReleaseHold(inventory::HoldAt { hold: hold(number), epoch: 1 })
}

pub fn allot(partner: &str, seats: u16) -> inventory::Command {
    let channel = Channel::Ota(partner.into());
    let allotments = vec![inventory::Allotment { channel, class: code("standard"), seats }];
    inventory::Command::SetAllotments(allotments)
}

const NAME: &str = "陳大文";
const CHILD: &str = "陳小明";
const PHONE: &str = "+85291234567";
const EMAIL: &str = "chan@example.com";
/// The number itself is sealed before anything here sees it.
const DOCUMENT_MASK: &str = "******78";

/// A party of two and a child, one of them with a document, from the first stop to the last.
pub fn draft(id: OrderId, traveller: TravellerId, departure: &str) -> Draft {
    let passenger = |name: &str, kind, document| Passenger { name: name.into(), kind, document };
    let document = SealedDocument {
        kind: "passport".into(),
        key_version: 3,
        ciphertext: vec![0, 1, 254, 255].into(),
        mask: DOCUMENT_MASK.into(),
    };
    let rule = RuleRevision { rule: "standard".parse().unwrap(), revision: 2 };
    let leg = Leg {
        departure: code(departure),
        route: code("HKMO"),
        operator: code("TJ"),
        class: code("standard"),
        stretch: Stretch { board: 0, alight: 2 },
        board_port: code("HKA"),
        alight_port: code("MOB"),
        departs_at: DEPARTS_AT,
        arrives_at: DEPARTS_AT.plus_seconds(7200),
        boards_from: None,
        wish: SeatWish::Any,
        seats: vec![],
    };
    for (kind, value) in [
        (Kind::Name, NAME),
        (Kind::Name, CHILD),
        (Kind::Phone, PHONE),
        (Kind::Email, EMAIL),
        (Kind::Document, DOCUMENT_MASK),
    ] {
        suite::used(kind, value);
    }
    Draft {
        id,
        buyer: deeptravel_domain::order::Buyer::Traveller {
            id: traveller,
            idempotency_key: format!("key-{id}").into(),
            body_hash: [7; 32],
        },
        channel: Channel::Direct,
        locale: "zh-HK".into(),
        contact: Contact { name: NAME.into(), phone: PHONE.into(), email: Some(EMAIL.into()) },
        passengers: vec![
            passenger(NAME, PassengerType::Adult, Some(document)),
            passenger("O'Neill \"X\" \\ {a,b}", PassengerType::Senior, None),
            passenger(CHILD, PassengerType::Child, None),
        ],
        items: vec![Item { refund_rule: Some(rule), ..Item::journey(leg) }],
        asked: Vec::new(),
        price: Price {
            total: Money::new(55_000, Currency::Cny),
            lines: vec![PriceLine {
                item: 0,
                kind: LineKind::Journey { passenger: PassengerType::Adult, class: code("standard") },
                count: 3,
                unit_minor: 20_000,
                discount_minor: 5_000,
                total_minor: 55_000,
                explanation: "平日 weekday, party of 3".into(),
            }],
        },
        promotions: vec![],
        lock_seconds: 600,
    }
}

pub const POLICY: PaymentPolicy = PaymentPolicy { min_seconds: 60, grace_seconds: 90, cap_extra_seconds: 300 };

/// An order with the versions its owner would give it, in a world where every step succeeds.
pub struct Buyer {
    pub order: Order,
    pub version: u64,
}

impl Buyer {
    /// The order and the rows of its first record.
    pub fn place(draft: Draft, now: Timestamp) -> (Buyer, Rows) {
        let mut buyer = Buyer { order: Order::draft(draft, now), version: 0 };
        let rows = buyer.run_steps(now);
        (buyer, rows)
    }

    pub fn pay(&mut self, now: Timestamp) -> Rows {
        let terms = self.order.payment_terms(&POLICY, now).unwrap();
        let mut rows = self.tell(collect::Command::Begin { terms, body: b"{\"total\":1}".as_slice().into() }, now);
        rows.extend(&self.run_steps(now));
        rows.extend(&self.tell(self.money(terms.number, now), now));
        rows.extend(&self.run_steps(now));
        rows
    }

    /// Gives up with a payment begun, and pays it all the same, after the departure: the money has to go back.
    pub fn pay_too_late(&mut self, now: Timestamp) -> Rows {
        let terms = self.order.payment_terms(&POLICY, now).unwrap();
        let mut rows = self.tell(collect::Command::Begin { terms, body: b"{\"total\":1}".as_slice().into() }, now);
        rows.extend(&self.cancel(now));
        rows.extend(&self.tell(self.money(terms.number, now), DEPARTS_AT));
        rows
    }

    /// Gives up, until the seats are given back.
    pub fn cancel(&mut self, now: Timestamp) -> Rows {
        let mut rows = self.tell(sale::Command::Cancel, now);
        rows.extend(&self.run_steps(now));
        rows
    }

    fn money(&self, number: OutTradeNo, now: Timestamp) -> Command {
        let transaction_id = format!("42000{}", self.order.id()).into();
        let capture = Capture { transaction_id, amount: self.order.total(), payer: None, paid_at: Some(now) };
        collect::Command::Fact(PaymentFact { number, state: FactState::Paid(capture) }).into()
    }

    /// What WeChat says about the order's first refund.
    pub fn refund_is(&mut self, status: RefundStatus, now: Timestamp) -> Rows {
        let refund = &self.order.refunds()[0];
        let (number, payment, amount) = (refund.number, refund.payment, refund.amount);
        let known = KnownRefund { payment, refund_id: "50000".into(), amount, status };
        self.tell(back::Command::RefundFact(RefundFact { number, state: RefundFactState::Known(known) }), now)
    }

    pub fn scan(&mut self, request_id: &str, target: ScanTarget, now: Timestamp) -> Rows {
        let gate = Gate {
            session: SessionId::from_bits(77),
            operator: "gate".into(),
            device: "device-1".into(),
            redeems: Arc::default(),
            location: Some(code("HKA")),
            port: Some(code("HKA")),
            departure: None,
        };
        // A code of its own for each request; the highest bits, too, come back.
        let token = CodeToken(u64::MAX - u64::from(request_id.as_bytes()[request_id.len() - 1]));
        let code = Some(Opened { code: Code::one_time(Subject::Order(self.order.id()), now, 60), token });
        let request_id = request_id.into();
        let (take, overrides) = (Take::ONE, Box::default());
        let scan = Scan { gate, request_id, place: Place::Gate, target, take, code, overrides };
        self.tell(ticket::Command::Scan(scan), now)
    }

    /// Decides, changes, and answers the rows of the record, if there is one.
    pub fn tell(&mut self, command: impl Into<Command>, now: Timestamp) -> Rows {
        let events = self.order.decide(&command.into(), now).unwrap();
        let rows = self.order.apply(&events, self.version + 1);
        if !rows.is_empty() {
            self.version += 1;
        }
        rows
    }

    /// Does what the order wants done until it wants nothing more.
    fn run_steps(&mut self, now: Timestamp) -> Rows {
        let mut rows = Rows::default();
        while let Some(effect) = self.order.effects().next() {
            let seats = ["02A", "02B", "02C"].map(Into::into).to_vec();
            let answer = effect.hold_answer(Ok(seats)).map(Command::HoldAnswered);
            let answer = answer.unwrap_or_else(|| match effect {
                Effect::PlaceHold { .. }
                | Effect::ReleaseHold { .. }
                | Effect::BeginPaying { .. }
                | Effect::ConfirmHold { .. }
                | Effect::Free { .. } => unreachable!("these are answered by a departure"),
                Effect::CreatePayment { number, .. } => {
                    let (id, nonce) = ("wx2611".into(), "n0nce".into());
                    let prepay = Prepay { id, nonce, signed_at_seconds: now.as_seconds() };
                    collect::Command::Created { number, prepay }.into()
                }
                Effect::QueryPayment { number } => {
                    collect::Command::Fact(PaymentFact { number, state: FactState::NotPaid }).into()
                }
                Effect::ClosePayment { number } => collect::Command::CloseAnswered { number }.into(),
                Effect::BeginRefund { .. } | Effect::CallRefund { .. } | Effect::QueryRefund { .. } => {
                    unreachable!("refunds are told by hand")
                }
            });
            rows.extend(&self.tell(answer, now));
        }
        rows
    }
}

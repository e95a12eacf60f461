//! A whole engine in one process for tests: journal in a temporary directory, Postgres and WeChat in memory, a clock
//! that is moved by hand.

#[path = "../../../domain/src/testing/mod.rs"]
mod domain;
mod faults;
mod gateway;
mod network;
mod receivers;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deeptravel_domain::departure::{Channel, Stretch};
use deeptravel_domain::identity::{self, AccountChange, AccountWrite, Duties};
use deeptravel_domain::ids::{DepartureId, HoldId, OrderId, OutTradeNo, SessionId, Shard, TravellerId};
use deeptravel_domain::inventory::{Command, HoldAt, Wanted};
use deeptravel_domain::order::{
    Contact, Gate, Item, ItemWish, JourneyWish, Leg, Order, Passenger, Place, Scan, ScanOutcome, ScanTarget, SeatWish,
    Take, TicketOutcome, Wish,
};
use deeptravel_domain::party::{Party, PassengerType};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::reservation::{Reservation, ReservationId, ReservationWish};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::engine::{Engine, Parts};
use crate::follow::{Follower, Following};
use crate::journal::{AppendError, Journal, JournalOptions, Position, Record, Share};
use crate::outage::{Answer, Outage};
use crate::owners::Owners;
use crate::projector::{ProjectionHalted, Projector};
use crate::services::SalesPolicy;

pub use domain::{Balance, Images, StockAnswers};
pub use faults::{Break, Fault, Faults};
pub use gateway::{Call, Line, MemoryGateway};
pub use network::{FARE, NOON, SUNDAY, coach, code, fare_table, ferry, network, put};
pub use receivers::{MemoryReceivers, Reception};
pub use store::{MemoryStore, Postgres};

/// Longer than anything here takes, also where a sync waits for gigabytes of others: 54 s were seen.
const PATIENCE: Duration = Duration::from_mins(3);

/// What outlives an engine: disk, Postgres, WeChat and the course of time.
pub struct World {
    dir: TempDir,
    pub store: Arc<MemoryStore>,
    pub gateway: Arc<MemoryGateway>,
    pub receivers: Arc<MemoryReceivers>,
    pub clock: Clock,
    pub sales: SalesPolicy,
    pub journal_options: JournalOptions,
    io: Option<tokio::runtime::Runtime>,
}

impl Default for World {
    fn default() -> World {
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        World {
            dir: tempfile::tempdir().unwrap(),
            store: Arc::default(),
            gateway: Arc::default(),
            receivers: Arc::default(),
            clock: Clock::by_hand(NOON),
            sales: SalesPolicy {
                lock_seconds: None,
                live_holds_max: 5,
                payment_grace_seconds: 90,
                cap_extra_seconds: 900,
                payment_min_seconds: 60,
                warm_load_bytes_max: 1 << 30,
                warm_bytes_max: 10_000_000,
                at_hand_bytes_max: 10_000_000,
            },
            journal_options: JournalOptions { preallocate: false, ..JournalOptions::default() },
            io: Some(io),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
    }
}

/// The task that tells partners. It ends in the middle of whatever it does when this is dropped.
pub struct Sending(JoinHandle<()>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A running engine with its journal and projector.
pub struct Running {
    pub engine: Engine,
    pub journal: Journal,
    pub projected: watch::Receiver<Position>,
    projector: JoinHandle<Result<(), ProjectionHalted>>,
    _threads: Threads,
}

/// Those of an engine. They end with it also where a story ends in its middle: left behind, hundreds of them would tick on
/// beside the stories that come after it.
struct Threads(Engine);

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl World {
    /// A new world in which coach and ferry have so many seats.
    pub async fn with_seats(seats: u16) -> (World, Running) {
        let world = World::default();
        let running = world.open_sale(seats).await;
        (world, running)
    }

    /// Starts for the first time.
    pub async fn open_sale(&self, seats: u16) -> Running {
        let running = self.start().await;
        for command in network(seats) {
            running.engine.configure(command).await.unwrap().outcome.unwrap();
        }
        let has_fares = {
            let catalogue = running.services().catalogue.load();
            let (whole, one) = (Stretch::new(0, 1).unwrap(), Party::new(1, 0, 0).unwrap());
            let trip = catalogue.trip(&ferry(), whole);
            trip.is_some_and(|trip| catalogue.quote(&trip, &code("standard"), one).is_ok())
        };
        assert!(has_fares, "what was answered is what everybody sees");
        running
    }

    /// Starts as rule 14 says.
    pub async fn start(&self) -> Running {
        let (journal, _) = Journal::open(self.dir.path(), self.journal_options.clone()).unwrap();
        journal.check_seen(self.store.position()).unwrap();
        let store: Arc<dyn crate::ports::Store> = Arc::clone(&self.store) as _;
        let (mut projector, projected) = Projector::new(&journal, Arc::clone(&store), self.store.position()).unwrap();
        projector.catch_up().await.unwrap();
        let io = self.io.as_ref().unwrap().handle().clone();
        let projector = io.spawn(projector.run());
        let parts = Parts {
            journal: journal.clone(),
            clock: self.clock.clone(),
            store,
            gateway: Arc::clone(&self.gateway) as _,
            projected: projected.clone(),
            io,
            sales: self.sales,
            arbiters: 2,
        };
        let engine = Engine::start(parts).await.unwrap();
        Running { _threads: Threads(engine.clone()), engine, journal, projected, projector }
    }
}

impl World {
    /// Everybody who follows the journal begins to. They end with it.
    pub fn follow(&self, running: &Running) -> Following {
        Following::start(self.io.as_ref().unwrap().handle(), &running.journal, running.engine.followers())
    }

    /// Partners are told what is due, until what is answered is dropped.
    pub fn send(&self, running: &Running) -> Sending {
        let sending = running.engine.send_webhooks(Arc::clone(&self.receivers) as _);
        Sending(self.io.as_ref().unwrap().handle().spawn(sending))
    }

    /// Begins to follow the journal for one more.
    pub fn follow_as(&self, running: &Running, follower: Box<dyn Follower>) -> Following {
        Following::start(self.io.as_ref().unwrap().handle(), &running.journal, vec![follower])
    }

    /// The file that the journal writes to.
    pub fn newest_segment(&self) -> PathBuf {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).max().unwrap()
    }

    /// The last record was not durable when the power went away. To be called while nothing runs.
    pub fn tear_last_record(&self) {
        let file = std::fs::OpenOptions::new().write(true).open(self.newest_segment()).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    }
}

impl World {
    /// As it is if the power went away when only these records were durable, and Postgres had none of them.
    pub async fn of_records(records: &[(Position, Record)]) -> World {
        let world = World::default();
        let (journal, _) = Journal::open(world.dir.path(), world.journal_options.clone()).unwrap();
        for (_, record) in records {
            let position = journal.admit(Share::Whole, record.encoded_bytes()).unwrap().append(record).unwrap();
            journal.wait(position).await.unwrap();
        }
        tokio::task::spawn_blocking(move || journal.close().unwrap()).await.unwrap();
        world
    }
}

impl Running {
    pub fn services(&self) -> &Owners {
        self.engine.services()
    }

    /// Writes what none of the owners has decided.
    pub fn append(&self, record: &Record) -> Result<Position, AppendError> {
        self.journal.admit(Share::Whole, record.encoded_bytes())?.append(record)
    }

    /// Ends like a process that is asked to: the journal is closed, what is durable is projected.
    pub async fn stop(self) -> Result<(), ProjectionHalted> {
        let Running { engine, journal, projector, .. } = self;
        engine.stop();
        tokio::task::spawn_blocking(move || journal.close().unwrap()).await.unwrap();
        projector.await.unwrap()
    }

    /// Ends like a process that is killed: Postgres stays where it is.
    pub async fn kill(self) {
        let Running { engine, journal, projector, .. } = self;
        projector.abort();
        engine.stop();
        tokio::task::spawn_blocking(move || journal.close().unwrap()).await.unwrap();
    }

    /// Waits for the projector's end.
    pub async fn halted(self) -> Result<(), ProjectionHalted> {
        self.projector.await.unwrap()
    }

    /// All records that are durable.
    pub fn records(&self) -> Vec<(Position, Record)> {
        self.journal.reader(Position::NOTHING).unwrap().next_batch(10_000, 1 << 30).unwrap()
    }

    /// Waits until everything appended so far has been projected.
    pub async fn drained(&self) {
        let to = self.journal.appended();
        let mut projected = self.projected.clone();
        within("projected", projected.wait_for(|position| *position >= to)).await.unwrap();
    }

    /// The answer as a client sees it: once it is durable.
    pub async fn shown<T>(&self, answer: impl Future<Output = Answer<T>>) -> Result<Result<T, Rejection>, Outage> {
        let reply = within("answered", answer).await?;
        assert!(reply.position <= self.journal.durable(), "an answer is durable");
        Ok(reply.outcome)
    }

    /// Places an order, or finds it. `true`: it was made now.
    pub async fn place(&self, wish: Wish) -> Answer<(Arc<Order>, bool)> {
        self.engine.place(wish, placed).await
    }

    /// Places an order on a thread of its own: it may hang there, as its departure does.
    pub async fn place_elsewhere(&self, wish: Wish) -> Result<Result<(Arc<Order>, bool), Rejection>, Outage> {
        let (engine, io) = (self.engine.clone(), self.services().io.clone());
        let placing = tokio::task::spawn_blocking(move || io.block_on(async move { engine.place(wish, placed).await }));
        self.shown(async { placing.await.unwrap() }).await
    }

    /// Reserves seats, which must succeed.
    pub async fn reserve(&self, wish: ReservationWish) -> Arc<Reservation> {
        let reserved = self.shown(self.engine.reserve(wish)).await.unwrap().unwrap();
        assert!(reserved.is_first, "this key had made a reservation before");
        reserved.reservation
    }

    /// Places an order that must succeed.
    pub async fn buy(&self, wish: Wish) -> Arc<Order> {
        let (order, new) = self.shown(self.place(wish)).await.unwrap().unwrap();
        assert!(new, "this key had made an order before");
        order
    }

    pub async fn order(&self, id: OrderId) -> Arc<Order> {
        self.shown(self.engine.order(id)).await.unwrap().unwrap()
    }

    /// Opens a payment that must succeed, and returns its number.
    pub async fn open_payment(&self, id: OrderId) -> OutTradeNo {
        let order = self.shown(self.engine.open_payment(id, "openid".into())).await.unwrap().unwrap();
        order.live_payment().unwrap().number
    }

    /// Buys, pays, and has the notice delivered.
    pub async fn buy_and_pay(&self, world: &World, wish: Wish) -> Arc<Order> {
        let order = self.buy(wish).await;
        let number = self.open_payment(order.id()).await;
        let fact = world.gateway.pay(number).unwrap();
        self.shown(self.engine.learn(fact)).await.unwrap().unwrap();
        self.order(order.id()).await
    }

    /// Free seats of a departure's whole way.
    pub fn free_seats(&self, departure: &DepartureId) -> u16 {
        let spec = self.services().catalogue.load().departure_spec(departure).unwrap();
        let whole = Stretch::new(0, spec.calls.len() as u8 - 1).unwrap();
        match self.services().board.get(departure) {
            Some(occupancy) => occupancy.available(&code("standard"), whole),
            None => spec.seat_map.seats.len() as u16,
        }
    }

    pub async fn scan(&self, order: OrderId, gate: u64, request: &str) -> ScanOutcome {
        self.redeem(order, scan(gate, request)).await.unwrap().unwrap().0
    }

    /// What came of a scan, and the order as it then is.
    pub async fn redeem(&self, order: OrderId, scan: Scan) -> Result<Result<(ScanOutcome, Order), Rejection>, Outage> {
        let as_it_is = |outcome: &ScanOutcome, order: &Order| (outcome.clone(), order.clone());
        self.shown(self.engine.redeem(order, scan, as_it_is)).await
    }
}

/// Makes an account of somebody at a gate.
pub fn account(username: &str) -> identity::Command {
    let (duties, password_hash) = (Duties::Operator(Arc::default()), Some("$argon2id$".into()));
    let change = AccountChange::Put { duties, disabled: false, password_hash };
    identity::Command::WriteAccount(AccountWrite::new(username, change, "test"))
}

/// A gate scans a whole order.
pub fn scan(gate: u64, request: &str) -> Scan {
    let gate = Gate {
        session: SessionId::from_bits(u128::from(gate)),
        operator: "gate".into(),
        device: "device".into(),
        redeems: Arc::default(),
        location: None,
        port: None,
        departure: None,
    };
    Scan {
        gate,
        request_id: request.into(),
        place: Place::Gate,
        target: ScanTarget::Order,
        take: Take::ONE,
        code: None,
        overrides: Box::default(),
    }
}

/// More is in use than a change would leave.
pub fn below_use(held: u32, sold: u32) -> Rejection {
    Rejection::BelowUse { uses: format!("{held} are held and {sold} are sold") }
}

/// Tickets that a scan redeemed anew.
pub fn redeemed(outcome: &ScanOutcome) -> usize {
    let anew = |outcome: &TicketOutcome| matches!(outcome, TicketOutcome::Redeemed { repeated: false, .. });
    outcome.tickets.iter().filter(|(_, outcome)| anew(outcome)).count()
}

/// A traveller; neighbours are on different desks.
pub fn traveller(number: u64) -> TravellerId {
    TravellerId::from_bits(u128::from(number) << 64 | u128::from(number))
}

/// A wish for so many seats on the whole way.
pub fn wish(traveller: TravellerId, key: &str, departure: &DepartureId, party: u16) -> Wish {
    let passenger = |number: u16| Passenger {
        name: format!("Passenger {number}").into(),
        kind: PassengerType::Adult,
        document: None,
    };
    let journey = JourneyWish {
        departure: departure.clone(),
        class: code("standard"),
        board: None,
        alight: None,
        seats: SeatWish::Any,
    };
    Wish {
        traveller,
        channel: Channel::Direct,
        idempotency_key: key.into(),
        body_hash: [party as u8; 32],
        locale: "en".into(),
        contact: Contact { name: "Chan".into(), phone: "+85290000000".into(), email: None },
        passengers: (0..party).map(passenger).collect(),
        items: vec![ItemWish::Journey(journey)],
        promotion_code: None,
    }
}

/// A wish for so many reserved seats on the whole way.
pub fn reservation(traveller: TravellerId, key: &str, departure: &DepartureId, seats: u16) -> ReservationWish {
    ReservationWish {
        traveller,
        idempotency_key: key.into(),
        body_hash: [seats as u8; 32],
        departure: departure.clone(),
        class: code("standard"),
        board: None,
        alight: None,
        wanted: Wanted::Auto(seats),
    }
}

/// A wish for an order that adopts a reservation.
pub fn adopting(traveller: TravellerId, key: &str, reservation: &ReservationId, party: u16) -> Wish {
    let items = vec![ItemWish::Reservation(reservation.clone())];
    Wish { items, ..wish(traveller, key, reservation.departure(), party) }
}

/// The first journey of a wish for one.
pub fn first_journey(wish: &mut Wish) -> &mut JourneyWish {
    wish.items.first_mut().and_then(ItemWish::journey_mut).expect("a wish for a journey")
}

/// The first journey of an order that begins with one.
pub fn first_leg(order: &Order) -> &Leg {
    order.items().first().and_then(Item::leg).expect("an order has a journey")
}

/// The seats that an order holds on its first journey.
pub fn held(order: &Order) -> &[Box<str>] {
    &first_leg(order).seats
}

/// What changes nothing at a departure that hears it.
pub fn release_of_nothing() -> Command {
    let order = OrderId::compose(NOON, Shard::of(9), 9);
    Command::ReleaseHold(HoldAt { hold: HoldId { order, item: 0 }, epoch: 1 })
}

/// Waits until something is so. Looks often; fails when it never comes.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// As [`eventually`], for something that has to be asked for.
pub async fn eventually_so<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let since = Instant::now();
    while !is_so().await {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Nothing may hang.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// An order as it was placed, and whether it was placed now.
fn placed(order: &Arc<Order>, is_new: bool) -> (Arc<Order>, bool) {
    (Arc::clone(order), is_new)
}

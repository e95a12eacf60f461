//! Connections under load. Closed loop: each connection sends its next request when the last one was answered. Open
//! loop: requests fall due by a schedule and free connections take them. Both on threads of their own.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::http::{Connection, Head, RequestBuffer, Target};
use crate::pace::{self, Schedule};
use crate::tally::{Outcome, Tally, Times, per_second};
use crate::watch::Watch;

/// Until all connections are open.
const CONNECT_TIME_MAX: Duration = Duration::from_mins(1);
/// Between two looks how far the database is behind: often enough for a lag of tenths, and cheap against the load.
const LAG_EVERY: Duration = Duration::from_millis(200);
/// Between attempts after a failed exchange: a server that is gone is not asked a million times.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// What is asked, and what the answers mean. `n` counts the requests of a run from 0.
pub trait Load: Send + Sync + 'static {
    /// What is remembered of an answer for the audit.
    type Ack: Send + 'static;

    /// Writes the n-th request to `target`; `false`: there is none any more.
    fn request(&self, n: u64, target: &Target, request: &mut RequestBuffer) -> bool;

    /// Reads its answer.
    fn judge(&self, n: u64, status: u16, body: &[u8], acks: &mut Vec<Self::Ack>) -> Outcome;
}

/// How much load.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plan {
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Requests per second of the open loop; `None`: closed loop.
    pub rate: Option<f64>,
    /// Load before the measured part: sent and audited, not counted.
    pub warm_up: Duration,
    pub measured: Duration,
    /// The number of the first request: several runs of one load go on where the last one ended.
    pub first: u64,
    /// The run ends before the request of this number, when its time is not over earlier.
    pub until: Option<u64>,
}

/// What came of it.
#[derive(Debug)]
pub struct Driven<A> {
    /// Of the measured part.
    pub tally: Tally,
    /// Of everything, the warm-up included.
    pub acks: Vec<A>,
    /// From the begin of the measured part to its last answer, or its end if that is later. Shorter than planned when
    /// the scenario had no more requests.
    pub elapsed: Duration,
    /// Requests due in the measured part, and not sent by its end (open loop).
    pub unsent: u64,
    /// Whether the scenario had no more requests before the time was over.
    pub used_up: bool,
    /// The number that the next run of this load may begin with.
    pub next: u64,
}

/// The instants of a run.
#[derive(Clone, Copy, Debug)]
struct Clock {
    begin: Instant,
    measured_from: Instant,
    end: Instant,
}

/// What a generator thread counts; the progress line looks in from outside.
struct Lane<A> {
    counts: Mutex<Counts<A>>,
}

struct Counts<A> {
    tally: Tally,
    /// Since the last line of progress, the warm-up included.
    recent: Tally,
    acks: Vec<A>,
}

impl<A> Lane<A> {
    fn counts(&self) -> MutexGuard<'_, Counts<A>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared<L: Load> {
    load: Arc<L>,
    target: Target,
    plan: Plan,
    /// The number of the next request of the closed loop.
    next: AtomicU64,
    used_up: AtomicU64,
}

/// Runs the load to its end, telling `watch` when the measured part begins, every second, and when it ends.
pub async fn drive<L: Load>(
    load: &Arc<L>,
    target: &Target,
    plan: Plan,
    watch: &mut Watch,
) -> anyhow::Result<Driven<L::Ack>> {
    if plan.connections == 0 || plan.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        bail!("a run needs a connection at least, and a rate above zero");
    }
    let threads = plan.threads.clamp(1, plan.connections);
    let shared = Arc::new(Shared {
        load: Arc::clone(load),
        target: target.clone(),
        plan,
        next: AtomicU64::new(plan.first),
        used_up: AtomicU64::new(0),
    });
    let (start, started) = watch::channel(None);
    let (ready, mut readiness) = mpsc::unbounded_channel();
    let mut lanes = Vec::new();
    let mut handles = Vec::new();
    for number in 0..threads {
        let counts = Counts { tally: Tally::default(), recent: Tally::default(), acks: Vec::new() };
        let lane = Arc::new(Lane { counts: Mutex::new(counts) });
        lanes.push(Arc::clone(&lane));
        let (shared, started, ready) = (Arc::clone(&shared), started.clone(), ready.clone());
        let connections = plan.connections / threads + usize::from(number < plan.connections % threads);
        let run = move || run_lane(&shared, &lane, number, threads, connections, started, &ready);
        handles.push(thread::Builder::new().name(format!("generator-{number}")).spawn(run)?);
    }
    drop(ready);

    let all_connected = async {
        for _ in 0..plan.connections {
            readiness.recv().await.context("a generator thread ended")?.context("connecting")?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(CONNECT_TIME_MAX, all_connected).await.context("connecting takes too long")??;
    let begin = Instant::now();
    let measured_from = begin + plan.warm_up;
    let clock = Clock { begin, measured_from, end: measured_from + plan.measured };
    start.send_replace(Some(clock));

    observe(&lanes, &handles, clock, watch).await;
    for handle in handles {
        handle.join().map_err(|_| anyhow::anyhow!("a generator thread panicked"))??;
    }
    watch.ends();
    Ok(collect(&shared, &lanes, clock))
}

/// Progress until all lanes are done.
async fn observe<A>(
    lanes: &[Arc<Lane<A>>],
    handles: &[thread::JoinHandle<anyhow::Result<()>>],
    clock: Clock,
    watch: &mut Watch,
) {
    tokio::time::sleep_until(clock.measured_from.into()).await;
    for lane in lanes {
        lane.counts().recent = Tally::default();
    }
    watch.begins();
    let mut last = Instant::now();
    let mut looked = last;
    while !handles.iter().all(thread::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if looked.elapsed() >= LAG_EVERY {
            looked = Instant::now();
            watch.look().await;
        }
        if last.elapsed() < Duration::from_secs(1) {
            continue;
        }
        let mut recent = Tally::default();
        for lane in lanes {
            recent.add(&std::mem::take(&mut lane.counts().recent));
        }
        let elapsed = last.elapsed();
        last = Instant::now();
        watch.second(clock.measured_from.elapsed(), per_second(recent.accepted, elapsed), &recent);
    }
}

fn collect<L: Load>(shared: &Shared<L>, lanes: &[Arc<Lane<L::Ack>>], clock: Clock) -> Driven<L::Ack> {
    let mut tally = Tally::default();
    let mut acks = Vec::new();
    for lane in lanes {
        let mut counts = lane.counts();
        tally.add(&counts.tally);
        acks.append(&mut counts.acks);
    }
    let used_up = shared.used_up.load(Ordering::Relaxed) > 0;
    let sent_and_ended = tally.total();
    let unsent = tally.latency.len().saturating_sub(sent_and_ended);
    let last_done = tally.last_done.unwrap_or(clock.end);
    let over = if used_up { last_done } else { last_done.max(clock.end) };
    let next = match shared.plan.rate {
        None => shared.next.load(Ordering::Relaxed),
        Some(rate) => {
            let whole = Schedule { begin: clock.begin, rate, lanes: 1, lane: 0 };
            shared.plan.first + whole.due_before(clock.end)
        }
    };
    let next = shared.plan.until.map_or(next, |until| next.min(until));
    Driven { tally, acks, elapsed: over.saturating_duration_since(clock.measured_from), unsent, used_up, next }
}

type Ready = mpsc::UnboundedSender<std::io::Result<()>>;

fn run_lane<L: Load>(
    shared: &Arc<Shared<L>>,
    lane: &Arc<Lane<L::Ack>>,
    number: usize,
    lanes: usize,
    connections: usize,
    mut started: watch::Receiver<Option<Clock>>,
    ready: &Ready,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut connection = Connection::new(shared.target.clone());
            // Nobody listens any more when an earlier one could not connect.
            let _ = ready.send(prime(&mut connection).await);
            open.push(connection);
        }
        // The run was given up before it began.
        let Ok(clock) = started.wait_for(Option::is_some).await.map(|clock| *clock) else { return Ok(()) };
        let Some(clock) = clock else { return Ok(()) };
        let slots = shared.plan.rate.map(|rate| {
            let schedule = Schedule { begin: clock.begin, rate, lanes: lanes as u64, lane: number as u64 };
            Arc::new(Slots { schedule, taken: AtomicU64::new(0), due: pace::start(schedule, clock.end) })
        });
        let mut tasks = JoinSet::new();
        for connection in open {
            let (shared, lane, slots) = (Arc::clone(shared), Arc::clone(lane), slots.clone());
            tasks.spawn(async move { Driver { shared, lane, connection, clock }.run(slots).await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a connection's task panicked")?;
        }
        if let Some(slots) = slots {
            charge_unsent(shared, lane, &slots, clock);
        }
        Ok(())
    })
}

/// Opens a connection and has one request answered over it. A server gives a fresh connection only seconds to send its
/// first request, and 10,000 that are opened faster than they are accepted overflow its queue and wait for the kernel to
/// try again: both would be measured as if they were orders.
async fn prime(connection: &mut Connection) -> std::io::Result<()> {
    let mut request = RequestBuffer::default();
    request.finish(connection.target(), &Head { method: "GET", path: "/health/live", token: None, headers: &[] });
    connection.exchange(request.bytes()).await.map(drop)
}

/// The slots of a lane's schedule.
struct Slots {
    schedule: Schedule,
    taken: AtomicU64,
    due: Arc<Semaphore>,
}

/// What was due and never sent has waited until the end: leaving it out would flatter a server that is too slow.
fn charge_unsent<L: Load>(shared: &Shared<L>, lane: &Lane<L::Ack>, slots: &Slots, clock: Clock) {
    if shared.used_up.load(Ordering::Relaxed) > 0 {
        return;
    }
    let mut counts = lane.counts();
    for slot in slots.taken.load(Ordering::Relaxed)..slots.schedule.due_before(clock.end) {
        let due = slots.schedule.due(slot);
        if due >= clock.measured_from {
            counts.tally.record_unsent(due, clock.end);
        }
    }
}

/// One connection at work.
struct Driver<L: Load> {
    shared: Arc<Shared<L>>,
    lane: Arc<Lane<L::Ack>>,
    connection: Connection,
    clock: Clock,
}

impl<L: Load> Driver<L> {
    async fn run(mut self, slots: Option<Arc<Slots>>) {
        let mut request = RequestBuffer::default();
        while let Some((n, due)) = self.next(slots.as_deref()).await {
            let is_over = self.shared.plan.until.is_some_and(|until| n >= until);
            if is_over || !self.shared.load.request(n, &self.shared.target, &mut request) {
                self.shared.used_up.fetch_add(1, Ordering::Relaxed);
                break;
            }
            let sent = Instant::now();
            let failed = self.exchange(n, due.unwrap_or(sent), sent, &request).await;
            if failed {
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }

    /// The next request's number and, in the open loop, when it is due.
    async fn next(&self, slots: Option<&Slots>) -> Option<(u64, Option<Instant>)> {
        match slots {
            None if Instant::now() >= self.clock.end => None,
            None => Some((self.shared.next.fetch_add(1, Ordering::Relaxed), None)),
            Some(slots) => {
                slots.due.acquire().await.ok()?.forget();
                let slot = slots.taken.fetch_add(1, Ordering::Relaxed);
                Some((self.shared.plan.first + slots.schedule.number(slot), Some(slots.schedule.due(slot))))
            }
        }
    }

    /// Whether the connection failed.
    async fn exchange(&mut self, n: u64, due: Instant, sent: Instant, request: &RequestBuffer) -> bool {
        let answer = self.connection.exchange(request.bytes()).await;
        let done = Instant::now();
        let mut counts = self.lane.counts();
        let counts = &mut *counts;
        let (outcome, bytes, failed) = match answer {
            Ok(answer) => {
                let outcome = self.shared.load.judge(n, answer.status, answer.body, &mut counts.acks);
                (outcome, answer.body.len(), false)
            }
            Err(error) => (Outcome::Failed(Cow::Owned(format!("connection: {}", error.kind()))), 0, true),
        };
        let times = Times { due, sent, done, bytes };
        if due >= self.clock.measured_from {
            counts.tally.record(times, outcome.clone());
        }
        counts.recent.record(times, outcome);
        failed
    }
}

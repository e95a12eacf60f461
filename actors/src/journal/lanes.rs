//! How far the log is durable, and who waits for it.
//!
//! Waking a task from another thread is dear (a lock in its runtime, often a system call). So waiters stand in lanes,
//! one per thread (threads beyond [`LANES`] share), and the writer wakes one waiter of each lane per batch, the
//! *leader*. Polled on its own thread, the leader wakes the others of its lane, which is cheap there. Nothing hangs
//! on the leader's behaviour: a leader that is dropped passes on what it should have done, and what is not passed on
//! within [`LEADER_GRACE`] the writer does itself. So a `wait` is right on any runtime, and where it is polled late.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::JournalFailed;
use super::lock;
use super::record::Position;

/// More than the threads that wait: HTTP workers and arbiters are one per core each.
const LANES: usize = 64;

/// How long a leader may take to wake its lane. Long against a turn of a healthy event loop, short for a client.
pub(super) const LEADER_GRACE: Duration = Duration::from_millis(2);

/// What the writer has achieved.
#[derive(Debug)]
pub(super) struct Progress {
    durable: AtomicU64,
    ended: OnceLock<JournalFailed>,
    lanes: Vec<Mutex<Lane>>,
    pub ended_watch: watch::Sender<Option<JournalFailed>>,
}

#[derive(Debug, Default)]
struct Lane {
    /// By position, then by a number that makes the place unique.
    waiting: BTreeMap<Place, Waker>,
    /// Durable since `reached_since`, to be woken by the leader.
    reached: Vec<Waker>,
    reached_since: Option<Instant>,
    places: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    position: Position,
    number: u64,
}

impl Progress {
    pub(super) fn new(durable: Position) -> Self {
        Self {
            durable: AtomicU64::new(durable.0),
            ended: OnceLock::new(),
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
            ended_watch: watch::Sender::new(None),
        }
    }

    pub(super) fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    pub(super) fn ended(&self) -> Option<&JournalFailed> {
        self.ended.get()
    }

    /// Publishes a durable position. Says whether a leader has something to pass on, so that the writer looks again.
    pub(super) fn advance(&self, durable: Position) -> bool {
        self.durable.store(durable.0, Ordering::Release);
        let now = Instant::now();
        let mut owed = false;
        for lane in &self.lanes {
            let (leader, overdue) = {
                let mut lane = lock(lane);
                let overdue = lane.take_overdue(now);
                let leader = lane.reach(durable, now);
                owed |= !lane.reached.is_empty();
                (leader, overdue)
            };
            leader.into_iter().chain(overdue).for_each(Waker::wake);
        }
        owed
    }

    /// Wakes what leaders have not woken in time. Says whether something is still owed. For the writer, as nobody else
    /// moves the position on.
    pub(super) fn sweep(&self) -> bool {
        self.advance(self.durable())
    }

    /// Nothing more becomes durable: everybody is told. Only the first reason counts.
    pub(super) fn end(&self, reason: JournalFailed) {
        if self.ended.set(reason.clone()).is_err() {
            return;
        }
        for lane in &self.lanes {
            let wakers = {
                let mut lane = lock(lane);
                let mut wakers = lane.take_reached();
                wakers.extend(std::mem::take(&mut lane.waiting).into_values());
                wakers
            };
            wakers.into_iter().for_each(Waker::wake);
        }
        self.ended_watch.send_replace(Some(reason));
    }

    fn outcome(&self, position: Position) -> Option<Result<(), JournalFailed>> {
        if self.durable() >= position {
            return Some(Ok(()));
        }
        // Set after the last position was published: look again, lest a durable record is called failed.
        let ended = self.ended.get()?;
        Some(if self.durable() >= position { Ok(()) } else { Err(ended.clone()) })
    }
}

impl Lane {
    /// Takes out who waits for `durable` or less: the leader is returned, the others are left for it to wake.
    fn reach(&mut self, durable: Position, now: Instant) -> Option<Waker> {
        let (first, _) = self.waiting.first_key_value()?;
        if first.position > durable {
            return None;
        }
        let later = self.waiting.split_off(&Place { position: durable.next(), number: 0 });
        let mut reached = std::mem::replace(&mut self.waiting, later).into_values();
        let leader = reached.next();
        self.reached.extend(reached);
        if !self.reached.is_empty() {
            self.reached_since.get_or_insert(now);
        }
        leader
    }

    fn take_reached(&mut self) -> Vec<Waker> {
        self.reached_since = None;
        std::mem::take(&mut self.reached)
    }

    fn take_overdue(&mut self, now: Instant) -> Vec<Waker> {
        match self.reached_since {
            Some(since) if now.duration_since(since) >= LEADER_GRACE => self.take_reached(),
            _ => Vec::new(),
        }
    }
}

/// This thread's lane.
pub(super) fn own_lane() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LANE: Cell<Option<usize>> = const { Cell::new(None) });
    LANE.with(|lane| {
        lane.get().unwrap_or_else(|| {
            let own = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
            lane.set(Some(own));
            own
        })
    })
}

/// Resolves when a position is durable, or when it never will be. Returned by [`super::Journal::wait`]; may be
/// dropped at any time and polled on any thread.
#[derive(Debug)]
#[must_use = "a record is durable only once this has resolved"]
pub struct Wait {
    progress: Arc<Progress>,
    position: Position,
    seat: Option<Seat>,
}

/// Where this future stands.
#[derive(Clone, Copy, Debug)]
struct Seat {
    lane: usize,
    place: Place,
}

impl Wait {
    pub(super) fn new(progress: Arc<Progress>, position: Position) -> Self {
        Self { progress, position, seat: None }
    }

    /// For somebody who waits in a lane already, on whatever thread. The waker comes back if there is nothing to wait for.
    pub(super) fn seated(
        progress: Arc<Progress>,
        position: Position,
        lane: usize,
        waker: Waker,
    ) -> (Self, Option<Waker>) {
        let mut wait = Self::new(progress, position);
        let outcome = wait.join(lane, &waker);
        (wait, outcome.is_some().then_some(waker))
    }

    /// Joins the lane or renews the waker. The lane's lock orders this against the writer: either the writer's
    /// position is seen here, or this waker is seen by the writer.
    fn join(&mut self, index: usize, waker: &Waker) -> Option<Result<(), JournalFailed>> {
        let mut lane = lock(self.progress.lanes.get(index)?);
        if let Some(outcome) = self.progress.outcome(self.position) {
            return Some(outcome);
        }
        let seat = *self.seat.get_or_insert_with(|| {
            lane.places += 1;
            Seat { lane: index, place: Place { position: self.position, number: lane.places } }
        });
        let renew = lane.waiting.get(&seat.place).is_none_or(|known| !known.will_wake(waker));
        let replaced = if renew { lane.waiting.insert(seat.place, waker.clone()) } else { None };
        // Dropping a waker may run another task's destructor, which may come back to this lane.
        drop(lane);
        drop(replaced);
        None
    }

    /// Leaves the lane and does what a leader must, in case this was one.
    fn leave(&mut self) {
        let Some(seat) = self.seat.take() else { return };
        let Some(lane) = self.progress.lanes.get(seat.lane) else { return };
        let (_own, reached) = {
            let mut lane = lock(lane);
            (lane.waiting.remove(&seat.place), lane.take_reached())
        };
        reached.into_iter().for_each(Waker::wake);
    }
}

impl Future for Wait {
    type Output = Result<(), JournalFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.progress.outcome(self.position).or_else(|| {
            let lane = self.seat.map_or_else(own_lane, |seat| seat.lane);
            self.join(lane, cx.waker())
        });
        match outcome {
            Some(outcome) => {
                self.leave();
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    /// Counts its wakes; the test is the executor.
    #[derive(Debug, Default)]
    struct Flag(AtomicUsize);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Waiter {
        wait: Wait,
        flag: Arc<Flag>,
    }

    impl Waiter {
        fn new(progress: &Arc<Progress>, position: u64) -> Self {
            let mut waiter = Self { wait: Wait::new(Arc::clone(progress), Position(position)), flag: Arc::default() };
            assert!(waiter.poll().is_none());
            waiter
        }

        fn poll(&mut self) -> Option<Result<(), JournalFailed>> {
            let waker = Waker::from(Arc::clone(&self.flag));
            match Pin::new(&mut self.wait).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => Some(outcome),
                Poll::Pending => None,
            }
        }

        fn wakes(&self) -> usize {
            self.flag.0.load(Ordering::SeqCst)
        }
    }

    fn progress() -> Arc<Progress> {
        Arc::new(Progress::new(Position::NOTHING))
    }

    #[test]
    fn the_writer_wakes_one_and_that_one_wakes_the_rest() {
        let progress = progress();
        let mut waiters: Vec<_> = (1..=4).map(|position| Waiter::new(&progress, position)).collect();

        assert!(progress.advance(Position(3)));
        assert_eq!(waiters.iter().map(Waiter::wakes).collect::<Vec<_>>(), [1, 0, 0, 0]);
        assert!(waiters[0].poll().unwrap().is_ok());
        assert_eq!(waiters.iter().map(Waiter::wakes).collect::<Vec<_>>(), [1, 1, 1, 0]);
        assert!(waiters[1].poll().unwrap().is_ok());
        assert!(waiters[3].poll().is_none());
        assert!(!progress.sweep());
    }

    #[test]
    fn a_dropped_leader_passes_its_duty_on() {
        let progress = progress();
        let mut waiters: Vec<_> = (1..=3).map(|_| Waiter::new(&progress, 1)).collect();
        progress.advance(Position(1));
        drop(waiters.remove(0));
        assert_eq!(waiters.iter().map(Waiter::wakes).collect::<Vec<_>>(), [1, 1]);
    }

    #[test]
    fn a_leader_that_is_not_polled_delays_the_others_by_the_grace_only() {
        let progress = progress();
        let waiters: Vec<_> = (1..=3).map(|_| Waiter::new(&progress, 1)).collect();
        assert!(progress.advance(Position(1)));
        let woken = Instant::now();
        while progress.sweep() {
            std::thread::yield_now();
        }
        assert!(woken.elapsed() < Duration::from_secs(5));
        assert_eq!(waiters.iter().map(Waiter::wakes).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn a_future_that_saw_its_position_before_the_writer_came_by_is_no_leader() {
        let progress = progress();
        let mut early = Waiter::new(&progress, 1);
        let other = Waiter::new(&progress, 1);
        progress.durable.store(1, Ordering::Release);
        assert!(early.poll().unwrap().is_ok());
        assert!(!progress.advance(Position(1)));
        assert_eq!((early.wakes(), other.wakes()), (0, 1));
    }

    #[test]
    fn rule_10_the_end_wakes_everybody_and_what_was_durable_stays_so() {
        let progress = progress();
        let mut waiters: Vec<_> = (1..=3).map(|position| Waiter::new(&progress, position)).collect();
        progress.advance(Position(1));
        progress.end(JournalFailed::WriterPanicked);
        assert!(waiters.iter().all(|waiter| waiter.wakes() > 0));
        let outcomes: Vec<_> = waiters.iter_mut().map(|waiter| waiter.poll().unwrap().is_ok()).collect();
        assert_eq!(outcomes, [true, false, false]);
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let progress = progress();
        drop(Waiter::new(&progress, 1));
        assert!(progress.lanes.iter().all(|lane| lock(lane).waiting.is_empty()));
    }
}

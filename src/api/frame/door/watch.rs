//! What is known of a connection, and the rounds of its worker, which find those that keep it open without need.
//!
//! There is no timer per connection or request: what happens notes the second of the worker's own clock, and once a second
//! one task compares. A worker that is held up makes its clock slow, so nobody is cut off for our delay.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::rt;
use tokio::time::MissedTickBehavior;

use super::Crowd;

/// How often a worker looks after its connections. The limits below are kept to within one of them.
const ROUND: Duration = Duration::from_secs(1);
/// The head of a request, the first and any later one, and what is left of a body that nobody read, have to be there
/// within so many seconds of their first byte.
const HEAD_SECONDS: u32 = 5;
/// A connection without a request is kept so many seconds: longer than load balancers in front keep theirs.
const IDLE_SECONDS: u32 = 75;
/// The same while three quarters of all connections are taken.
const IDLE_SECONDS_CROWDED: u32 = 5;
/// A client that takes nothing of its answer is waited for so many seconds.
const STUCK_SECONDS: u32 = 10;
/// It is given more time as long as it takes so many bytes a second: a slow modem takes more.
const BYTES_PER_SECOND_MIN: u32 = 4096;
/// A connection that we have ended is read from so many seconds more.
const ENDING_SECONDS: u32 = 2;

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The head of a request is awaited; without a request before it, or some of its bytes are there.
    Head,
    /// A request is with the application. Its body has a limit of its own (`read_body`).
    Answering,
    /// The last request was answered, as far as the application goes.
    Idle,
    /// We have said that nothing more comes.
    Ending,
}

/// What somebody has taken too long for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Overdue {
    Head,
    Request,
    Taking,
    End,
}

/// The socket takes no more bytes for now.
#[derive(Clone, Copy)]
struct Stuck {
    since: u32,
    /// What it has taken since then.
    bytes: u32,
}

/// What is known of a connection: by its stream, which sees bytes, and by the frame, which sees requests.
pub struct Watch {
    rounds: Rc<Rounds>,
    stage: Cell<Stage>,
    /// When the stage began, or bytes were last taken in it.
    since: Cell<u32>,
    stuck: Cell<Option<Stuck>>,
    /// Nothing is answered after the request that is being answered or was.
    is_last: Cell<bool>,
    /// A request came after the last one; it gets no answer.
    is_cut: Cell<bool>,
    overdue: Cell<Option<Overdue>>,
    /// Whoever has to hear that something is overdue.
    task: RefCell<Option<Waker>>,
}

impl Watch {
    pub(super) fn over(rounds: &Rc<Rounds>) -> Rc<Watch> {
        let watch = Rc::new(Watch {
            rounds: Rc::clone(rounds),
            stage: Cell::new(Stage::Head),
            since: Cell::new(rounds.now.get()),
            stuck: Cell::default(),
            is_last: Cell::default(),
            is_cut: Cell::default(),
            overdue: Cell::default(),
            task: RefCell::default(),
        });
        rounds.watched.borrow_mut().push(Rc::downgrade(&watch));
        watch
    }

    fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        self.since.set(self.rounds.now.get());
    }

    /// Bytes have come.
    pub(super) fn heard(&self) {
        if self.stage.get() == Stage::Idle {
            self.enter(Stage::Head);
        }
    }

    /// A request is there. Dropped when the application has answered it. `None`: the one before was the last, so this one
    /// gets no answer, and the connection ends when that one's is written.
    pub fn begin(self: &Rc<Watch>) -> Option<Answering> {
        if self.is_last.get() {
            self.is_cut.set(true);
            return None;
        }
        self.enter(Stage::Answering);
        Some(Answering(Rc::clone(self)))
    }

    /// No request is answered after this one.
    pub fn is_the_last(&self) {
        self.is_last.set(true);
    }

    pub(super) fn answers_no_more(&self) -> bool {
        self.is_last.get()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// The socket has taken so many bytes of `of`.
    pub(super) fn took(&self, bytes: usize, of: usize) {
        let now = self.rounds.now.get();
        if self.stage.get() == Stage::Idle {
            self.since.set(now);
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let stuck = self.stuck.get().unwrap_or(Stuck { since: now, bytes: 0 });
        let stuck = Stuck { bytes: stuck.bytes.saturating_add(bytes), ..stuck };
        self.stuck.set((bytes as usize != of).then_some(stuck));
    }

    /// The socket has all that there was.
    pub(super) fn gave_all(&self) {
        self.stuck.set(None);
    }

    /// Nothing goes on until the socket is ready, or something is overdue.
    pub(super) fn waits(&self, task: &Context<'_>) {
        let mut waiting = self.task.borrow_mut();
        if !waiting.as_ref().is_some_and(|waiting| waiting.will_wake(task.waker())) {
            *waiting = Some(task.waker().clone());
        }
    }

    /// From now on we only listen.
    pub(super) fn ends(&self) {
        if self.stage.get() != Stage::Ending {
            self.overdue.set(None);
            self.stuck.set(None);
            self.enter(Stage::Ending);
        }
    }

    pub(super) fn overdue(&self) -> Option<Overdue> {
        self.overdue.get()
    }

    /// What is overdue now.
    fn late(&self, now: u32, is_crowded: bool) -> Option<Overdue> {
        let waited = now - self.since.get();
        if let Some(Stuck { since, bytes }) = self.stuck.get() {
            return (now - since > STUCK_SECONDS + bytes / BYTES_PER_SECOND_MIN).then_some(Overdue::Taking);
        }
        match self.stage.get() {
            Stage::Head => (waited > HEAD_SECONDS).then_some(Overdue::Head),
            Stage::Answering => None,
            Stage::Idle => {
                let seconds = if is_crowded { IDLE_SECONDS_CROWDED } else { IDLE_SECONDS };
                (waited > seconds).then_some(Overdue::Request)
            }
            Stage::Ending => (waited > ENDING_SECONDS).then_some(Overdue::End),
        }
    }

    fn look(&self, now: u32, is_crowded: bool) {
        let Some(overdue) = self.late(now, is_crowded) else { return };
        if self.overdue.replace(Some(overdue)) != Some(overdue) {
            let why = match overdue {
                Overdue::Head => "head",
                Overdue::Request => "idle",
                Overdue::Taking => "answer",
                Overdue::End => "end",
            };
            metrics::counter!("http_connections_overdue_total", "what" => why).increment(1);
        }
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

/// A request that the application has, see [`Watch::begin`].
pub struct Answering(Rc<Watch>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.enter(Stage::Idle);
    }
}

/// The connections of a worker, and its clock.
pub(super) struct Rounds {
    /// In seconds, about; see [`ROUND`].
    now: Cell<u32>,
    /// Those that are gone are forgotten in the next round.
    watched: RefCell<Vec<Weak<Watch>>>,
}

impl Rounds {
    pub(super) fn new() -> Rc<Rounds> {
        Rc::new(Rounds { now: Cell::new(0), watched: RefCell::default() })
    }

    /// Goes on until the worker ends.
    pub(super) fn start(self: &Rc<Rounds>, crowd: Crowd) {
        let rounds = Rc::downgrade(self);
        rt::spawn(async move {
            let mut tick = tokio::time::interval(ROUND);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let Some(rounds) = rounds.upgrade() else { return };
                crowd.show();
                rounds.go(crowd.is_crowded());
            }
        });
    }

    /// One second more.
    pub(super) fn go(&self, is_crowded: bool) {
        let now = self.now.get() + 1;
        self.now.set(now);
        self.watched.borrow_mut().retain(|watch| {
            let watch = watch.upgrade();
            watch.inspect(|watch| watch.look(now, is_crowded)).is_some()
        });
    }
}

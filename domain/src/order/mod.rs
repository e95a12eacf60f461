//! An order: passengers, seats, payments and tickets of one purchase, as one machine (R-HOLD, R-PAY, R-TICKET).
//!
//! The caller is the order's actor. It feeds [`Command`]s to [`Order::decide`], applies the events, and then does what
//! [`Order::effects`] asks for, and feeds the answers back. What it may not forget is in durable events; progress between
//! two of them (which claim's hold is next, whether WeChat was asked) is kept in the parts' stages only, because every
//! step can be repeated harmlessly.
//!
//! The order of steps carries the guarantees: departures are told first, the order's own record is written last. So a
//! paid order's seats are confirmed, a cancelled order's seats are free, and only pending orders have work left after
//! a crash.
//!
//! What the machine relies on: [`collect::Command::CreateCalled`] is told before each create call; a call to WeChat is given
//! up after [`CALL_TIMEOUT_SECONDS_MAX`]; a departure gets an order's messages in the order in which they were sent, also
//! those sent before and after the order's actor was rebuilt.
//!
//! One folder per topic, with its commands, events, stage, checks, changes, effect and deadline: [`sale`] (from the wish to
//! confirmed seats; late money), [`collect`] (the one live payment), [`back`] (seats and money that go back), [`ticket`]
//! (issued, redeemed), [`partner`] (sold by a partner: paid when it is born). What one does while another is under way stands
//! in `meeting`; what is held at others in `claim`; how parts run and are tried again in `part`; how the status follows the
//! tickets in `follow`. Beside them stands what an order is made of (`draft`, `payment`, `refund`, `scan`, `ledger`).
//! [`rows`] has what is stored: nothing but it changes that. A topic takes from `sale` nothing but functions of the order, so that no two import each other.
//!
//! Absent on purpose: refunds that a traveller asks for, and changes.

pub mod back;
mod buyer;
mod claim;
pub mod collect;
mod draft;
mod follow;
mod ledger;
mod meeting;
mod part;
pub mod partner;
mod payment;
mod refund;
pub mod rows;
pub mod sale;
mod scan;
#[cfg(test)]
mod tests;
pub mod ticket;

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::sealing::SealedDocument;
pub use buyer::Buyer;
pub use claim::{Claim, ClaimStep, HoldAnswer, HoldStep, StepFailure};
pub use collect::{CALL_TIMEOUT_SECONDS_MAX, PAYMENT_ATTEMPTS_MAX, PaymentPolicy, PaymentTerms};
pub use draft::{
    Contact, Draft, FIRST_EPOCH, Item, ItemKind, ItemName, Leg, LineKind, Passenger, Price, PriceLine, Promoted,
    SeatWish,
};
pub use ledger::{LedgerEntry, LedgerKind, MovedBy};
pub use part::PartName;
pub use partner::{PartnerSale, UnitId, UnitStatus};
pub use payment::{Capture, FactState, Payment, PaymentFact, PaymentState, Prepay};
pub use refund::{
    KnownRefund, REFUNDS_MAX, Refund, RefundFact, RefundFactState, RefundProgress, RefundReason, RefundState,
    RefundStatus, RefundStep, RefundTerms,
};
pub(crate) use sale::package_line;
pub use sale::{ITEMS_MAX, IncludedWish, ItemWish, JourneyWish, PACKAGE_QUANTITY_MAX, PackageWish, SaleTerms, Wish};
pub use scan::{Choice, Gate, Place, Previous, Scan, ScanOutcome, ScanTarget, Take, TicketOutcome, Verdict};

use crate::ids::{HoldId, OutRefundNo, OutTradeNo, codes};
use crate::machine::{Machine, Room};
use crate::rejection::Rejection;
use crate::row::{Damage, Rows};
use crate::time::Timestamp;
use meeting::{Asked, At, Course};
use part::{Part, Retry};
use rows::{Press, Saved, Touched};

/// Pause after an answer about something else than the order: somebody has to look first.
const DISTRUST_PAUSE_SECONDS: i64 = 10 * 60;

/// The four states of an order (glossary). Everything else is derived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OrderStatus {
    Pending,
    Paid,
    Completed,
    Cancelled,
}

codes!(OrderStatus, "order status":
    Pending = "pending",
    Paid = "paid",
    Completed = "completed",
    Cancelled = "cancelled",
);

/// Why an order was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CancelReason {
    /// The traveller asked.
    Traveller,
    /// Nobody paid in time.
    Expired,
    /// A departure no longer had the held seats. Cannot happen while the rules hold; money that came is refunded.
    SeatsLost,
    /// A departure of it was cancelled before it was paid.
    DepartureCancelled,
}

codes!(CancelReason, "cancel reason":
    Traveller = "traveller",
    Expired = "expired",
    SeatsLost = "seats_lost",
    DepartureCancelled = "departure_cancelled",
);

/// Everything an order can be told. Answers to steps that are no longer wanted change nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// The answer to a step with a claim's owner, for the topic that asked.
    HoldAnswered(HoldAnswer),
    Sale(sale::Command),
    Collect(collect::Command),
    Back(back::Command),
    Ticket(ticket::Command),
    Partner(partner::Command),
    /// A deadline may have passed.
    Wake,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Sale(sale::Event),
    Collect(collect::Event),
    Back(back::Event),
    Ticket(ticket::Event),
    Partner(partner::Event),
    /// Memory: the step of a part that is under way is repeated later.
    StepFailed {
        part: PartName,
        retry_at: Timestamp,
    },
    /// Memory.
    RetryDue {
        part: PartName,
    },
}

/// What is said in a topic's words is said to the order.
macro_rules! topics {
    ($($topic:ident: $module:ident),+) => {
        $(impl From<$module::Command> for Command {
            fn from(command: $module::Command) -> Command {
                Command::$topic(command)
            }
        }

        impl From<$module::Event> for Event {
            fn from(event: $module::Event) -> Event {
                Event::$topic(event)
            }
        })+
    };
}

topics!(Sale: sale, Collect: collect, Back: back, Ticket: ticket, Partner: partner);

/// One step that a part of the order wants done now. Repeating a step is harmless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    PlaceHold {
        claim: usize,
        hold: HoldId,
        epoch: u32,
        wish: SeatWish,
        expires_at: Timestamp,
    },
    ReleaseHold {
        claim: usize,
        hold: HoldId,
        epoch: u32,
    },
    /// Puts what a confirmed hold has back on sale.
    Free {
        claim: usize,
        hold: HoldId,
        epoch: u32,
        seats: Vec<Box<str>>,
    },
    BeginPaying {
        claim: usize,
        hold: HoldId,
        epoch: u32,
        expires_at: Timestamp,
    },
    ConfirmHold {
        claim: usize,
        hold: HoldId,
        epoch: u32,
    },
    CreatePayment {
        number: OutTradeNo,
        body: Arc<[u8]>,
    },
    QueryPayment {
        number: OutTradeNo,
    },
    ClosePayment {
        number: OutTradeNo,
    },
    /// Make the exact body of [`Order::refund_terms`], and answer with [`back::Command::BeginRefund`].
    BeginRefund {
        number: OutRefundNo,
    },
    CallRefund {
        number: OutRefundNo,
        body: Arc<[u8]>,
    },
    QueryRefund {
        number: OutRefundNo,
    },
}

impl Effect {
    /// Whose step it is.
    pub fn part(&self) -> PartName {
        match self {
            Effect::PlaceHold { .. } | Effect::ConfirmHold { .. } => PartName::Sale,
            Effect::BeginPaying { .. }
            | Effect::CreatePayment { .. }
            | Effect::QueryPayment { .. }
            | Effect::ClosePayment { .. } => PartName::Collecting,
            Effect::ReleaseHold { .. } | Effect::Free { .. } => PartName::GivingBack,
            Effect::BeginRefund { .. } | Effect::CallRefund { .. } | Effect::QueryRefund { .. } => PartName::Refunding,
        }
    }
}

/// Why a call to WeChat brought no answer that can be used. Either way nobody knows what became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallFailure {
    /// No answer, or none that verifies.
    NoAnswer,
    /// The answer is about something else than the order: a person has to look, and asking again soon is of no use.
    Distrusted,
}

/// One order. See the module's documentation. Serialised it is a short-lived image of the whole machine, for its owner to
/// [pack](crate::packing); what is stored are its [`rows`]. An order that is being refused has no such image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    saved: Saved,
    sale: Part<sale::Stage>,
    collecting: Part<collect::Stage>,
    giving_back: Part<back::Giving>,
    refunding: Part<back::Stage>,
    calls: collect::Calls,
}

/// What rows say of an order is there to be read; it changes by events.
impl Deref for Order {
    type Target = Saved;

    fn deref(&self) -> &Saved {
        &self.saved
    }
}

impl Machine for Order {
    type Command = Command;
    type Event = Event;

    const ROOM: Room = Room::Estimated;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.decide(command, now)
    }

    fn apply(&mut self, events: &[Event], version: u64) -> Rows {
        let mut touched = Touched::default();
        for event in events {
            self.evolve(event, &mut touched);
        }
        let scans = events.iter().filter_map(|event| match event {
            Event::Ticket(ticket::Event::Scanned(outcome)) => Some((outcome, Press::Scan)),
            Event::Ticket(ticket::Event::Looked(outcome)) => Some((outcome, Press::Look)),
            Event::Ticket(ticket::Event::Completed { .. })
            | Event::Sale(_)
            | Event::Collect(_)
            | Event::Back(_)
            | Event::Partner(_)
            | Event::StepFailed { .. }
            | Event::RetryDue { .. } => None,
        });
        self.saved.touched_rows(scans, &touched, version)
    }

    /// A draft remembers only; its first record is its placement.
    fn wants_room(&self, events: &[Event]) -> bool {
        self.is_placed() || events.contains(&sale::Event::Placed.into())
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.next_deadline()
    }

    fn when_due() -> Option<Command> {
        Some(Command::Wake)
    }
}

impl Order {
    /// An order that has asked for nothing yet. Its first effect asks the first departure for seats.
    pub fn draft(mut draft: Draft, now: Timestamp) -> Order {
        let asked = std::mem::take(&mut draft.asked);
        Order::at_stage(Saved::new(draft, now), sale::Stage::Placing { next: 0, asked })
    }

    /// Nothing but the sale is under way.
    fn at_stage(saved: Saved, sale: sale::Stage) -> Order {
        Order {
            saved,
            sale: Part::new(sale),
            collecting: Part::new(collect::Stage::Idle),
            giving_back: Part::new(back::Giving::default()),
            refunding: Part::new(back::Stage::default()),
            calls: collect::Calls::default(),
        }
    }

    /// The order as its rows say. What was under way is derived: a live payment is asked about at once.
    pub fn from_rows(rows: &Rows, now: Timestamp) -> Result<Order, Damage> {
        let mut order = Order::at_stage(Saved::from_rows(rows)?, sale::Stage::Over);
        let live = order.live_payment();
        // Whether a create call was under way is not known any more: take it that one was, just now.
        let created_at = live.map(|_| now);
        let collecting = collect::Stage::at_waking(live, order.status() == OrderStatus::Pending, now);
        order.calls = collect::Calls { created_at, unsure: created_at.is_some(), queried_at: None };
        order.collecting = Part::new(collecting);
        order.sale = Part::new(order.sale_at_waking(now));
        Ok(order)
    }

    /// What follows from `command` at `now`. No events: it is already so, or no longer matters.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::HoldAnswered(answer) => Ok(match answer.step {
                HoldStep::Place | HoldStep::Confirm => self.sale_answered(answer, now),
                HoldStep::BeginPaying => self.collect_answered(answer, now),
                HoldStep::Release | HoldStep::Free => self.giving_answered(answer, now),
            }),
            Command::Sale(command) => self.sale_decides(command, now),
            Command::Collect(command) => self.collect_decides(command, now),
            Command::Back(command) => self.back_decides(command, now),
            Command::Ticket(command) => self.ticket_decides(command, now),
            Command::Partner(command) => self.partner_decides(command, now),
            Command::Wake => Ok(self.wake(now)),
        }
    }

    /// The only place where an order changes. Cannot fail.
    fn evolve(&mut self, event: &Event, touched: &mut Touched) {
        match event {
            Event::Sale(event) => self.sale_evolves(event, touched),
            Event::Collect(event) => self.collect_evolves(event, touched),
            Event::Back(event) => self.back_evolves(event, touched),
            Event::Ticket(event) => self.ticket_evolves(event, touched),
            Event::Partner(event) => self.partner_evolves(event, touched),
            Event::StepFailed { part, retry_at } => {
                self.retry_mut(*part).failed_until(*retry_at);
                if *part == PartName::Refunding {
                    self.refund_step_failed();
                }
            }
            Event::RetryDue { part } => self.retry_mut(*part).is_due(),
        }
        let outstanding = self.is_outstanding();
        self.saved.set_outstanding(outstanding, touched);
    }

    /// The steps to be done now, at most one of each part. While one is under way the caller does not ask for it again.
    pub fn effects(&self) -> impl Iterator<Item = Effect> + use<> {
        PartName::ALL.map(|part| self.effect_of(part)).into_iter().flatten()
    }

    fn effect_of(&self, part: PartName) -> Option<Effect> {
        if self.retry(part).at().is_some() {
            return None;
        }
        match part {
            PartName::Sale => self.sale_effect(),
            PartName::Collecting => self.collect_effect(),
            PartName::GivingBack => self.giving_effect(),
            PartName::Refunding => self.refunding_effect(),
        }
    }

    /// When to send [`Command::Wake`]. Nothing depends on its being punctual.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let giving_back = self.giving_back.retry.at();
        let deadlines = [self.sale_deadline(), self.collect_deadline(), giving_back, self.refunding_deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn wake(&self, now: Timestamp) -> Vec<Event> {
        let due = |part: &PartName| self.retry(*part).at().is_some_and(|at| now >= at);
        let mut events: Vec<Event> =
            PartName::ALL.into_iter().filter(due).map(|part| Event::RetryDue { part }).collect();
        events.extend(self.sale_wakes(now));
        events.extend(self.collect_wakes(now));
        events.extend(self.refunding_wakes(now));
        events
    }

    /// Whether the actor may sleep as far as the order is concerned: no step is under way and no deadline is near.
    pub fn is_settled(&self) -> bool {
        let idle = *self.sale.stage() == sale::Stage::Over
            && *self.collecting.stage() == collect::Stage::Idle
            && !self.gives_back();
        idle && !self.refunds_are_outstanding()
    }

    fn is_outstanding(&self) -> bool {
        let due = self.is_seeking() || self.refunds_are_outstanding() || self.live_payment().is_some();
        self.status() != OrderStatus::Pending && due
    }

    fn refunds_are_outstanding(&self) -> bool {
        self.refunds().iter().any(|refund| refund.state.is_outstanding())
    }

    fn meets(&self, asked: Asked) -> Result<Course, Rejection> {
        meeting::meets(asked, self.at())
    }

    fn at(&self) -> At {
        use sale::Stage;

        match self.status() {
            OrderStatus::Paid | OrderStatus::Completed => return At::Paid,
            OrderStatus::Cancelled => return At::Cancelled,
            OrderStatus::Pending => {}
        }
        match self.sale.stage() {
            Stage::Placing { .. } | Stage::Undoing { .. } | Stage::Refused { .. } => At::Unplaced,
            // A pending order is in none of these.
            Stage::Seeking { .. } | Stage::Reviving { .. } | Stage::Returning | Stage::Over => At::Unplaced,
            Stage::Open => match self.collecting.stage() {
                collect::Stage::Idle => At::Open,
                collect::Stage::Extending { .. } | collect::Stage::Creating | collect::Stage::Payable { .. } => {
                    At::Collecting
                }
                collect::Stage::Closing { .. } => At::Ending,
            },
            Stage::Settling { .. } => At::Settling,
            Stage::Ending { capture: None, .. } => At::Ending,
            Stage::Ending { capture: Some(_), .. } => At::Failing,
        }
    }

    fn retry(&self, part: PartName) -> &Retry {
        match part {
            PartName::Sale => &self.sale.retry,
            PartName::Collecting => &self.collecting.retry,
            PartName::GivingBack => &self.giving_back.retry,
            PartName::Refunding => &self.refunding.retry,
        }
    }

    fn retry_mut(&mut self, part: PartName) -> &mut Retry {
        match part {
            PartName::Sale => &mut self.sale.retry,
            PartName::Collecting => &mut self.collecting.retry,
            PartName::GivingBack => &mut self.giving_back.retry,
            PartName::Refunding => &mut self.refunding.retry,
        }
    }

    fn step_failed(&self, part: PartName, now: Timestamp) -> Event {
        Event::StepFailed { part, retry_at: self.retry(part).after_failure(now) }
    }

    fn call_failed(&self, part: PartName, why: CallFailure, now: Timestamp) -> Event {
        match why {
            CallFailure::NoAnswer => self.step_failed(part, now),
            CallFailure::Distrusted => Event::StepFailed { part, retry_at: now.plus_seconds(DISTRUST_PAUSE_SECONDS) },
        }
    }
}

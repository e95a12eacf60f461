//! An order: passengers, seats, payments and tickets of one purchase, as one machine (R-HOLD, R-PAY, R-TICKET).
//!
//! The caller is the order's actor. It feeds [`Command`]s to [`Order::decide`], applies the events, and then does what
//! [`Order::effect`] asks for, one step at a time, and feeds the answer back. What it may not forget is in durable
//! events; progress between two of them (which item's hold is next, whether WeChat was asked) is kept in `Stage`
//! only, because every step can be repeated harmlessly.
//!
//! The order of steps carries the guarantees: departures are told first, the order's own record is written last. So a
//! paid order's seats are confirmed, a cancelled order's seats are free, and only pending orders have work left after
//! a crash.
//!
//! What the machine relies on: [`Command::CreateCalled`] is told before each create call; a call to WeChat is given up
//! after [`CALL_TIMEOUT_SECONDS_MAX`]; a departure gets an order's messages in the order in which they were sent, also
//! those sent before and after the order's actor was rebuilt.
//!
//! The parts: `command` what can be told and what then happened; `decide` the checks; `facts` what WeChat says about a
//! payment; `late` money that comes after the end; `refunding` money that goes back; `redeem` scans; `evolve` the only
//! mutation; [`rows`] how it is stored.
//!
//! Absent on purpose: refunds that a traveller asks for, changes, packages, promotions.

mod command;
mod decide;
mod draft;
mod evolve;
mod facts;
mod late;
mod ledger;
mod payment;
mod redeem;
mod refund;
mod refunding;
pub mod rows;
mod scan;
mod terms;
#[cfg(test)]
mod tests;
mod wish;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::sealing::SealedDocument;
pub use command::{CallFailure, Command, Effect, Event, HoldAnswer, HoldStep, StepFailure};
pub use draft::{Contact, Draft, Item, Passenger, Price, PriceLine, SeatWish};
pub use facts::CALL_TIMEOUT_SECONDS_MAX;
pub use ledger::{LedgerEntry, LedgerKind};
pub use payment::{Capture, FactState, Payment, PaymentFact, PaymentState, Prepay};
pub use refund::{
    KnownRefund, REFUNDS_MAX, Refund, RefundFact, RefundFactState, RefundProgress, RefundReason, RefundState,
    RefundStatus, RefundStep, RefundTerms,
};
pub use scan::{Gate, Previous, Scan, ScanOutcome, ScanTarget, TicketOutcome, Verdict};
pub use terms::{PAYMENT_ATTEMPTS_MAX, PaymentPolicy, PaymentTerms};
pub use wish::{ITEMS_MAX, JourneyWish, Wish};

use crate::ids::{HoldId, OrderId, OutRefundNo, OutTradeNo, TicketId, TravellerId, codes};
use crate::machine::{Machine, Room};
use crate::money::Money;
use crate::rejection::Rejection;
use crate::row::Rows;
use crate::ticket::Ticket;
use crate::time::Timestamp;

/// Epoch of an order's first hold on an item. Seeking seats again after late money takes the next one.
pub const FIRST_EPOCH: u32 = 1;

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

/// What the order is doing. Between two durable events this is memory only: after a restart it is derived from the
/// rows, and every step that was under way is done again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Asking departures for seats; `next` is the item to ask for. No record exists yet.
    Placing { next: usize },
    /// Waiting for the traveller.
    Open,
    /// A payment has begun: departures are told to keep the seats.
    Extending { next: usize },
    /// Seats are kept: the create call is under way or to be repeated.
    Creating,
    /// The traveller can pay. `polls` have been made; `polling` while one is under way.
    Payable { polls: u32, polling: bool },
    /// Ending the payment at WeChat before the seats are freed: query, close, query (wechat.md R3).
    Closing { then: AfterClose, step: CloseStep },
    /// No payment is alive: giving the seats back. With a `capture`, money came but a departure refused the seats
    /// after others had confirmed the first `confirmed`.
    Releasing { why: CancelReason, next: usize, confirmed: usize, capture: Option<(OutTradeNo, Capture)> },
    /// Money is there, or none is needed: departures confirm the seats.
    Settling { capture: Option<(OutTradeNo, Capture)>, next: usize },
    /// Late money seeks seats: those that the order had, or with `equal` any like them. `found` are those of the items
    /// before the one being asked for.
    Seeking { number: OutTradeNo, found: Vec<Seats>, equal: bool, expires_at: Timestamp, payable: bool },
    /// Late money has found seats for all items: departures confirm them.
    Reviving { number: OutTradeNo, found: Vec<Seats>, next: usize },
    /// Late money has not found seats for all items: what was found is given back, of which the first
    /// `confirmed` items are sold already. The last item goes first: whoever seeks again after a crash then finds all
    /// that is left.
    GivingBack { found: Vec<Seats>, confirmed: usize },
    /// Paid, completed or cancelled, and money is on its way back.
    Refunding { number: OutRefundNo, step: RefundStep },
    /// Paid, completed or cancelled.
    Done,
    // Never packed, so that a refusal need not be readable. They stand last, because serde counts skipped variants
    // when it writes and not when it reads.
    /// A departure refused: giving back the seats of the items before it.
    #[serde(skip)]
    Undoing { left: usize, failure: StepFailure },
    /// Refused, and nothing is held. The order never existed.
    #[serde(skip)]
    Refused { failure: StepFailure },
}

/// Labels of an item's seats, in the order of the passengers.
pub(crate) type Seats = Vec<Box<str>>;

/// What ending a payment at WeChat is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AfterClose {
    /// The order ends with it.
    Cancel(CancelReason),
    /// The order has been paid by another attempt: nobody shall pay this one too.
    Stay,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CloseStep {
    QueryFirst,
    Close,
    QueryAgain,
}

/// One order. See the module's documentation. Serialised it is a short-lived image of the whole machine, for its owner to
/// [pack](crate::packing); what is stored are its [`rows`]. An order that is being refused has no such image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    pub(crate) draft: Arc<Draft>,
    pub(crate) items: Vec<Item>,
    pub(crate) status: OrderStatus,
    pub(crate) created_at: Timestamp,
    /// The end of the first lock; the cap counts from it.
    pub(crate) first_lock_expires_at: Timestamp,
    pub(crate) lock_expires_at: Timestamp,
    /// Epoch of the order's holds: it counts how often the order has sought its seats.
    pub(crate) seat_epoch: u32,
    pub(crate) payments: Vec<Payment>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) ledger: Vec<LedgerEntry>,
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) cancelled: Option<(Timestamp, CancelReason)>,
    pub(crate) stage: Stage,
    /// The step under way failed and is repeated at this instant.
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) failures: u32,
    /// When the create call was last started: until its window is over, WeChat may still learn of the payment.
    pub(crate) create_called_at: Option<Timestamp>,
    /// When WeChat was last asked about a payment.
    pub(crate) query_called_at: Option<Timestamp>,
    /// An earlier create call for the live payment ended without an answer: it may have reached WeChat.
    pub(crate) create_unsure: bool,
}

impl Machine for Order {
    type Command = Command;
    type Event = Event;

    const ROOM: Room = Room::Estimated;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.decide(command, now)
    }

    fn evolve(&mut self, event: &Event) {
        self.evolve(event);
    }

    fn changed_rows(&self, events: &[Event], version: u64) -> Rows {
        self.changed_rows(events, version)
    }

    /// A draft remembers only; its first record is its placement.
    fn wants_room(&self, events: &[Event]) -> bool {
        self.is_placed() || events.contains(&Event::Placed)
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
        let lock_expires_at = now.plus_seconds(i64::from(draft.lock_seconds));
        Order {
            items: std::mem::take(&mut draft.items),
            draft: Arc::new(draft),
            status: OrderStatus::Pending,
            created_at: now,
            first_lock_expires_at: lock_expires_at,
            lock_expires_at,
            seat_epoch: FIRST_EPOCH,
            payments: Vec::new(),
            refunds: Vec::new(),
            tickets: Vec::new(),
            ledger: Vec::new(),
            paid_at: None,
            completed_at: None,
            cancelled: None,
            stage: Stage::Placing { next: 0 },
            retry_at: None,
            failures: 0,
            create_called_at: None,
            query_called_at: None,
            create_unsure: false,
        }
    }

    pub fn id(&self) -> OrderId {
        self.draft.id
    }

    pub fn traveller(&self) -> TravellerId {
        self.draft.traveller
    }

    pub fn details(&self) -> &Draft {
        &self.draft
    }

    pub fn items(&self) -> &[Item] {
        &self.items
    }

    pub fn status(&self) -> OrderStatus {
        self.status
    }

    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Until when the traveller can pay: `lockExpireAt` on the wire.
    pub fn lock_expires_at(&self) -> Timestamp {
        self.lock_expires_at
    }

    pub fn paid_at(&self) -> Option<Timestamp> {
        self.paid_at
    }

    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at
    }

    pub fn cancelled(&self) -> Option<(Timestamp, CancelReason)> {
        self.cancelled
    }

    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    pub fn tickets(&self) -> &[Ticket] {
        &self.tickets
    }

    pub fn ticket(&self, id: TicketId) -> Option<&Ticket> {
        self.tickets.iter().find(|ticket| ticket.id == id)
    }

    pub fn refunds(&self) -> &[Refund] {
        &self.refunds
    }

    pub fn ledger(&self) -> &[LedgerEntry] {
        &self.ledger
    }

    pub fn total(&self) -> Money {
        self.draft.price.total
    }

    /// Nothing is to be paid: the order is paid as soon as it is placed (R-PRICE-01).
    pub(crate) fn is_free_of_charge(&self) -> bool {
        self.draft.price.total.minor == 0
    }

    /// The hold of an item.
    pub fn hold(&self, item: usize) -> HoldId {
        HoldId { order: self.draft.id, item: item as u16 }
    }

    /// Whether the first record exists or is about to: the seats are held.
    pub fn is_placed(&self) -> bool {
        !matches!(self.stage, Stage::Placing { .. } | Stage::Undoing { .. } | Stage::Refused { .. })
    }

    /// Why the order was never made, once everything that was held for it has been given back.
    pub fn refusal(&self) -> Option<&StepFailure> {
        let Stage::Refused { failure } = &self.stage else { return None };
        Some(failure)
    }

    /// Whether the actor may sleep as far as the order is concerned: no step is under way and no deadline is near.
    pub fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Done) && !self.refunds.iter().any(|refund| refund.state.is_outstanding())
    }

    /// Not pending any more, and something is left to be done: whoever starts an engine has to load it (rule 14).
    pub(crate) fn is_outstanding(&self) -> bool {
        let refunding = self.refunds.iter().any(|refund| refund.state.is_outstanding());
        let due = self.is_seeking() || refunding || self.live_payment().is_some();
        self.status != OrderStatus::Pending && due
    }

    /// Money has come and the departures are confirming the seats.
    pub fn is_settling(&self) -> bool {
        matches!(self.stage, Stage::Settling { .. })
    }

    /// Money has come that is not in the ledger yet.
    pub fn has_unrecorded_money(&self) -> bool {
        matches!(self.stage, Stage::Settling { capture: Some(_), .. } | Stage::Releasing { capture: Some(_), .. })
    }

    /// The order is being given up: its payment is being ended at WeChat, or its seats are being given back.
    pub fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Closing { then: AfterClose::Cancel(_), .. } | Stage::Releasing { .. })
    }

    /// The payment that the traveller may still be able to pay.
    pub fn live_payment(&self) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.state.is_alive())
    }

    /// The payment with this number.
    pub fn payment(&self, number: OutTradeNo) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.number == number)
    }
}

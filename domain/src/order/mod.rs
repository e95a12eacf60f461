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
//! Absent on purpose: refunds, changes, packages, promotions. Late money is recorded as a refund due; nothing is lost,
//! but the seats are not sought again yet.

mod command;
mod decide;
mod evolve;
mod redeem;
pub mod rows;
mod terms;
#[cfg(test)]
mod tests;
mod wish;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use command::{CloseNext, Command, Effect, Event, HoldAnswer, HoldStep, StepFailure};
pub use decide::CALL_TIMEOUT_SECONDS_MAX;
pub use redeem::{Gate, Previous, Scan, ScanOutcome, ScanTarget, TicketOutcome, Verdict};
pub use terms::{PAYMENT_ATTEMPTS_MAX, PaymentPolicy, PaymentTerms};
pub use wish::{ITEMS_MAX, JourneyWish, Wish};

use crate::departure::Stretch;
use crate::ids::{
    DepartureId, HoldId, OperatorCode, OrderId, OutTradeNo, PortCode, RouteCode, SeatClassCode, TravellerId,
};
use crate::money::{Currency, Money};
use crate::party::PassengerType;
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

impl OrderStatus {
    pub const ALL: [OrderStatus; 4] =
        [OrderStatus::Pending, OrderStatus::Paid, OrderStatus::Completed, OrderStatus::Cancelled];

    pub const fn code(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Paid => "paid",
            OrderStatus::Completed => "completed",
            OrderStatus::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for OrderStatus {
    type Err = crate::ids::InvalidId;

    fn from_str(text: &str) -> Result<OrderStatus, Self::Err> {
        OrderStatus::ALL.into_iter().find(|status| status.code() == text).ok_or(crate::ids::InvalidId("order status"))
    }
}

/// Why an order was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CancelReason {
    /// The traveller asked.
    Traveller,
    /// Nobody paid in time.
    Expired,
    /// A departure no longer had the held seats. Cannot happen while the rules hold; money that came is refunded.
    SeatsLost,
}

impl CancelReason {
    pub const ALL: [CancelReason; 3] = [CancelReason::Traveller, CancelReason::Expired, CancelReason::SeatsLost];

    pub const fn code(self) -> &'static str {
        match self {
            CancelReason::Traveller => "traveller",
            CancelReason::Expired => "expired",
            CancelReason::SeatsLost => "seats_lost",
        }
    }
}

impl std::str::FromStr for CancelReason {
    type Err = crate::ids::InvalidId;

    fn from_str(text: &str) -> Result<CancelReason, Self::Err> {
        CancelReason::ALL.into_iter().find(|reason| reason.code() == text).ok_or(crate::ids::InvalidId("cancel reason"))
    }
}

/// Who to reach about the order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    pub name: Box<str>,
    pub phone: Box<str>,
    pub email: Option<Box<str>>,
}

/// A travel document, sealed before it came here: nothing behind this point ever sees the number (rule 8).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SealedDocument {
    pub kind: Box<str>,
    pub key_version: u32,
    pub ciphertext: Box<[u8]>,
    /// Last characters in clear, the rest starred.
    pub mask: Box<str>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Passenger {
    pub name: Box<str>,
    pub kind: PassengerType,
    pub document: Option<SealedDocument>,
}

/// Seats as the traveller asked for them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SeatWish {
    /// Any seats, together where possible; as many as there are passengers.
    Any,
    /// These, by their labels.
    Chosen(Vec<Box<str>>),
}

/// A journey of the order. Every journey seats every passenger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Item {
    pub departure: DepartureId,
    pub route: RouteCode,
    pub operator: OperatorCode,
    pub class: SeatClassCode,
    pub stretch: Stretch,
    pub board_port: PortCode,
    pub alight_port: PortCode,
    /// From the stop where the party boards.
    pub departs_at: Timestamp,
    /// At the stop where the party leaves.
    pub arrives_at: Timestamp,
    pub wish: SeatWish,
    /// Labels of the held seats, in the order of the passengers; empty until the departure has answered.
    pub seats: Vec<Box<str>>,
}

/// One explained line of the price (R-PRICE-01).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PriceLine {
    /// Index of the item.
    pub item: u16,
    pub kind: PassengerType,
    pub class: SeatClassCode,
    pub count: u16,
    pub unit_minor: i64,
    pub discount_minor: i64,
    pub total_minor: i64,
    /// Which fare and tier applied.
    pub explanation: Box<str>,
}

/// The price at the time of the order; never computed again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Price {
    pub total: Money,
    pub lines: Vec<PriceLine>,
}

/// A wish for an order, checked and priced, with its id. The machine starts from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Draft {
    pub id: OrderId,
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
    /// SHA-256 of the request, to tell a repetition from another request with the same key.
    pub body_hash: [u8; 32],
    pub locale: Box<str>,
    pub contact: Contact,
    pub passengers: Vec<Passenger>,
    /// Sorted by departure, so that orders that meet take their seats in one order (rule 5). They become the order's
    /// own: of an order's details they are not there any more.
    pub items: Vec<Item>,
    pub price: Price,
    /// How long the seats are held for payment.
    pub lock_seconds: u32,
}

/// Where a payment at WeChat stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PaymentState {
    /// Recorded with its exact body; seats are being kept longer, or the call is under way or will be repeated.
    Begun,
    /// WeChat knows it; the traveller can pay.
    Created {
        prepay_id: Box<str>,
        nonce: Box<str>,
        signed_at_seconds: i64,
    },
    /// WeChat refused to create it.
    Refused {
        code: Box<str>,
    },
    /// Closed at WeChat, confirmed by a query.
    Closed,
    Paid {
        transaction_id: Box<str>,
    },
    /// Paid after the order was cancelled, or a second time: the money is to go back.
    PaidLate {
        transaction_id: Box<str>,
    },
}

impl PaymentState {
    /// Whether the traveller may still be able to pay it.
    pub fn is_alive(&self) -> bool {
        matches!(self, PaymentState::Begun | PaymentState::Created { .. })
    }
}

/// One attempt to be paid. At most one is alive (wechat.md R1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Payment {
    pub number: OutTradeNo,
    pub total: Money,
    /// The exact body of the create call; a repetition sends the same bytes. Empty once there is nothing to repeat.
    pub body: Arc<[u8]>,
    /// The last moment at which WeChat lets the traveller pay.
    pub time_expire: Timestamp,
    /// Until when the departures keep the seats; past it, an unconfirmed close is an alarm.
    pub hold_expires_at: Timestamp,
    pub begun_at: Timestamp,
    pub state: PaymentState,
}

/// Money that WeChat says it has captured.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Capture {
    pub transaction_id: Box<str>,
    pub amount: Money,
}

/// What WeChat says about a payment, whoever brought it: callback, query or bill (wechat.md R5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentFact {
    pub number: OutTradeNo,
    pub state: FactState,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FactState {
    /// Paid; also when part of it has been refunded since.
    Paid(Capture),
    NotPaid,
    Closed,
    /// WeChat does not know the number.
    NotFound,
    /// Under our number, and about somebody else's money: another merchant or appid (R-PAY-06). Says what differs.
    Foreign(&'static str),
}

/// Kinds of money moves. The ledger is append-only; balances are sums over it (R-PAY-09).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LedgerKind {
    Captured,
    RefundDue,
}

impl LedgerKind {
    pub const fn code(self) -> &'static str {
        match self {
            LedgerKind::Captured => "captured",
            LedgerKind::RefundDue => "refund_due",
        }
    }
}

impl std::str::FromStr for LedgerKind {
    type Err = crate::ids::InvalidId;

    fn from_str(text: &str) -> Result<LedgerKind, Self::Err> {
        [LedgerKind::Captured, LedgerKind::RefundDue]
            .into_iter()
            .find(|kind| kind.code() == text)
            .ok_or(crate::ids::InvalidId("ledger kind"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub kind: LedgerKind,
    pub payment: OutTradeNo,
    pub amount: Money,
    pub at: Timestamp,
}

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
    Closing { why: CancelReason, step: CloseStep },
    /// No payment is alive: giving the seats back. With a `capture`, money came but a departure refused the seats.
    Releasing { why: CancelReason, next: usize, capture: Option<(OutTradeNo, Capture)> },
    /// Money is there, or none is needed: departures confirm the seats.
    Settling { capture: Option<(OutTradeNo, Capture)>, next: usize },
    /// Paid, completed or cancelled.
    Done,
    // Never laid aside, so that a refusal need not be readable. They stand last, because serde counts skipped variants
    // when it writes and not when it reads.
    /// A departure refused: giving back the seats of the items before it.
    #[serde(skip)]
    Undoing { left: usize, failure: StepFailure },
    /// Refused, and nothing is held. The order never existed.
    #[serde(skip)]
    Refused { failure: StepFailure },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum CloseStep {
    QueryFirst,
    Close,
    QueryAgain,
}

/// One order. See the module's documentation. Serialised it is a short-lived image of the whole machine, for its owner to
/// lay aside; what is stored are its [`rows`]. An order that is being refused has no such image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    pub(crate) draft: Arc<Draft>,
    pub(crate) items: Vec<Item>,
    pub(crate) status: OrderStatus,
    pub(crate) created_at: Timestamp,
    /// The end of the first lock; the cap counts from it.
    pub(crate) first_lock_expires_at: Timestamp,
    pub(crate) lock_expires_at: Timestamp,
    pub(crate) payments: Vec<Payment>,
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
    /// An earlier create call for the live payment ended without an answer: it may have reached WeChat.
    pub(crate) create_unsure: bool,
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
            payments: Vec::new(),
            tickets: Vec::new(),
            ledger: Vec::new(),
            paid_at: None,
            completed_at: None,
            cancelled: None,
            stage: Stage::Placing { next: 0 },
            retry_at: None,
            failures: 0,
            create_called_at: None,
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

    pub fn currency(&self) -> Currency {
        self.draft.price.total.currency
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
        match &self.stage {
            Stage::Refused { failure } => Some(failure),
            _ => None,
        }
    }

    /// Whether the actor may sleep as far as the order is concerned: no step is under way and no deadline is near.
    pub fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Done)
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
        matches!(self.stage, Stage::Closing { .. } | Stage::Releasing { .. })
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

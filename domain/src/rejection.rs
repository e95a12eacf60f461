//! Refusals. A refusal is a value with a stable code: the caller's request was understood and is not granted.
//! It is never a fault of ours (that is a panic) and never an outage (that is an error of the shell).

use std::borrow::Cow;

use crate::ids::EntitlementCode;

/// What a refusal means for whoever asked; the HTTP layer maps it to a status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Not there, or not theirs.
    NotFound,
    /// Against the present state of the thing.
    Conflict,
    /// Understood, but not acceptable; `field` names the culprit.
    Unacceptable,
    /// The caller has to log in again.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
}

/// Every refusal, in order of precedence: where several apply, the one that stands first here is answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Rejection {
    /// A value of the request is not acceptable.
    #[error("{field}: {message}")]
    Field { field: Cow<'static, str>, message: Cow<'static, str> },

    // Orders and what belongs to them.
    #[error("there is no such order")]
    OrderNotFound,
    #[error("there is no such ticket")]
    TicketNotFound,
    #[error("the order has no tickets yet")]
    TicketsNotIssued,
    #[error("there is no such departure")]
    DepartureNotFound,
    #[error("the Idempotency-Key was used with another request")]
    IdempotencyMismatch,
    #[error("the traveller already holds seats with {limit} unpaid orders")]
    LockLimit { limit: u32 },

    #[error("the session has ended")]
    SessionEnded,

    // A departure and its seats.
    #[error("the departure was cancelled")]
    DepartureCancelled,
    #[error("booking for the departure has closed")]
    BookingClosed,
    #[error("the travel date is not sold")]
    Blackout,
    #[error("seat {seat} is taken")]
    SeatTaken { seat: String },
    /// `available`: how many seats of that class are left on that stretch for this channel.
    #[error("not enough seats are left: {available} of {wanted}")]
    SoldOut { wanted: u16, available: u16 },

    // Holds.
    #[error("the hold is not known here")]
    HoldNotFound,
    #[error("the message belongs to an earlier hold")]
    HoldEpochStale,
    #[error("the hold has expired")]
    HoldExpired,
    #[error("the hold was released")]
    HoldAlreadyReleased,
    #[error("the hold was confirmed")]
    HoldAlreadyConfirmed,
    #[error("more seats are in use than the change would leave")]
    BelowUse,

    // Payment and the life of an order.
    #[error("the order can no longer be paid")]
    OrderNotPayable,
    #[error("the order is paid")]
    OrderPaid,
    #[error("the order is cancelled")]
    OrderCancelled,
    #[error("the payment does not match the order: {0}")]
    PaymentMismatch(&'static str),
    #[error("no such refund")]
    RefundNotFound,
    #[error("there is no such notice in quarantine")]
    NoticeNotFound,
    #[error("the refund does not wait for anybody")]
    RefundNotStuck,

    // Redemption.
    #[error(transparent)]
    Scan(#[from] ScanRejection),
}

impl Rejection {
    pub fn field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Rejection {
        Rejection::Field { field: field.into(), message: message.into() }
    }

    /// The stable code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::Field { .. } => "VALIDATION_ERROR",
            Rejection::OrderNotFound => "ORDER_NOT_FOUND",
            Rejection::TicketNotFound => "TICKET_NOT_FOUND",
            Rejection::TicketsNotIssued => "TICKETS_NOT_ISSUED",
            Rejection::DepartureNotFound => "DEPARTURE_NOT_FOUND",
            Rejection::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Rejection::LockLimit { .. } => "LOCK_LIMIT",
            Rejection::SessionEnded => "SESSION_ENDED",
            Rejection::DepartureCancelled => "DEPARTURE_CANCELLED",
            Rejection::BookingClosed => "BOOKING_CLOSED",
            Rejection::Blackout => "BLACKOUT",
            Rejection::SeatTaken { .. } => "SEAT_TAKEN",
            Rejection::SoldOut { .. } => "SOLD_OUT",
            Rejection::HoldNotFound => "HOLD_NOT_FOUND",
            Rejection::HoldEpochStale => "HOLD_EPOCH_STALE",
            Rejection::HoldExpired => "LOCK_EXPIRED",
            Rejection::HoldAlreadyReleased => "HOLD_ALREADY_RELEASED",
            Rejection::HoldAlreadyConfirmed => "HOLD_ALREADY_CONFIRMED",
            Rejection::BelowUse => "BELOW_USE",
            Rejection::OrderNotPayable => "ORDER_NOT_PAYABLE",
            Rejection::OrderPaid => "ORDER_PAID",
            Rejection::OrderCancelled => "ORDER_CANCELLED",
            Rejection::PaymentMismatch(_) => "PAYMENT_MISMATCH",
            Rejection::RefundNotFound => "REFUND_NOT_FOUND",
            Rejection::NoticeNotFound => "NOTICE_NOT_FOUND",
            Rejection::RefundNotStuck => "REFUND_NOT_STUCK",
            Rejection::Scan(scan) => scan.code(),
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Rejection::Field { .. } | Rejection::IdempotencyMismatch => Kind::Unacceptable,
            Rejection::OrderNotFound
            | Rejection::RefundNotFound
            | Rejection::NoticeNotFound
            | Rejection::TicketNotFound
            | Rejection::DepartureNotFound
            | Rejection::HoldNotFound => Kind::NotFound,
            Rejection::SessionEnded => Kind::Unauthenticated,
            Rejection::Scan(_) => Kind::Forbidden,
            Rejection::TicketsNotIssued
            | Rejection::LockLimit { .. }
            | Rejection::DepartureCancelled
            | Rejection::BookingClosed
            | Rejection::Blackout
            | Rejection::SeatTaken { .. }
            | Rejection::SoldOut { .. }
            | Rejection::HoldEpochStale
            | Rejection::HoldExpired
            | Rejection::HoldAlreadyReleased
            | Rejection::HoldAlreadyConfirmed
            | Rejection::BelowUse
            | Rejection::OrderNotPayable
            | Rejection::OrderPaid
            | Rejection::OrderCancelled
            | Rejection::RefundNotStuck
            | Rejection::PaymentMismatch(_) => Kind::Conflict,
        }
    }

    /// Whether the same request may succeed later without anybody changing it.
    pub fn may_succeed_later(&self) -> bool {
        matches!(
            self,
            Rejection::LockLimit { .. }
                | Rejection::SeatTaken { .. }
                | Rejection::SoldOut { .. }
                | Rejection::Scan(ScanRejection::NotYetValid | ScanRejection::RefundPending)
        )
    }
}

/// Why a scan or redemption is refused (R-SCAN-05), in order of precedence. A refused scan is an answer to the gate,
/// not an HTTP error.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum ScanRejection {
    #[error("the code is not one of ours or was altered")]
    InvalidCode,
    #[error("the code has expired; ask for a fresh one")]
    CodeExpired,
    #[error("the ticket is another merchant's")]
    NotYourMerchant,
    #[error("the code was used before; ask for a fresh one")]
    Replayed,
    #[error("the ticket is not redeemed at this location")]
    WrongLocation,
    #[error("this device does not redeem {0}")]
    WrongEntitlement(EntitlementCode),
    #[error("the ticket is for another departure")]
    WrongDeparture,
    #[error("the departure was cancelled")]
    DepartureCancelled,
    #[error("the ticket is not activated")]
    NotActivated,
    #[error("the ticket was used")]
    AlreadyRedeemed,
    #[error("a refund of the ticket is under way")]
    RefundPending,
    #[error("the ticket was refunded")]
    Refunded,
    #[error("the ticket was changed for another")]
    Changed,
    #[error("the ticket was cancelled")]
    Cancelled,
    #[error("the ticket is not valid yet")]
    NotYetValid,
    #[error("the ticket has expired")]
    Expired,
    #[error("less remains than was asked for")]
    NoRemaining,
}

impl ScanRejection {
    /// The reason at the gate and in the log.
    pub fn code(&self) -> &'static str {
        match self {
            ScanRejection::InvalidCode => "INVALID_CODE",
            ScanRejection::CodeExpired => "CODE_EXPIRED",
            ScanRejection::Replayed => "REPLAYED",
            ScanRejection::NotYourMerchant => "NOT_YOUR_MERCHANT",
            ScanRejection::WrongLocation => "WRONG_LOCATION",
            ScanRejection::WrongEntitlement(_) => "WRONG_ENTITLEMENT",
            ScanRejection::WrongDeparture => "WRONG_DEPARTURE",
            ScanRejection::DepartureCancelled => "DEPARTURE_CANCELLED",
            ScanRejection::NotActivated => "NOT_ACTIVATED",
            ScanRejection::AlreadyRedeemed => "ALREADY_REDEEMED",
            ScanRejection::RefundPending => "REFUND_PENDING",
            ScanRejection::Refunded => "REFUNDED",
            ScanRejection::Changed => "CHANGED",
            ScanRejection::Cancelled => "CANCELLED",
            ScanRejection::NotYetValid => "NOT_YET_VALID",
            ScanRejection::Expired => "EXPIRED",
            ScanRejection::NoRemaining => "NO_REMAINING",
        }
    }
}

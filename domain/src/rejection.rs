//! Refusals. A refusal is a value with a stable code: the caller's request was understood and is not granted.
//! It is never a fault of ours (that is a panic) and never an outage (that is an error of the shell).

use std::borrow::Cow;
use std::fmt::Display;

use crate::ids::{EntitlementCode, OrderId, PromotionCode, TemplateId};

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

/// Whether the same request may succeed later without anybody changing it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    Never,
    Later,
}

/// A line of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// On the wire and in the log; it never changes.
    pub code: &'static str,
    pub kind: Kind,
    pub retry: Retry,
    /// In braces, what a refusal fills in.
    pub text: &'static str,
}

/// Makes an enum of a table: its texts are what it displays, `ALL` is the table, `refusal()` the line of a value, and
/// `code()` the code in it.
macro_rules! refusals {
    ($(#[$about:meta])* pub enum $name:ident {
        $($(#[$doc:meta])* $variant:ident $(($($value:ty),*))? $({ $($field:ident: $type:ty),* })?
            => $code:literal, $kind:ident, $retry:ident, $text:literal;)*
    }) => {
        $(#[$about])*
        pub enum $name {
            $($(#[$doc])* #[error($text)] $variant $(($($value),*))? $({ $($field: $type),* })?,)*
        }

        impl $name {
            pub const ALL: &[Refusal] =
                &[$(Refusal { code: $code, kind: Kind::$kind, retry: Retry::$retry, text: $text }),*];

            pub fn refusal(&self) -> &'static Refusal {
                match self {
                    $($name::$variant { .. } => {
                        &Refusal { code: $code, kind: Kind::$kind, retry: Retry::$retry, text: $text }
                    })*
                }
            }

            pub fn code(&self) -> &'static str {
                self.refusal().code
            }
        }
    };
}

refusals! {
    /// Every refusal, in order of precedence: where several apply, the one that stands first here is answered.
    #[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
    pub enum Rejection {
        /// A value of the request is not acceptable.
        Field { field: Cow<'static, str>, message: Cow<'static, str> }
            => "VALIDATION_ERROR", Unacceptable, Never, "{field}: {message}";

        // Orders and what belongs to them.
        OrderNotFound => "ORDER_NOT_FOUND", NotFound, Never, "there is no such order";
        TicketNotFound => "TICKET_NOT_FOUND", NotFound, Never, "there is no such ticket";
        BatchNotFound => "BATCH_NOT_FOUND", NotFound, Never, "there is no such batch";
        TicketsNotIssued => "TICKETS_NOT_ISSUED", Conflict, Never, "the order has no tickets yet";
        PromotionNotFound => "PROMOTION_NOT_FOUND", NotFound, Never, "there is no such promotion";
        DepartureNotFound => "DEPARTURE_NOT_FOUND", NotFound, Never, "there is no such departure";
        TemplateNotFound => "TEMPLATE_NOT_FOUND", NotFound, Never, "there is no such package on sale";
        IdempotencyMismatch
            => "IDEMPOTENCY_MISMATCH", Unacceptable, Never, "the Idempotency-Key was used with another request";
        ReservationNotFound => "RESERVATION_NOT_FOUND", NotFound, Never, "there is no such reservation";
        ReservationLimit { limit: u32 }
            => "RESERVATION_LIMIT", Conflict, Later, "the partner already has {limit} active reservations";
        LockLimit { limit: u32 }
            => "LOCK_LIMIT", Conflict, Later, "the traveller already holds seats with {limit} unpaid orders and reservations";

        SessionEnded => "SESSION_ENDED", Unauthenticated, Never, "the session has ended";

        // A departure and its seats.
        DepartureCancelled => "DEPARTURE_CANCELLED", Conflict, Never, "the departure was cancelled";
        BookingClosed => "BOOKING_CLOSED", Conflict, Never, "booking for the departure has closed";
        Blackout => "BLACKOUT", Conflict, Never, "the travel date is not sold";
        SeatTaken { seat: String } => "SEAT_TAKEN", Conflict, Later, "seat {seat} is taken";
        /// `available`: how many are left for this channel; seats: of that class on that stretch.
        SoldOut { of: Sold, wanted: u16, available: u16 }
            => "SOLD_OUT", Conflict, Later, "not enough {of} are left: {available} of {wanted}";
        /// Of what is set aside for a partner.
        InsufficientAllotment { wanted: u16, available: u16 }
            => "INSUFFICIENT_ALLOTMENT", Conflict, Later, "not enough is left of the allotment: {available} of {wanted}";
        PromotionExhausted { promotion: PromotionCode, of: Uses }
            => "PROMOTION_EXHAUSTED", Conflict, Later, "promotion {promotion} has no use left {of}";
        ReservationExpired => "RESERVATION_EXPIRED", Conflict, Never, "the reservation has expired";
        ReservationActivated => "RESERVATION_ACTIVATED", Conflict, Never, "all of the reservation is activated";
        ReservationEnded
            => "RESERVATION_ENDED", Conflict, Never, "the reservation was released, or an order has adopted it";

        // Tickets that partners generate.
        BatchExists => "BATCH_EXISTS", Conflict, Never, "the batch id was used with another request";
        TicketAlreadyActivated { order: OrderId }
            => "TICKET_ALREADY_ACTIVATED", Conflict, Never, "the ticket was activated: it is order {order}";
        TicketCancelled => "TICKET_CANCELLED", Conflict, Never, "the ticket was cancelled";

        // Holds.
        HoldNotFound => "HOLD_NOT_FOUND", NotFound, Never, "the hold is not known here";
        HoldEpochStale => "HOLD_EPOCH_STALE", Conflict, Never, "the message belongs to an earlier hold";
        HoldExpired => "LOCK_EXPIRED", Conflict, Never, "the hold has expired";
        HoldAlreadyReleased => "HOLD_ALREADY_RELEASED", Conflict, Never, "the hold was released";
        HoldAlreadyConfirmed => "HOLD_ALREADY_CONFIRMED", Conflict, Never, "the hold was confirmed";
        /// `uses`: what is held, sold or set aside, in words.
        BelowUse { uses: String } => "BELOW_USE", Conflict, Never, "more is in use than the change would leave: {uses}";

        // Payment and the life of an order.
        OrderNotPayable => "ORDER_NOT_PAYABLE", Conflict, Never, "the order can no longer be paid";
        OrderPaid => "ORDER_PAID", Conflict, Never, "the order is paid";
        OrderCancelled => "ORDER_CANCELLED", Conflict, Never, "the order is cancelled";
        TicketUsed => "TICKET_USED", Conflict, Never, "the ticket was used";
        TicketExpired => "TICKET_EXPIRED", Conflict, Never, "the ticket has expired";
        PaymentMismatch(&'static str)
            => "PAYMENT_MISMATCH", Conflict, Never, "the payment does not match the order: {0}";
        RefundNotFound => "REFUND_NOT_FOUND", NotFound, Never, "no such refund";
        NoticeNotFound => "NOTICE_NOT_FOUND", NotFound, Never, "there is no such notice in quarantine";
        RefundNotStuck => "REFUND_NOT_STUCK", Conflict, Never, "the refund does not wait for anybody";

        // Configuration.
        NotConfigured { entity: &'static str, id: String } => "NOT_CONFIGURED", NotFound, Never, "there is no {entity} {id}";
        InUse { entity: &'static str, id: String, by: String }
            => "IN_USE", Conflict, Never, "{entity} {id} is still used by {by}";
        AccountOfOtherKind { username: String }
            => "ACCOUNT_OF_OTHER_KIND", Conflict, Never, "{username} is an account of another kind: a gate's or a desk's";
        LastAdministrator
            => "LAST_ADMINISTRATOR", Conflict, Never, "nobody else could administer: no other administrator can log in";
        KeyLimit { limit: u32 }
            => "KEY_LIMIT", Conflict, Never, "the partner has {limit} keys already: revoke one first";
        VersionConflict => "VERSION_CONFLICT", Conflict, Never, "this token stands for another version";
        NoEarlierRevision => "NO_EARLIER_REVISION", Conflict, Never, "there is no earlier revision";
    }
}

/// Of what too little is left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sold {
    Seats,
    Package(TemplateId),
}

impl Display for Sold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Sold::Seats => f.write_str("seats"),
            Sold::Package(template) => write!(f, "units of package {template}"),
        }
    }
}

/// Which uses of a promotion have run out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uses {
    All,
    OfTraveller,
}

impl Display for Uses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Uses::All => "for anybody",
            Uses::OfTraveller => "for this traveller",
        })
    }
}

impl Rejection {
    pub fn field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Rejection {
        Rejection::Field { field: field.into(), message: message.into() }
    }
}

/// Refuses what does not hold; `field` names the culprit as it is called on the wire.
pub fn ensure(holds: bool, field: impl Display, message: impl Display) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::field(field.to_string(), message.to_string())) }
}

refusals! {
    /// Why a scan or redemption is refused (R-SCAN-05), in order of precedence. A refused scan is an answer to the gate,
    /// not an HTTP error; its code is the reason at the gate and in the log.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
    pub enum ScanRejection {
        InvalidCode => "INVALID_CODE", Forbidden, Never, "the code is not one of ours or was altered";
        CodeExpired => "CODE_EXPIRED", Forbidden, Never, "the code has expired; ask for a fresh one";
        NotYourMerchant => "NOT_YOUR_MERCHANT", Forbidden, Never, "the ticket is another merchant's";
        Replayed => "REPLAYED", Forbidden, Never, "the code was used before; ask for a fresh one";
        WrongLocation => "WRONG_LOCATION", Forbidden, Never, "the ticket is not redeemed at this location";
        WrongEntitlement(EntitlementCode) => "WRONG_ENTITLEMENT", Forbidden, Never, "this device does not redeem {0}";
        WrongDeparture => "WRONG_DEPARTURE", Forbidden, Never, "the ticket is for another departure";
        DepartureCancelled => "DEPARTURE_CANCELLED", Forbidden, Never, "the departure was cancelled";
        NotActivated => "NOT_ACTIVATED", Forbidden, Never, "the ticket is not activated";
        AlreadyRedeemed => "ALREADY_REDEEMED", Forbidden, Never, "the ticket was used";
        RefundPending => "REFUND_PENDING", Forbidden, Later, "a refund of the ticket is under way";
        Refunded => "REFUNDED", Forbidden, Never, "the ticket was refunded";
        Changed => "CHANGED", Forbidden, Never, "the ticket was changed for another";
        Cancelled => "CANCELLED", Forbidden, Never, "the ticket was cancelled";
        NotYetValid => "NOT_YET_VALID", Forbidden, Later, "the ticket is not valid yet";
        Expired => "EXPIRED", Forbidden, Never, "the ticket has expired";
        NoRemaining => "NO_REMAINING", Forbidden, Never, "less remains than was asked for";
    }
}

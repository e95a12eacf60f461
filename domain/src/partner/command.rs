//! What can be asked of a partner's book, and what then happened.

use std::sync::Arc;

use crate::batch::Offer;
use crate::ids::OrderId;
use crate::time::Timestamp;

use super::{Drawn, DrawnFor, PartnerReservationId, Reservation, ReservationStatus};

/// What can be asked. No events in answer means that it is already so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// The stock holds the units. Refused with a field, `IdempotencyMismatch` or `ReservationLimit`.
    Reserve(Reserve),
    /// The stock has confirmed the hold.
    Confirmed(PartnerReservationId),
    /// It never will: the hold lapsed before.
    Lost(PartnerReservationId),
    /// The stock knows that the hold keeps so many units.
    Told { reservation: PartnerReservationId, keeps: u32 },
    /// The partner gives back what is left. One that has expired or was cancelled is so already. Refused with
    /// `ReservationNotFound`, or `ReservationActivated` if nothing is left.
    Cancel(PartnerReservationId),
    /// Reservations that are due end, at most [`EXPIRES_PER_TURN_MAX`](super::EXPIRES_PER_TURN_MAX) of them. The timer's
    /// command; nothing depends on its punctuality.
    Expire,
    /// Refused with `ReservationNotFound`, `ReservationExpired`, `ReservationEnded`, `ReservationActivated` or a field.
    Draw(Draw),
    /// Refused with `ReservationNotFound` for what nobody has drawn.
    GiveBack(GiveBack),
}

/// See [`Command::Reserve`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reserve {
    pub id: PartnerReservationId,
    pub idempotency_key: Box<str>,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
    pub product: u32,
    /// The product, as it is sold at this instant.
    pub offer: Arc<Offer>,
    /// 1 to [`RESERVED_UNITS_MAX`](super::RESERVED_UNITS_MAX).
    pub quantity: u32,
    /// `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A batch or an order takes units of a reservation; it is born in the same record. Drawing again for the same is already so,
/// if it is as much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draw {
    pub reservation: PartnerReservationId,
    /// The number of the batch or order.
    pub by: OrderId,
    pub drawn_for: DrawnFor,
    /// `None`: all that is left. An order takes at most [`ORDER_UNITS_MAX`](super::ORDER_UNITS_MAX).
    pub quantity: Option<u32>,
}

/// A batch or an order needs fewer of its units: they go back on sale, not to the reservation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GiveBack {
    /// Who drew them.
    pub by: OrderId,
    /// How many it keeps: so many or more than it has leave it as it is, so that repeating gives nothing back twice.
    pub units_left: u32,
}

/// What happened. `at` is the decision's `now`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Reserved(Box<Reservation>),
    Confirmed(PartnerReservationId),
    Lost {
        id: PartnerReservationId,
        at: Timestamp,
    },
    Told {
        id: PartnerReservationId,
        keeps: u32,
    },
    /// What is left of it can no longer be drawn.
    Ended {
        id: PartnerReservationId,
        status: ReservationStatus,
        at: Timestamp,
    },
    Drawn {
        id: PartnerReservationId,
        drawn: Drawn,
    },
    GivenBack {
        id: PartnerReservationId,
        by: OrderId,
        units_left: u32,
    },
    /// *Memory*: reservations that nobody asks for any more at this instant.
    Forgotten {
        at: Timestamp,
    },
}

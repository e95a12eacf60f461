//! What can be asked of a batch, and what then happened.

use std::collections::BTreeMap;

use super::TicketState;
use crate::time::Timestamp;

/// No events in answer means that it is already so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// The stock holds the units: the batch begins to exist. From here on it is finished or given up, also after a crash.
    Begin,
    /// The stock has sold the units, or they were drawn from a reservation: all tickets are there.
    UnitsTaken,
    /// The stock does not hold them any more: there is no batch.
    UnitsLost,
    /// Refused with `TicketNotFound`, `TicketAlreadyActivated`, `TicketCancelled`, `TicketExpired` (R-OTA-06). Its order is
    /// born in the same record.
    Activate { number: u16 },
    /// Gives up a ticket that nobody has activated. Refused with `TicketNotFound`, `TicketExpired`, and with
    /// `TicketAlreadyActivated`: then its order is to be asked (R-OTA-07).
    Cancel { number: u16 },
    /// Orders of tickets say what has become of them, by the tickets' numbers: in one record, however many they are. What is
    /// so already, and of what is no activated ticket, is passed over.
    Follow(BTreeMap<u16, Became>),
    /// The stock has put units back, or the book of reservations has, so that the batch keeps so many there.
    UnitsReturned { kept: u16 },
    /// The batch ends if its time is over. The timer's command; nothing depends on its punctuality.
    Expire,
}

/// What becomes of an activated ticket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Became {
    /// Nothing of it is left to be used.
    Used,
    /// Cancelled unused: its unit goes back.
    Refunded,
}

impl Became {
    pub(super) const fn state(self) -> TicketState {
        match self {
            Became::Used => TicketState::Used,
            Became::Refunded => TicketState::Refunded,
        }
    }
}

/// What happened. `at` is the decision's `now`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Begun,
    Generated,
    GivenUp,
    TicketChanged {
        number: u16,
        to: TicketState,
        at: Timestamp,
    },
    UnitsReturned {
        kept: u16,
    },
    /// Tickets that nobody has activated have expired.
    Ended {
        at: Timestamp,
    },
}

//! What can be asked of an inventory, and what then happened.

use std::sync::Arc;

use crate::departure::{Allotment, Call, Channel, ClassCapacity, Ride, SeatMap, Stretch};
use crate::hold::{BeginPaying, HoldAt};
use crate::ids::{HoldId, SeatClassCode};
use crate::time::Timestamp;

use super::{Hold, SeatList};

/// What can be asked. No events in answer means that it is already so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Take seats, all or none (R-HOLD-02). Refused with a field, `DepartureNotFound`, `DepartureCancelled`, `BookingClosed`
    /// (also while the sale is stopped), `SeatTaken`, `SoldOut`, `ReservationEnded`; `HoldEpochStale`, `HoldExpired`,
    /// `HoldAlreadyReleased` for a message that comes too late, and `HoldAlreadyConfirmed`.
    PlaceHold(PlaceHold),
    /// A payment is about to be created: the hold outlives it and no longer lapses (R-HOLD-09). Refused with
    /// `DepartureCancelled` and, as every command on a hold, with `HoldNotFound` (never placed here, or over and
    /// forgotten), `HoldEpochStale`, `HoldExpired`, `HoldAlreadyReleased`, `HoldAlreadyConfirmed`.
    BeginPaying(BeginPaying),
    /// Paid: the seats are sold.
    ConfirmHold(HoldAt),
    /// Cancelled before it was paid: the seats go back on sale. A hold that is not known holds nothing, so releasing it
    /// is already so.
    ReleaseHold(HoldAt),
    /// After-sales puts some seats of a confirmed hold back on sale; the hold stays, also without seats.
    FreeSeats(FreeSeats),
    /// Sets the allotments named; the others stay as they are, and the operator's own channel has what is left. Refused with
    /// `BelowUse`, and then nothing changes, if seats in use would have to change hands (R-ADMIN-04).
    SetAllotments(Vec<Allotment>),
    /// Other seats, or no sale for a while (R-ADMIN-04), all of it or nothing. Refused with a field (`vehicle`, `classes`),
    /// `DepartureCancelled`, and `BelowUse` that names what would have no seat.
    Alter(Alteration),
    /// Other times, one call for each stop: booking closes by them. Refused with the field `calls` and `DepartureCancelled`.
    Retime(Vec<Call>),
    /// No new holds and no new payments from now on.
    CancelDeparture,
    /// The holds that are due lapse, at most [`LAPSES_PER_TURN_MAX`](super::LAPSES_PER_TURN_MAX) of them. The timer's
    /// command; nothing depends on its punctuality.
    Expire,
}

/// A higher epoch than that of a live, unconfirmed hold replaces it: the order asks anew only when it has given up
/// what it had. Repeating it with the same epoch and content is already so, also once the hold is paying or confirmed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlaceHold {
    pub hold: HoldId,
    pub epoch: u32,
    pub channel: Channel,
    pub class: SeatClassCode,
    pub stretch: Stretch,
    /// When the party means to travel; `None`: whenever the departure does.
    pub ride: Option<Ride>,
    pub wanted: Wanted,
    pub expires_at: Timestamp,
}

/// Which seats (R-HOLD-06): 1 to [`SEATS_PER_HOLD_MAX`](super::SEATS_PER_HOLD_MAX).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// So many, as close together as there are.
    Auto(u16),
    /// Those with these labels.
    Chosen(Vec<String>),
    /// So many, which this reservation holds. It ends in the same decision, and the hold has no more time than it had
    /// (R-HOLD-07).
    Reserved { reservation: HoldId, seats: u16 },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FreeSeats {
    pub hold: HoldId,
    pub epoch: u32,
    /// Labels of seats of the hold.
    pub seats: Vec<String>,
}

/// What an administrator changes at once. `None` leaves it as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alteration {
    pub seats: Option<Refit>,
    /// Whether new holds are refused. What is held is still paid and sold.
    pub stopped: Option<bool>,
}

/// The seats of the vehicle that runs. Seats that are held or sold stay, with their label and class; partners keep as many as
/// they had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refit {
    pub vehicle: Arc<SeatMap>,
    /// How many of them are sold, class by class; of a class that is not named as many as before. `None`: all.
    pub capacities: Option<Vec<ClassCapacity>>,
}

/// What happened. `at` is the decision's `now`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The departure is born: from here on it, not the schedule, owns its seats.
    Opened,
    HoldPlaced {
        id: HoldId,
        hold: Hold,
        /// Its seats were the best fit of all neighbouring ones: the next choice begins beside them.
        is_best_fit: bool,
    },
    PayingBegun {
        id: HoldId,
        expires_at: Timestamp,
    },
    HoldConfirmed {
        id: HoldId,
    },
    /// `hold` as it was before.
    HoldReleased {
        id: HoldId,
        hold: Hold,
        at: Timestamp,
    },
    /// Its time was over; `hold` as it was before.
    HoldLapsed {
        id: HoldId,
        hold: Hold,
        at: Timestamp,
    },
    SeatsFreed {
        id: HoldId,
        seats: SeatList,
    },
    /// The seats that changed hands, with their new channel.
    SeatsAllotted {
        moves: Vec<(u16, Channel)>,
    },
    /// These are the seats now; who holds seats holds those with the same labels.
    Refitted {
        seat_map: Arc<SeatMap>,
        /// Labels that holds name and that are no longer on board: of seats that were freed.
        retired: Vec<String>,
        /// The seats that are not the operator's own.
        set_aside: Vec<(u16, Channel)>,
    },
    SaleStopped,
    SaleResumed,
    Retimed {
        calls: Vec<Call>,
    },
    DepartureCancelled,
}

impl Event {
    /// Whether no seat is where it was.
    pub fn replaces_seats(&self) -> bool {
        matches!(self, Event::Refitted { .. })
    }

    /// The seats whose occupancy or channel it changes. A refit is about all of them, see [`Event::replaces_seats`].
    pub fn touched_seats(&self) -> impl Iterator<Item = u16> + '_ {
        let (held, moved): (Option<&SeatList>, &[(u16, Channel)]) = match self {
            Event::HoldPlaced { hold, .. } | Event::HoldReleased { hold, .. } | Event::HoldLapsed { hold, .. } => {
                (Some(&hold.takes.seats), &[])
            }
            Event::SeatsFreed { seats, .. } => (Some(seats), &[]),
            Event::SeatsAllotted { moves } => (None, moves),
            Event::Opened
            | Event::PayingBegun { .. }
            | Event::HoldConfirmed { .. }
            | Event::Refitted { .. }
            | Event::SaleStopped
            | Event::SaleResumed
            | Event::Retimed { .. }
            | Event::DepartureCancelled => (None, &[]),
        };
        held.into_iter().flat_map(SeatList::iter).chain(moved.iter().map(|(seat, _)| *seat))
    }
}

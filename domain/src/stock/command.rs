//! What can be asked of a stock, and what then happened.

use jiff::civil::Date;

use crate::departure::Channel;
use crate::hold::{BeginPaying, HoldAt};
use crate::ids::{HoldId, TravellerId};
use crate::row::part;
use crate::time::Timestamp;

use super::{Hold, Limits};

/// What can be asked. No events in answer means that it is already so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Take units, all or none. Refused with a field, of a package with `SoldOut`, of a promotion with `PromotionExhausted`;
    /// `HoldEpochStale`, `HoldExpired`, `HoldAlreadyReleased` for a message that comes too late, and `HoldAlreadyConfirmed`.
    Place(Place),
    /// A payment is about to be created: the hold outlives it and no longer lapses (R-HOLD-09). Refused, as every command on a
    /// hold, with `HoldNotFound` (never placed here, or over and forgotten), `HoldEpochStale`, `HoldExpired`,
    /// `HoldAlreadyReleased`, `HoldAlreadyConfirmed`.
    BeginPaying(BeginPaying),
    /// Paid: the units are sold.
    Confirm(HoldAt),
    /// Cancelled before it was paid. A hold that is not known holds nothing, so releasing it is already so.
    Release(HoldAt),
    /// After-sales puts units of a confirmed hold back.
    Free(Free),
    /// Refused with a field for less than is set aside, and with `BelowUse` for less than is held and sold; then nothing
    /// changes.
    SetLimits(Limits),
    /// Sets the allotments named; the others stay as they are, and the operator's own channel has what is left. Refused with a
    /// field for more than there is, and with `BelowUse` for less than is held and sold; then nothing changes (R-OTA-02).
    SetAllotments(Vec<Allotment>),
    /// The holds that are due lapse, at most [`LAPSES_PER_TURN_MAX`](super::LAPSES_PER_TURN_MAX) of them. The
    /// timer's command; nothing depends on its punctuality.
    Expire,
    /// Confirmed holds that are [settled](super::Stock::settled_until) need no memory any more. Told when the database has all
    /// rows of this stock.
    Forget,
}

/// A higher epoch than that of a live, unconfirmed hold replaces it. Repeating it with the same epoch and content is already so,
/// also once the hold is paying or confirmed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub at: HoldAt,
    /// 1 to [`UNITS_PER_HOLD_MAX`](super::UNITS_PER_HOLD_MAX).
    pub quantity: u32,
    /// Of the visit, where the units are of one.
    pub date: Option<Date>,
    pub channel: Channel,
    /// Whose orders count together. `None`: nobody's.
    pub holder: Option<TravellerId>,
    pub expires_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Free {
    pub at: HoldAt,
    /// How many the hold keeps: so many or more than it has leave it as it is, so that repeating frees nothing twice.
    pub units_left: u32,
    /// The hold as its row has it, if the stock may have forgotten it. Whoever asks has none: the owner finds it.
    pub settled: Option<Box<Hold>>,
}

/// Units set aside for a partner, of whatever date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allotment {
    pub channel: Channel,
    pub quantity: u32,
}

part!(Allotment { 1 channel: Channel, 2 quantity: u32 } => Some(Allotment { channel, quantity }));

/// What happened. `at` is the decision's `now`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The first decision: from here on the stock has rows.
    Opened,
    HoldPlaced {
        id: HoldId,
        hold: Hold,
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
    /// A confirmed hold that was forgotten is in memory again; the sums have it all the time.
    HoldRecalled {
        id: HoldId,
        hold: Hold,
    },
    /// A confirmed hold keeps `left` of its units.
    UnitsFreed {
        id: HoldId,
        left: u32,
    },
    LimitsSet(Limits),
    /// Those that changed.
    UnitsAllotted(Vec<Allotment>),
    /// *Memory*: confirmed holds that expire up to this instant.
    HoldsForgotten {
        until: Timestamp,
    },
}

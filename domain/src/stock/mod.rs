//! The stock of something of which there are so many units: a package, or the uses of a promotion (rule 5, R-OTA-02).
//!
//! The stock's owner is the caller: it decides a command, writes the rows that the events changed, evolves, and wakes at
//! [`Stock::next_deadline`]. What the life of a hold alone decides is [`hold`]'s. Which order wants how many units is the
//! order's; what a package or a promotion is stands in the catalogue, and its limits come from there.
//!
//! A hold that was confirmed long ago is not kept here: what limits need of it is in the sums of `used`, and whoever frees
//! units of it brings its row ([`Free::settled`]).
//!
//! The parts: [`command`] what can be asked and what then happened; `decide` every check; `evolve` the only mutation;
//! `used` the sums; [`rows`] how it all looks in the journal and in the database; `load` the way back.

pub mod command;
mod decide;
mod evolve;
mod load;
pub mod rows;
#[cfg(test)]
mod tests;
mod used;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

pub use crate::hold::{BeginPaying, HoldAt, HoldState};
pub use command::{Allotment, Command, Event, Free, Place};
pub use decide::LAPSES_PER_TURN_MAX;
pub use load::settled_hold;

use crate::departure::Channel;
use crate::hold::{self, Holds, Takes};
use crate::ids::{HoldId, InvalidId, PromotionCode, TemplateId, TravellerId};
use crate::machine::{Machine, Room};
use crate::rejection::{Rejection, ensure};
use crate::row::{Rows, text_fields};
use crate::time::Timestamp;
use used::Used;

/// Most units of one hold: a partner's batch, which is far larger than any order.
pub const UNITS_PER_HOLD_MAX: u32 = 100_000;
/// Most units of a limit or an allotment: sums of them are far from overflow.
pub const LIMIT_MAX: u32 = 1_000_000_000;
/// Most channels with an allotment, as many as a departure has.
pub const ALLOTMENTS_MAX: usize = 255;
/// A confirmed hold is forgotten so long after its `expires_at`. Its order has heard of the confirmation by then, or asks
/// again after a restart. Late money that is still seeking then may count it twice, or be given back beside it.
const SETTLED_AFTER_SECONDS: i64 = 48 * 60 * 60;

/// Of what there is a stock. Text: `package/<template>`, `promotion/<code>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum StockId {
    Package(TemplateId),
    Promotion(PromotionCode),
}

impl fmt::Display for StockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StockId::Package(template) => write!(f, "package/{template}"),
            StockId::Promotion(code) => write!(f, "promotion/{code}"),
        }
    }
}

impl FromStr for StockId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<StockId, InvalidId> {
        match text.split_once('/') {
            Some(("package", template)) => template.parse().map(StockId::Package),
            Some(("promotion", code)) => code.parse().map(StockId::Promotion),
            Some(_) | None => Err(InvalidId("stock id")),
        }
    }
}

text_fields!(StockId: Text);

/// How many units may be held or sold; `None`: as many as anybody wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    pub total: Option<u32>,
    /// Of each date; units without one are of none.
    pub per_date: Option<u32>,
    /// Holds of each holder, whatever their units: an order has one. Lowered it lets nobody go on who has more.
    pub per_holder: Option<u32>,
}

/// What a hold takes of a stock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Units {
    /// As they were placed.
    pub quantity: u32,
    /// Those that after-sales has not put back.
    pub left: u32,
    pub date: Option<Date>,
    pub channel: Channel,
    /// Who counts as one with his other holds. `None`: nobody, as a partner's batch.
    pub holder: Option<TravellerId>,
}

impl Takes for Units {
    fn is_given_back(&self) -> bool {
        self.left == 0
    }
}

/// A live hold with its units.
pub type Hold = hold::Hold<Units>;

/// The units of one package or promotion, and the holds on them.
#[derive(Clone, Debug)]
pub struct Stock {
    id: StockId,
    /// Whether anything was decided: it has rows.
    born: bool,
    terms: Terms,
    used: Used,
    holds: Holds<Units>,
}

/// Who may sell how much.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Terms {
    limits: Limits,
    /// Units set aside, also 0 of them.
    allotments: BTreeMap<Channel, u32>,
}

impl Terms {
    /// Of all partners.
    fn set_aside(&self) -> u64 {
        self.allotments.values().copied().map(u64::from).sum()
    }

    /// Whether nothing is set aside for it.
    fn is_open(&self, channel: &Channel) -> bool {
        !self.allotments.contains_key(channel)
    }

    /// What is set aside is there.
    fn check_set_aside(&self, field: &str) -> Result<(), Rejection> {
        let (set_aside, total) = (self.set_aside(), self.limits.total);
        let fits = total.is_none_or(|total| set_aside <= u64::from(total));
        ensure(fits, field, format_args!("would leave less than the {set_aside} units that are set aside for partners"))
    }
}

/// What is left for each channel, dates aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pools {
    /// What is not set aside. `None`: as many as anybody wants.
    open: Option<u32>,
    set_aside: BTreeMap<Channel, u32>,
    /// Partners without an allotment have a part in what is open.
    open_to_all: bool,
}

impl Pools {
    /// `None`: as many as anybody wants.
    pub fn left(&self, channel: &Channel) -> Option<u32> {
        if let Some(left) = self.set_aside.get(channel) {
            return Some(*left);
        }
        if *channel == Channel::Direct || self.open_to_all { self.open } else { Some(0) }
    }
}

impl Machine for Stock {
    type Command = Command;
    type Event = Event;

    const ROOM: Room = Room::Estimated;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        self.decide(command, now)
    }

    fn apply(&mut self, events: &[Event], version: u64) -> Rows {
        for event in events {
            self.evolve(event);
        }
        self.changed_rows(events, version)
    }

    fn wants_room(&self, events: &[Event]) -> bool {
        !events.iter().all(|event| matches!(event, Event::HoldsForgotten { .. }))
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.holds.next_deadline()
    }

    fn when_due() -> Option<Command> {
        Some(Command::Expire)
    }
}

impl Stock {
    /// A stock that nobody has limited or used yet.
    pub fn unborn(id: StockId) -> Stock {
        Stock { id, born: false, terms: Terms::default(), used: Used::default(), holds: Holds::default() }
    }

    pub fn id(&self) -> &StockId {
        &self.id
    }

    pub fn limits(&self) -> Limits {
        self.terms.limits
    }

    /// Units set aside for partners.
    pub fn allotments(&self) -> impl Iterator<Item = (&Channel, u32)> {
        self.terms.allotments.iter().map(|(channel, quantity)| (channel, *quantity))
    }

    /// Units that are held or sold, of all channels.
    pub fn in_use(&self) -> u64 {
        self.used.total()
    }

    /// Units of a date that are held or sold.
    pub fn in_use_on(&self, date: Date) -> u64 {
        self.used.on(date)
    }

    /// The dates of which units are held or sold.
    pub fn dates(&self) -> impl Iterator<Item = Date> {
        self.used.dates_since(Date::MIN)
    }

    /// Whether a holder has as many as he may.
    pub fn is_full(&self, holder: TravellerId) -> bool {
        self.terms.limits.per_holder.is_some_and(|limit| self.used.by(holder) >= limit)
    }

    /// The holders that have as many as they may.
    pub fn full_holders(&self) -> impl Iterator<Item = TravellerId> {
        let limit = self.terms.limits.per_holder;
        limit.into_iter().flat_map(|limit| self.used.with_at_least(limit))
    }

    /// What is left for whom. Holds that are due count as taken until they are swept.
    pub fn pools(&self) -> Pools {
        self.pools_without(&[])
    }

    /// A hold in memory: held (perhaps due, not yet swept), paying, or confirmed not long ago.
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// All holds in memory, in no particular order.
    pub fn holds(&self) -> impl Iterator<Item = (HoldId, &Hold)> {
        self.holds.iter()
    }

    /// When to decide [`Command::Expire`] next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.holds.next_deadline()
    }

    /// Paying holds past their `expires_at`: an alarm, never a release (R-HOLD-09). Looks at every hold.
    pub fn overdue(&self, now: Timestamp) -> Vec<HoldId> {
        self.holds.overdue(now)
    }

    /// Confirmed holds that expire up to this instant are known by their sums and rows only.
    pub fn settled_until(now: Timestamp) -> Timestamp {
        now.plus_seconds(-SETTLED_AFTER_SECONDS)
    }
}

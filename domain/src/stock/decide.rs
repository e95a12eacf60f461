//! Every check. Nothing here changes anything. Where several refusals apply, the one that stands first in
//! [`Rejection`] is answered, so what is left is looked at before the hold's own past.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::departure::Channel;
use crate::hold::{BeginPaying, HoldAt, HoldState};
use crate::ids::HoldId;
use crate::rejection::{Rejection, Sold, Uses, ensure};
use crate::time::Timestamp;

use super::command::{Allotment, Command, Event, Free, Place};
use super::{ALLOTMENTS_MAX, Hold, LIMIT_MAX, Limits, Pools, Stock, StockId, Terms, UNITS_PER_HOLD_MAX, Units};

/// Most holds that lapse in one turn, so that it stays short and its record small: after a long stop all that were unpaid are
/// due at once. The deadline of the rest is still due.
pub const LAPSES_PER_TURN_MAX: usize = 512;

impl Stock {
    /// What a command leads to at `now`. No events: it is already so.
    pub(super) fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Place(place) => self.place(place, now),
            Command::BeginPaying(begin) => self.begin_paying(begin, now),
            Command::Confirm(at) => self.confirm(*at, now),
            Command::Release(at) => self.release(*at, now),
            Command::Free(free) => self.free(free, now),
            Command::SetLimits(limits) => self.set_limits(*limits, now),
            Command::SetAllotments(allotments) => self.set_allotments(allotments, now),
            Command::Expire => Ok(self.lapses(None, now).collect()),
            Command::Forget => Ok(self.forget(now)),
        }
    }

    fn place(&self, place: &Place, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let Place { at, quantity, date, channel, holder, expires_at } = place;
        let wanted =
            Units { quantity: *quantity, left: *quantity, date: *date, channel: channel.clone(), holder: *holder };
        let is_same = |units: &Units| Units { left: *quantity, ..units.clone() } == wanted;
        let Some(placing) = self.holds.placing(*at, is_same, now)? else { return Ok(Vec::new()) };
        let fits = (1..=UNITS_PER_HOLD_MAX).contains(quantity);
        ensure(fits, "quantity", format_args!("is 1 to {UNITS_PER_HOLD_MAX}"))?;
        let replaced = placing.replaces();
        let due = self.holds.due(now).map(|(_, hold)| hold);
        let going: Vec<&Units> = due.chain(replaced).map(|hold| &hold.takes).collect();
        self.check_room(&wanted, &going)?;
        let life = placing.life(*expires_at)?;

        let released = replaced.map(|hold| Event::HoldReleased { id: at.hold, hold: hold.clone(), at: now });
        let placed = Event::HoldPlaced { id: at.hold, hold: Hold { life, takes: wanted } };
        Ok(self.opening().chain(self.lapses(Some(at.hold), now)).chain(released).chain([placed]).collect())
    }

    /// `going` make way for it.
    fn check_room(&self, wanted: &Units, going: &[&Units]) -> Result<(), Rejection> {
        let of_channel = self.pools_without(going).left(&wanted.channel);
        let of_date = self.terms.limits.per_date.zip(wanted.date).map(|(limit, date)| {
            let leaving = sum(going, |units| units.date == Some(date));
            left(limit, self.used.on(date).saturating_sub(leaving))
        });
        let available = of_channel.into_iter().chain(of_date).min();
        if let Some(available) = available.filter(|available| *available < wanted.quantity) {
            return Err(self.sold_out(wanted.quantity, available));
        }
        if let Some((limit, holder)) = self.terms.limits.per_holder.zip(wanted.holder) {
            let leaving = going.iter().filter(|units| units.holder == Some(holder) && units.left > 0).count();
            if u64::from(self.used.by(holder)).saturating_sub(leaving as u64) >= u64::from(limit) {
                return Err(self.has_enough(wanted.quantity));
            }
        }
        Ok(())
    }

    fn sold_out(&self, wanted: u32, available: u32) -> Rejection {
        let shown = |units: u32| u16::try_from(units).unwrap_or(u16::MAX);
        match &self.id {
            StockId::Package(template) => {
                let of = Sold::Package(template.clone());
                Rejection::SoldOut { of, wanted: shown(wanted), available: shown(available) }
            }
            StockId::Promotion(code) => Rejection::PromotionExhausted { promotion: code.clone(), of: Uses::All },
        }
    }

    /// Nothing is left for this holder.
    fn has_enough(&self, wanted: u32) -> Rejection {
        match &self.id {
            StockId::Package(_) => self.sold_out(wanted, 0),
            StockId::Promotion(code) => {
                Rejection::PromotionExhausted { promotion: code.clone(), of: Uses::OfTraveller }
            }
        }
    }

    fn begin_paying(&self, begin: &BeginPaying, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let begun = self.holds.paying(begin, now)?;
        Ok(begun.map(|expires_at| Event::PayingBegun { id: begin.hold, expires_at }).into_iter().collect())
    }

    fn confirm(&self, at: HoldAt, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let confirmed = self.holds.confirms(at, now)?.then_some(Event::HoldConfirmed { id: at.hold });
        Ok(confirmed.into_iter().collect())
    }

    fn release(&self, at: HoldAt, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let hold = self.holds.releasing(at, now)?;
        let released = hold.map(|hold| Event::HoldReleased { id: at.hold, hold: hold.clone(), at: now });
        Ok(released.into_iter().collect())
    }

    fn free(&self, free: &Free, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let id = free.at.hold;
        // What is in memory knows better than the row.
        let recalled = free.settled.as_ref().filter(|hold| !self.holds.knows(id) && hold.life.epoch == free.at.epoch);
        if recalled.is_none() {
            self.holds.check_confirmed(free.at, now)?;
        }
        let hold = recalled.map(Box::as_ref).or_else(|| self.holds.get(id));
        if hold.is_none_or(|hold| hold.takes.left <= free.units_left) {
            return Ok(Vec::new());
        }

        let recalled = recalled.map(|hold| Event::HoldRecalled { id, hold: hold.as_ref().clone() });
        Ok(recalled.into_iter().chain([Event::UnitsFreed { id, left: free.units_left }]).collect())
    }

    fn set_limits(&self, limits: Limits, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let Limits { total, per_date, per_holder } = limits;
        for (field, limit) in [("limitTotal", total), ("limitPerDate", per_date), ("limitPerTraveller", per_holder)] {
            ensure(limit.is_none_or(|limit| limit <= LIMIT_MAX), field, format_args!("is at most {LIMIT_MAX}"))?;
        }
        if limits == self.terms.limits {
            return Ok(Vec::new());
        }
        let changed = Terms { limits, allotments: self.terms.allotments.clone() };
        changed.check_set_aside("limitTotal")?;
        self.check_use(&changed, now)?;

        Ok(self.opening().chain(self.lapses(None, now)).chain([Event::LimitsSet(limits)]).collect())
    }

    fn set_allotments(&self, allotments: &[Allotment], now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let fits = |holds, message| ensure(holds, "allotments", message);
        let mut named: BTreeMap<Channel, u32> = BTreeMap::new();
        for Allotment { channel, quantity } in allotments {
            fits(*channel != Channel::Direct, "has the operator's own channel, which has what is left")?;
            // A channel is written as text: what does not come back as it was would never wake again.
            let text = channel.to_string();
            let comes_back = !text.contains('\0') && text.parse().as_ref() == Ok(channel);
            fits(comes_back, "has a channel whose name cannot be kept")?;
            fits(*quantity <= LIMIT_MAX, "has more units than a stock can have")?;
            fits(named.insert(channel.clone(), *quantity).is_none(), "has the same channel twice")?;
        }
        named.retain(|channel, quantity| self.terms.allotments.get(channel) != Some(quantity));
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let mut changed = self.terms.clone();
        changed.allotments.extend(named.clone());
        fits(changed.allotments.len() <= ALLOTMENTS_MAX, "has more channels than a stock can have")?;
        changed.check_set_aside("allotments")?;
        self.check_use(&changed, now)?;

        let set = named.into_iter().map(|(channel, quantity)| Allotment { channel, quantity }).collect();
        Ok(self.opening().chain(self.lapses(None, now)).chain([Event::UnitsAllotted(set)]).collect())
    }

    /// What every channel, and every date to come, has in use is within what `changed` would let it have.
    fn check_use(&self, changed: &Terms, now: Timestamp) -> Result<(), Rejection> {
        let due: Vec<&Units> = self.holds.due(now).map(|(_, hold)| &hold.takes).collect();
        for (channel, limit) in &changed.allotments {
            let used = self.used_by(channel, &due);
            if used > u64::from(*limit) {
                return Err(self.below_use(|units| units.channel == *channel, used, now));
            }
        }
        if let Some(total) = changed.limits.total {
            let used = self.used_openly(changed, &due);
            if used + changed.set_aside() > u64::from(total) {
                return Err(self.below_use(|units| changed.is_open(&units.channel), used, now));
            }
        }
        if let Some(limit) = changed.limits.per_date {
            for date in self.used.dates_since(yesterday(now)) {
                let used = self.used.on(date).saturating_sub(sum(&due, |units| units.date == Some(date)));
                if used > u64::from(limit) {
                    return Err(self.below_use(|units| units.date == Some(date), used, now));
                }
            }
        }
        Ok(())
    }

    /// Of the units of which it is so, `used` are in use.
    fn below_use(&self, is_so: impl Fn(&Units) -> bool, used: u64, now: Timestamp) -> Rejection {
        let unsold = self.holds.iter().map(|(_, hold)| hold);
        let unsold = unsold.filter(|hold| hold.life.state != HoldState::Confirmed && !hold.life.is_due(now));
        let held: u64 = unsold.filter(|hold| is_so(&hold.takes)).map(|hold| u64::from(hold.takes.left)).sum();
        Rejection::BelowUse { uses: format!("{held} are held and {} are sold", used.saturating_sub(held)) }
    }

    fn forget(&self, now: Timestamp) -> Vec<Event> {
        let until = Stock::settled_until(now);
        let settled = |hold: &Hold| hold.life.state == HoldState::Confirmed && hold.life.expires_at <= until;
        let forgotten = self.holds.iter().any(|(_, hold)| settled(hold)).then_some(Event::HoldsForgotten { until });
        forgotten.into_iter().collect()
    }

    /// `Opened`, unless the stock is born.
    fn opening(&self) -> impl Iterator<Item = Event> + use<> {
        (!self.born).then_some(Event::Opened).into_iter()
    }

    /// Holds that are due, the earliest first, no more than a turn has; but in any case an earlier one of the hold that is
    /// placed, whose units make way. Those that stay take nothing either.
    fn lapses(&self, placed: Option<HoldId>, now: Timestamp) -> impl Iterator<Item = Event> + '_ {
        let earlier = placed.and_then(|id| Some((id, self.holds.get(id).filter(|hold| hold.life.is_due(now))?)));
        let others = self.holds.due(now).filter(move |(id, _)| Some(*id) != placed).take(LAPSES_PER_TURN_MAX);
        earlier.into_iter().chain(others).map(move |(id, hold)| Event::HoldLapsed { id, hold: hold.clone(), at: now })
    }

    /// What is left for each channel once `going` have made way. What is unlimited is everybody's; of a limited package
    /// partners sell only what is set aside for them (R-OTA-02).
    pub(super) fn pools_without(&self, going: &[&Units]) -> Pools {
        let allotments = self.terms.allotments.iter();
        let set_aside =
            allotments.map(|(channel, limit)| (channel.clone(), left(*limit, self.used_by(channel, going)))).collect();
        let taken = self.used_openly(&self.terms, going) + self.terms.set_aside();
        let open = self.terms.limits.total.map(|total| left(total, taken));
        let open_to_all = open.is_none() || matches!(self.id, StockId::Promotion(_));
        Pools { open, set_aside, open_to_all }
    }

    /// What a channel has in use besides `going`.
    fn used_by(&self, channel: &Channel, going: &[&Units]) -> u64 {
        self.used.of(channel).saturating_sub(sum(going, |units| units.channel == *channel))
    }

    /// What all channels together have in use, besides `going`, for which `terms` set nothing aside.
    fn used_openly(&self, terms: &Terms, going: &[&Units]) -> u64 {
        self.used.channels().filter(|channel| terms.is_open(channel)).map(|channel| self.used_by(channel, going)).sum()
    }
}

/// Dates before it sell nothing any more, in any time zone.
fn yesterday(now: Timestamp) -> Date {
    now.plus_seconds(-24 * 60 * 60).to_jiff().to_zoned(TimeZone::UTC).date()
}

fn left(limit: u32, used: u64) -> u32 {
    u32::try_from(u64::from(limit).saturating_sub(used)).unwrap_or(limit)
}

/// Of the units of which it is so.
fn sum(units: &[&Units], is_so: impl Fn(&Units) -> bool) -> u64 {
    units.iter().filter(|units| is_so(units)).map(|units| u64::from(units.left)).sum()
}

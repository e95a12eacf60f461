//! What is held and sold, in sums: all that limits need of a hold, and all that is kept of one that was confirmed long ago.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::Units;
use crate::departure::Channel;
use crate::ids::{IdMap, TravellerId};

/// See the module's documentation. What has nothing is not there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Used {
    channels: BTreeMap<Channel, u64>,
    dates: BTreeMap<Date, u64>,
    /// Holds, not units.
    holders: IdMap<TravellerId, u32>,
}

impl Used {
    /// The units that a hold takes.
    pub fn add(&mut self, units: &Units) {
        self.add_sum(&units.channel, units.date, u64::from(units.left));
        if let Some(holder) = units.holder.filter(|_| units.left > 0) {
            self.add_holder(holder, 1);
        }
    }

    /// As when it was added: `units` with what it took then.
    pub fn remove(&mut self, units: &Units) {
        take(&mut self.channels, &units.channel, u64::from(units.left));
        if let Some(date) = units.date {
            take(&mut self.dates, &date, u64::from(units.left));
        }
        if let Some(holder) = units.holder.filter(|_| units.left > 0)
            && let Some(holds) = self.holders.get_mut(&holder)
        {
            *holds = holds.saturating_sub(1);
            if *holds == 0 {
                self.holders.remove(&holder);
            }
        }
    }

    pub fn add_sum(&mut self, channel: &Channel, date: Option<Date>, units: u64) {
        if units == 0 {
            return;
        }
        *self.channels.entry(channel.clone()).or_default() += units;
        if let Some(date) = date {
            *self.dates.entry(date).or_default() += units;
        }
    }

    pub fn add_holder(&mut self, holder: TravellerId, holds: u32) {
        *self.holders.entry(holder).or_default() += holds;
    }

    pub fn of(&self, channel: &Channel) -> u64 {
        self.channels.get(channel).copied().unwrap_or(0)
    }

    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.keys()
    }

    pub fn total(&self) -> u64 {
        self.channels.values().sum()
    }

    pub fn on(&self, date: Date) -> u64 {
        self.dates.get(&date).copied().unwrap_or(0)
    }

    /// The dates from one on of which something is in use.
    pub fn dates_since(&self, first: Date) -> impl Iterator<Item = Date> {
        self.dates.range(first..).map(|(date, _)| *date)
    }

    /// Who has so many holds, or more.
    pub fn with_at_least(&self, holds: u32) -> impl Iterator<Item = TravellerId> {
        self.holders.iter().filter(move |(_, his)| **his >= holds).map(|(holder, _)| *holder)
    }

    pub fn by(&self, holder: TravellerId) -> u32 {
        self.holders.get(&holder).copied().unwrap_or(0)
    }
}

fn take<K: Ord>(sums: &mut BTreeMap<K, u64>, key: &K, units: u64) {
    if let Some(sum) = sums.get_mut(key) {
        *sum = sum.saturating_sub(units);
        if *sum == 0 {
            sums.remove(key);
        }
    }
}

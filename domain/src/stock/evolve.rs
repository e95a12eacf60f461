//! The only mutation. It trusts the events and cannot fail; an event that does not fit changes nothing.

use super::command::Event;
use super::{HoldState, Stock};

impl Stock {
    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened => self.born = true,
            Event::HoldPlaced { id, hold } => {
                self.used.add(&hold.takes);
                self.holds.placed(*id, hold.clone());
            }
            Event::PayingBegun { id, expires_at } => self.holds.paying_begun(*id, *expires_at),
            Event::HoldConfirmed { id } => self.holds.confirmed(*id),
            Event::HoldReleased { id, at, .. } | Event::HoldLapsed { id, at, .. } => {
                if let Some(hold) = self.holds.ended(*id, *at) {
                    self.used.remove(&hold.takes);
                }
            }
            Event::HoldRecalled { id, hold } => self.holds.insert(*id, hold.clone()),
            Event::UnitsFreed { id, left } => {
                let Some(units) = self.holds.takes_mut(*id) else { return };
                self.used.remove(units);
                units.left = *left;
                self.used.add(units);
            }
            Event::LimitsSet(limits) => self.terms.limits = *limits,
            Event::UnitsAllotted(allotments) => {
                let allotments = allotments.iter().map(|allotment| (allotment.channel.clone(), allotment.quantity));
                self.terms.allotments.extend(allotments);
            }
            Event::HoldsForgotten { until } => {
                self.holds.forget(|life| life.state == HoldState::Confirmed && life.expires_at <= *until);
            }
        }
    }
}

//! What waits for a person or for WeChat, as its owners say whenever it changes: gauges read it without asking anybody, also
//! while Postgres is away.
//!
//! Complete, because everything that is outstanding has an owner in memory (rule 14), which says so when it starts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use deeptravel_domain::hold::{HoldState, Life};
use deeptravel_domain::ids::{HoldId, IdHash, OrderId};
use deeptravel_domain::inventory::Event;
use deeptravel_domain::order::Order;
use deeptravel_domain::stock;
use deeptravel_domain::time::Timestamp;

use crate::journal::lock;

/// How many things wait, and since when the first one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    pub count: u64,
    pub oldest: Option<Timestamp>,
}

impl Waiting {
    fn add(&mut self, since: Timestamp) {
        self.count += 1;
        self.oldest = Some(self.oldest.map_or(since, |oldest| oldest.min(since)));
    }
}

impl FromIterator<Timestamp> for Waiting {
    fn from_iter<I: IntoIterator<Item = Timestamp>>(since: I) -> Waiting {
        let mut waiting = Waiting::default();
        since.into_iter().for_each(|since| waiting.add(since));
        waiting
    }
}

/// Refunds that are on their way, and those of them that need a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RefundsWaiting {
    pub outstanding: Waiting,
    pub stuck: Waiting,
}

#[derive(Clone, Copy, Debug)]
struct Outstanding {
    due_at: Timestamp,
    is_stuck: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Attention {
    quarantine: Mutex<Waiting>,
    /// Webhooks that have disabled themselves.
    webhooks: AtomicU64,
    /// Of orders that have some.
    refunds: DashMap<OrderId, Box<[Outstanding]>, IdHash>,
    /// The ends of paying holds: they keep their seats past it, so no timer of their owners tells.
    paying: DashMap<HoldId, Timestamp, IdHash>,
}

impl Attention {
    /// Notices in quarantine that nobody has seen to.
    pub fn quarantine(&self) -> Waiting {
        *lock(&self.quarantine)
    }

    pub fn refunds(&self) -> RefundsWaiting {
        let mut waiting = RefundsWaiting::default();
        for refund in self.refunds.iter().flat_map(|refunds| refunds.to_vec()) {
            waiting.outstanding.add(refund.due_at);
            if refund.is_stuck {
                waiting.stuck.add(refund.due_at);
            }
        }
        waiting
    }

    /// Paying holds past their end: an alarm (rule 17).
    pub fn overdue_holds(&self, now: Timestamp) -> Waiting {
        self.paying.iter().map(|expires_at| *expires_at).filter(|expires_at| *expires_at <= now).collect()
    }

    /// Webhooks that have disabled themselves: somebody has to talk to the partner.
    pub fn webhooks_ended(&self) -> u64 {
        self.webhooks.load(Ordering::Relaxed)
    }

    pub(crate) fn set_webhooks(&self, ended: u64) {
        self.webhooks.store(ended, Ordering::Relaxed);
    }

    pub(crate) fn set_quarantine(&self, open: Waiting) {
        *lock(&self.quarantine) = open;
    }

    pub(crate) fn set_refunds(&self, order: &Order) {
        let outstanding = order.refunds().iter().filter(|refund| refund.state.is_outstanding());
        let refunds: Box<[Outstanding]> = outstanding
            .map(|refund| Outstanding { due_at: refund.due_at, is_stuck: refund.state.is_stuck() })
            .collect();
        if refunds.is_empty() {
            self.refunds.remove(&order.id());
        } else {
            self.refunds.insert(order.id(), refunds);
        }
    }

    /// Every hold of an owner that starts.
    pub(crate) fn set_holds<'a>(&self, lives: impl Iterator<Item = (HoldId, &'a Life)>) {
        for (id, life) in lives.filter(|(_, life)| life.state == HoldState::Paying) {
            self.paying.insert(id, life.expires_at);
        }
    }

    pub(crate) fn follow_units(&self, events: &[stock::Event]) {
        for event in events {
            match event {
                stock::Event::PayingBegun { id, expires_at } => drop(self.paying.insert(*id, *expires_at)),
                stock::Event::HoldConfirmed { id } | stock::Event::HoldReleased { id, .. } => {
                    self.paying.remove(id);
                }
                stock::Event::Opened
                | stock::Event::HoldPlaced { .. }
                | stock::Event::HoldLapsed { .. }
                | stock::Event::HoldRecalled { .. }
                | stock::Event::UnitsFreed { .. }
                | stock::Event::LimitsSet(_)
                | stock::Event::UnitsAllotted(_)
                | stock::Event::HoldsForgotten { .. } => {}
            }
        }
    }

    pub(crate) fn follow_holds(&self, events: &[Event]) {
        for event in events {
            match event {
                Event::PayingBegun { id, expires_at } => drop(self.paying.insert(*id, *expires_at)),
                Event::HoldConfirmed { id } | Event::HoldReleased { id, .. } => drop(self.paying.remove(id)),
                Event::Opened
                | Event::HoldPlaced { .. }
                | Event::HoldLapsed { .. }
                | Event::SeatsFreed { .. }
                | Event::SeatsAllotted { .. }
                | Event::Refitted { .. }
                | Event::SaleStopped
                | Event::SaleResumed
                | Event::Retimed { .. }
                | Event::DepartureCancelled => {}
            }
        }
    }
}

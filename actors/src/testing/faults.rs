//! Faults planted in owners' handlers.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard};

use actix::Actor;
use deeptravel_domain::order::{Item, Order};

use crate::ask::{Asker, Question};

/// Where a departure or stock panics or stalls, or who sells its seats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A message has come; nothing is decided yet.
    AtMessage,
    /// The record is appended, the answer not given.
    AfterAppend,
    /// It holds seats for an order that is about to be born in its record.
    BeforeOrder,
    /// The same, when that record is appended and the departure's turn is over.
    AfterOrder,
    /// An order of it is about to be scanned without an actor.
    BeforeScan,
    /// The same, when that record is appended.
    AfterScan,
}

/// Each planted fault strikes once.
#[derive(Debug, Default)]
pub struct Faults {
    planted: Mutex<Planted>,
}

#[derive(Debug, Default)]
struct Planted {
    /// By the owner's id.
    panics: BTreeMap<String, Fault>,
    stalls: BTreeMap<String, (Fault, Receiver<()>)>,
    /// How many more messages a keeper panics over.
    keepers: BTreeMap<&'static str, u32>,
}

impl Faults {
    fn planted(&self) -> MutexGuard<'_, Planted> {
        self.planted.lock().unwrap()
    }

    pub fn plant(&self, owner: &impl Display, fault: Fault) {
        self.planted().panics.insert(owner.to_string(), fault);
    }

    /// The keeper of this key panics over its next messages.
    pub fn plant_key(&self, key: &'static str, times: u32) {
        self.planted().keepers.insert(key, times);
    }

    pub fn strike_key(&self, key: &'static str) {
        let mut planted = self.planted();
        if let Some(left) = planted.keepers.get_mut(key).filter(|left| **left > 0) {
            *left -= 1;
            drop(planted);
            panic!("planted");
        }
    }

    /// The owner does nothing more, and blocks its thread, until the sender is dropped.
    pub fn stall(&self, owner: &impl Display) -> Sender<()> {
        self.stall_at(owner, Fault::AtMessage)
    }

    /// As [`Faults::stall`], at a certain place.
    pub fn stall_at(&self, owner: &impl Display, here: Fault) -> Sender<()> {
        let (sender, receiver) = channel();
        self.planted().stalls.insert(owner.to_string(), (here, receiver));
        sender
    }

    /// Whether a fault has yet to strike.
    pub fn is_planted(&self, owner: &impl Display) -> bool {
        let (planted, owner) = (self.planted(), owner.to_string());
        planted.panics.contains_key(&owner) || planted.stalls.contains_key(&owner)
    }

    /// As [`Faults::strike`], of an order at its first departure. One of packages alone has none, and nothing strikes it.
    pub fn strike_order(&self, order: &Order, here: Fault) {
        if let Some(leg) = order.items().first().and_then(Item::leg) {
            self.strike(&leg.departure, here);
        }
    }

    pub fn strike(&self, owner: &impl Display, here: Fault) {
        let (mut planted, owner) = (self.planted(), owner.to_string());
        if planted.stalls.get(&owner).is_some_and(|(at, _)| *at == here)
            && let Some((_, until)) = planted.stalls.remove(&owner)
        {
            drop(planted);
            until.recv().unwrap_err();
            return;
        }
        let strikes = planted.panics.get(&owner) == Some(&here);
        if strikes {
            planted.panics.remove(&owner);
            drop(planted);
            panic!("planted");
        }
    }
}

/// Whoever is asked this breaks.
#[derive(Debug)]
pub struct Break;

impl<A: Actor> Question<A> for Break {
    type Answer = ();

    fn put(self, _: &mut A, _: Asker<()>, _: &mut A::Context) {
        panic!("planted");
    }
}

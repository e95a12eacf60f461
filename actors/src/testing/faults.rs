//! Faults planted in a departure's handler.

use std::collections::BTreeMap;
use std::sync::Mutex;

use deeptravel_domain::ids::DepartureId;

/// Where a departure panics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A message has come; nothing is decided yet.
    AtMessage,
    /// The record is appended, the answer not given.
    AfterAppend,
}

/// Each planted fault strikes once.
#[derive(Debug, Default)]
pub struct Faults {
    planted: Mutex<BTreeMap<DepartureId, Vec<Fault>>>,
}

impl Faults {
    pub fn plant(&self, departure: &DepartureId, fault: Fault) {
        let mut planted = self.planted.lock().unwrap();
        planted.entry(departure.clone()).or_default().push(fault);
    }

    pub fn strike(&self, departure: &DepartureId, here: Fault) {
        let mut planted = self.planted.lock().unwrap();
        let Some(faults) = planted.get_mut(departure) else { return };
        let Some(at) = faults.iter().position(|fault| *fault == here) else { return };
        faults.remove(at);
        drop(planted);
        panic!("planted");
    }
}

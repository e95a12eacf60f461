//! `mixed`: what a busy day is made of. Searches and departures are looked at, orders are made, looked at and sometimes
//! cancelled, tickets are scanned. Which request is the n-th follows from `n` alone.

use std::borrow::Cow;

use serde::Deserialize;

use super::orders::{AckedOrder, Orders};
use super::scans::{AckedScan, Scans};
use super::search::{self, Search};
use super::unexpected;
use crate::drive::Load;
use crate::http::{Head, RequestBuffer, Target};
use crate::tally::Outcome;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Search,
    DepartureView,
    Order,
    OrderView,
    Scan,
    Cancel,
}

/// Of a hundred requests.
const SHARES: [(Kind, usize); 6] = [
    (Kind::Search, 40),
    (Kind::DepartureView, 20),
    (Kind::Order, 15),
    (Kind::OrderView, 15),
    (Kind::Scan, 8),
    (Kind::Cancel, 2),
];
const HUNDRED: usize = 100;
/// Scans of a hundred requests, for those who prepare tickets.
pub const SCANS_OF_A_HUNDRED: f64 = 8.0;
/// Likewise orders to cancel.
pub const CANCELS_OF_A_HUNDRED: f64 = 2.0;

/// An order of the set-up, with the traveller whose it is.
pub type Prepared = (String, usize);

/// What is remembered for the audit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ack {
    Order(AckedOrder),
    Scan(AckedScan),
    /// The order's id.
    Cancelled(Box<str>),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Mixed {
    parts: Parts,
    schedule: [(Kind, usize); HUNDRED],
}

/// The parts of a [`Mixed`].
#[derive(Debug)]
pub struct Parts {
    pub tokens: Vec<String>,
    pub search: Search,
    pub orders: Orders,
    pub scans: Scans,
    /// Departures that are looked at; not empty.
    pub departures: Vec<String>,
    /// Orders that are looked at; not empty.
    pub seen: Vec<Prepared>,
    /// Orders that are cancelled, each once; then orders are looked at instead.
    pub to_cancel: Vec<Prepared>,
}

impl Mixed {
    pub fn new(parts: Parts) -> Mixed {
        Mixed { parts, schedule: schedule() }
    }

    /// What the n-th request is, and which of its kind.
    fn kind(&self, n: u64) -> (Kind, u64) {
        let (hundred, place) = (n / HUNDRED as u64, (n % HUNDRED as u64) as usize);
        let (kind, rank) = self.schedule.get(place).copied().unwrap_or((Kind::Search, 0));
        let share = SHARES.iter().find(|(of, _)| *of == kind).map_or(1, |(_, share)| *share);
        let which = hundred * share as u64 + rank as u64;
        let is_used_up = match kind {
            Kind::Scan => which >= self.parts.scans.number(),
            Kind::Cancel => which >= self.parts.to_cancel.len() as u64,
            _ => false,
        };
        if is_used_up { (Kind::OrderView, which) } else { (kind, which) }
    }

    fn view(
        &self,
        path: &str,
        of: Option<&Prepared>,
        method: &str,
        target: &Target,
        request: &mut RequestBuffer,
    ) -> bool {
        let token = of.map(|(_, traveller)| self.parts.tokens.get(*traveller).map_or("", String::as_str));
        request.body.clear();
        request.finish(target, &Head { method, path, token, headers: &[] });
        true
    }
}

/// A hundred requests, each kind as evenly spread as its share allows, with its rank among its kind.
fn schedule() -> [(Kind, usize); HUNDRED] {
    let due = |(kind, share): (Kind, usize)| {
        (0..share).map(move |rank| (((2 * rank + 1) * HUNDRED) / (2 * share), kind, rank))
    };
    let mut all: Vec<(usize, Kind, usize)> = SHARES.into_iter().flat_map(due).collect();
    // Stable: of those due at once the more frequent kind comes first.
    all.sort_by_key(|(at, ..)| *at);
    let mut schedule = [(Kind::Search, 0); HUNDRED];
    for (slot, (_, kind, rank)) in schedule.iter_mut().zip(all) {
        *slot = (kind, rank);
    }
    schedule
}

fn of<T>(all: &[T], which: u64) -> Option<&T> {
    all.get((which % all.len().max(1) as u64) as usize)
}

impl Load for Mixed {
    type Ack = Ack;

    fn request(&self, n: u64, target: &Target, request: &mut RequestBuffer) -> bool {
        let (kind, which) = self.kind(n);
        match kind {
            Kind::Search => self.parts.search.request(which, target, request),
            Kind::Order => self.parts.orders.request(which, target, request),
            Kind::Scan => self.parts.scans.request(which, target, request),
            Kind::DepartureView => {
                let Some(departure) = of(&self.parts.departures, which) else { return false };
                self.view(&format!("/departures/{departure}"), None, "GET", target, request)
            }
            Kind::OrderView => {
                let Some(order) = of(&self.parts.seen, which) else { return false };
                self.view(&format!("/orders/{}", order.0), Some(order), "GET", target, request)
            }
            Kind::Cancel => {
                let Some(order) = of(&self.parts.to_cancel, which) else { return false };
                self.view(&format!("/orders/{}/cancel", order.0), Some(order), "POST", target, request)
            }
        }
    }

    fn judge(&self, n: u64, status: u16, body: &[u8], acks: &mut Vec<Ack>) -> Outcome {
        let (kind, which) = self.kind(n);
        match kind {
            Kind::Search => search::judge(which, status, body),
            Kind::DepartureView | Kind::OrderView if status == 200 => Outcome::Accepted,
            Kind::DepartureView | Kind::OrderView => unexpected(status, body),
            Kind::Order => {
                let mut own = Vec::new();
                let outcome = self.parts.orders.judge(which, status, body, &mut own);
                acks.extend(own.into_iter().map(Ack::Order));
                outcome
            }
            Kind::Scan => {
                let mut own = Vec::new();
                let outcome = self.parts.scans.judge(which, status, body, &mut own);
                acks.extend(own.into_iter().map(Ack::Scan));
                outcome
            }
            Kind::Cancel => self.cancelled(which, status, body, acks),
        }
    }
}

impl Mixed {
    fn cancelled(&self, which: u64, status: u16, body: &[u8], acks: &mut Vec<Ack>) -> Outcome {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            status: Cow<'a, str>,
        }
        if status != 200 {
            return unexpected(status, body);
        }
        let is_cancelled = serde_json::from_slice::<Answer<'_>>(body).is_ok_and(|answer| answer.status == "cancelled");
        match of(&self.parts.to_cancel, which) {
            Some((order, _)) if is_cancelled => {
                acks.push(Ack::Cancelled(order.as_str().into()));
                Outcome::Accepted
            }
            _ => Outcome::Failed("200 of a cancel that did not cancel".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::scans::Place;
    use crate::scenario::setup::{Departure, Gate, PaidTicket};

    fn mixed() -> Mixed {
        let departure = Departure { id: "d".into(), seat_class: "standard".into(), available: 1_000, departs_at: None };
        let tickets = (0..16).map(|n| PaidTicket { ticket: format!("o-{n}"), traveller: 0, code: format!("c{n}") });
        let gate = Gate { session: "s".into(), device_secret: "x".into() };
        let tokens = vec!["t0".to_owned()];
        Mixed::new(Parts {
            orders: Orders::new(tokens.clone(), &[vec![departure]]),
            scans: Scans::new(Place::Gates, "op".into(), vec![gate], tickets.collect()),
            tokens,
            search: Search::between("A", "B"),
            departures: vec!["d".into()],
            seen: vec![("seen".into(), 0)],
            to_cancel: (0..3).map(|n| (format!("cancel{n}"), 0)).collect(),
        })
    }

    #[test]
    fn a_hundred_requests_have_the_shares_and_every_one_is_another() {
        let mixed = mixed();
        for (kind, share) in SHARES {
            let mut which: Vec<u64> =
                (0..100).map(|n| mixed.kind(n)).filter(|(of, _)| *of == kind).map(|(_, which)| which).collect();
            which.sort_unstable();
            assert_eq!(which, (0..share as u64).collect::<Vec<_>>(), "{kind:?}");
        }
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<usize>(), HUNDRED);
    }

    #[test]
    fn each_prepared_order_is_cancelled_once_and_then_orders_are_looked_at() {
        let mixed = mixed();
        let cancels = (0..1_000).filter(|n| mixed.kind(*n).0 == Kind::Cancel).count();
        let scans = (0..1_000).filter(|n| mixed.kind(*n).0 == Kind::Scan).count();
        assert_eq!((cancels, scans as u64), (3, mixed.parts.scans.number()));
    }

    #[test]
    fn a_cancel_counts_only_when_the_order_is_cancelled() {
        let mixed = mixed();
        let n = (0..100).find(|n| mixed.kind(*n).0 == Kind::Cancel).unwrap();
        let mut acks = Vec::new();
        assert!(matches!(mixed.judge(n, 200, br#"{"status":"pending"}"#, &mut acks), Outcome::Failed(_)));
        assert!(acks.is_empty());
        assert_eq!(mixed.judge(n, 200, br#"{"orderId":"x","status":"cancelled"}"#, &mut acks), Outcome::Accepted);
        assert_eq!(acks, [Ack::Cancelled("cancel0".into())]);
    }
}

//! An order that nobody asks for becomes dormant: it has no actor, and the whole of its state stays in the registry, packed
//! (rule 6). It needs no projection for that, so an outage of Postgres costs little memory. Once it has been projected
//! and nobody wants it soon, it leaves memory.
//!
//! Packed it never leaves the process, so the encoding is of no concern to anybody else and need not be able to evolve.
//! Tickets of a large party repeat each other; the compression finds that. In a small order there is nothing to find.

use std::cell::RefCell;
use std::sync::Arc;

use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::{Order, OrderStatus};
use deeptravel_domain::packing;
use deeptravel_domain::ticket::{Right, TicketStatus};
use deeptravel_domain::time::Timestamp;
use lz4_flex::block::{CompressTable, compress_into_with_table, decompress, get_maximum_output_size};
use serde::{Deserialize, Serialize};

use super::{DeskCount, OrderActor, Peers, Seed};
use crate::journal::Position;
use crate::log::KeyLog;
use crate::registry::birth::BORN;
use crate::registry::{Look, Rest, Woken};

/// An order that has something to do within this time does not rest before: packing costs more than waiting. Tests want to
/// see the change from one to the other as often as possible.
const SOON_MS: i64 = if cfg!(test) { 5 } else { 200 };
/// Who has woken an order asks within this time; if nobody does, it rests again.
pub(super) const AWAKE_MS: i64 = if cfg!(test) { 5 } else { 200 };
/// Orders of so many bytes are compressed: those of some passengers.
const COMPRESSED_FROM_BYTES: usize = 512;
/// A settled order that nobody has asked for since is not kept in memory for nothing.
pub(super) const IDLE_SECONDS: i64 = 10 * 60;
/// An order with a ticket for a departure within this time is loaded at the start and stays in memory (rules 6 and 14).
pub const WARM_SECONDS: i64 = 24 * 60 * 60;

/// What an order's owner knows besides the order, and what can be read without unpacking that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Rested {
    pub version: u64,
    pub last: Position,
    pub asked_at: Timestamp,
    /// Nothing is to be done any more: it may leave memory.
    settled: bool,
    /// Bytes of the order before compression; `None`: it is not compressed.
    order_bytes: Option<usize>,
}

impl Rested {
    pub fn of(order: &Order, log: &KeyLog, asked_at: Timestamp) -> Rested {
        Rested::at(order, log.version(), log.last(), asked_at)
    }

    fn at(order: &Order, version: u64, last: Position, asked_at: Timestamp) -> Rested {
        Rested { version, last, asked_at, settled: order.next_deadline().is_none(), order_bytes: None }
    }
}

impl OrderActor {
    /// Whether nothing is under way or about to be.
    pub(super) fn may_rest(&self, now: Timestamp) -> bool {
        let at_work = self.stays
            || self.outstanding > 0
            || self.kept.vitals.has_failed()
            || self.under_way.is_any()
            || self.making.is_some()
            || self.desk == DeskCount::Telling
            || self.is_waited_for()
            || !self.order().is_placed()
            || self.order().effects().next().is_some();
        !at_work && self.order().next_deadline().map_or(self.order().is_settled(), |deadline| !is_soon(deadline, now))
    }

    pub(super) fn pack(&self) -> Option<Rest> {
        pack(self.order(), Rested::of(self.order(), &self.kept.log, self.asked_at))
    }
}

fn is_soon(deadline: Timestamp, now: Timestamp) -> bool {
    deadline < now.plus_ms(SOON_MS)
}

/// An order that was born just now, in a record of this position: there is nothing to do for it until its deadline, or at
/// all if a partner has sold it.
pub fn newborn(order: Arc<Order>, position: Position, now: Timestamp) -> Woken<OrderActor> {
    let rested = Rested::at(&order, BORN, position, now);
    let rests = order.next_deadline().map_or(order.is_settled(), |deadline| !is_soon(deadline, now));
    match rests.then(|| pack(&order, rested)).flatten() {
        Some(rest) => Woken::Dormant(rest),
        None => Woken::Awake(Seed { order, version: BORN, making: None, rested: Some(rested) }),
    }
}

/// An order as the registry keeps it. `None`: it cannot be packed, which is a fault.
pub(super) fn pack(order: &Order, rested: Rested) -> Option<Rest> {
    let due = order.next_deadline().unwrap_or_else(|| rested.asked_at.plus_seconds(IDLE_SECONDS));
    let packed = packing::for_order(order.id(), || SCRATCH.with_borrow_mut(|scratch| scratch.pack(rested, order)))?;
    Some(Rest { due, packed })
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Room to pack in, used again by every order of a thread.
#[derive(Default)]
struct Scratch {
    order: Vec<u8>,
    packed: Vec<u8>,
    table: CompressTable,
}

impl Scratch {
    fn pack(&mut self, rested: Rested, order: &Order) -> Option<Box<[u8]>> {
        self.order.clear();
        self.order = postcard::to_extend(order, std::mem::take(&mut self.order)).ok()?;
        let is_large = self.order.len() >= COMPRESSED_FROM_BYTES;
        let rested = Rested { order_bytes: is_large.then_some(self.order.len()), ..rested };
        self.packed.clear();
        self.packed = postcard::to_extend(&rested, std::mem::take(&mut self.packed)).ok()?;
        if !is_large {
            self.packed.extend_from_slice(&self.order);
            return Some(Box::from(&*self.packed));
        }
        let head = self.packed.len();
        self.packed.resize(head + get_maximum_output_size(self.order.len()), 0);
        let (_, body) = self.packed.split_at_mut(head);
        let bytes = compress_into_with_table(&self.order, body, &mut self.table).ok()?;
        self.packed.get(..head + bytes).map(Box::from)
    }
}

/// The way back.
pub(super) fn unpack(id: OrderId, packed: &[u8]) -> Option<Seed> {
    packing::for_order(id, || {
        let (rested, order) = postcard::take_from_bytes::<Rested>(packed).ok()?;
        let order = Arc::new(order_of(rested, order)?);
        Some(Seed { order, version: rested.version, making: None, rested: Some(rested) })
    })
}

fn order_of(rested: Rested, packed: &[u8]) -> Option<Order> {
    match rested.order_bytes {
        Some(bytes) => postcard::from_bytes(&decompress(packed, bytes).ok()?).ok(),
        None => postcard::from_bytes(packed).ok(),
    }
}

/// What becomes of a dormant order whose time has come.
pub(super) fn look(peers: &Peers, id: OrderId, packed: &[u8], now: Timestamp) -> Look {
    packing::for_order(id, || {
        let Ok((rested, order)) = postcard::take_from_bytes::<Rested>(packed) else { return Look::Act };
        if !rested.settled {
            return Look::Act;
        }
        let later = Look::Stay(now.plus_seconds(IDLE_SECONDS));
        if rested.last > *peers.projected.borrow() {
            return later;
        }
        let crowded = peers.orders.dormant().bytes() > peers.sales.warm_bytes_max;
        match order_of(rested, order) {
            Some(order) if is_warm(&order, now) && !crowded => later,
            Some(_) => Look::Sleep,
            None => Look::Act,
        }
    })
}

/// Whether somebody will want it soon.
pub(super) fn is_warm(order: &Order, now: Timestamp) -> bool {
    order.status() == OrderStatus::Paid
        && order.tickets().iter().any(|ticket| {
            let soon = match &ticket.right {
                Right::Journey(journey) => journey.departs_at < now.plus_seconds(WARM_SECONDS),
                Right::Entitlement(entitlement) => entitlement.valid_from < now.plus_seconds(WARM_SECONDS),
            };
            ticket.status == TicketStatus::Usable && now < ticket.entitlement().valid_until && soon
        })
}

//! What a desk keeps: which orders are being made, which keys have made one, and who holds unpaid seats, with an order or a
//! reservation.

use std::collections::hash_map::Entry as Slot;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use deeptravel_domain::ids::{HoldId, IdMap, OrderId, TravellerId};
use deeptravel_domain::order::{Buyer, Draft, ItemWish, Order, OrderStatus, Wish};
use deeptravel_domain::promotion::Promotion;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::reservation::{Reservation, ReservationId, ReservationWish};
use deeptravel_domain::row::Damage;
use deeptravel_domain::time::Timestamp;

use super::keys::{Known, MadeKeys, Mark};
use super::reservations::{Entry, Reservations, Stage};
use super::reserving::{Flight, Released, Reserved, Seated, reserved};
use super::{
    DeskEntryRow, DeskReservationRow, Forget, Made, Making, PROMISED_MAX, Placed, RESERVING_MAX, Seed, placed,
};
use crate::ask::Asker;
use crate::journal::Position;
use crate::log::admit_sale;
use crate::order::{OrderActor, Peers, Placing};
use crate::outage::{Answer, Outage, Reply};
use crate::registry::birth::Birth;
use crate::registry::cell::InCell;
use crate::services::Wished;

/// See the module's documentation.
pub struct Book {
    peers: Arc<Peers>,
    promised: IdMap<Mark, Promised>,
    made: MadeKeys,
    /// Orders that hold unpaid seats: few of each traveller, as the limit is low.
    unpaid: IdMap<TravellerId, Vec<OrderId>>,
    reserved: Reservations,
    /// Reservations of which it is not known how they stand, for the actor to ask.
    unsure: Vec<Arc<Reservation>>,
}

/// An order that is being made, and who waits for it besides the first.
struct Promised {
    body_hash: [u8; 32],
    order: OrderId,
    /// Reservations that it adopts.
    adopts: Box<[HoldId]>,
    waiting: Vec<Asker<Placed>>,
}

/// An order that is to be made now.
pub(super) struct Promise {
    draft: Draft,
    making: Making,
    birth: Birth<OrderActor>,
}

impl Promise {
    /// Outside of the desk's turn: the departure's comes next. A fault in there is the order's; whoever asked is told.
    pub fn keep(self, peers: &Arc<Peers>) {
        let Promise { draft, making, birth } = self;
        let _ = catch_unwind(AssertUnwindSafe(|| Placing::begin(peers, draft, making, birth)));
    }
}

/// It writes no records and has no timer.
impl InCell for Book {
    fn has_failed(&self) -> bool {
        false
    }

    fn calls_actor(&self) -> bool {
        !self.unsure.is_empty()
    }
}

impl Book {
    pub(super) fn read(peers: Arc<Peers>, seed: Seed) -> Result<Book, Damage> {
        let now = peers.clock.now();
        let mut book = Book {
            peers,
            promised: IdMap::default(),
            made: MadeKeys::default(),
            unpaid: IdMap::default(),
            reserved: Reservations::default(),
            unsure: Vec::new(),
        };
        for row in seed.entries.of::<DeskReservationRow<'_>>() {
            let entry = Entry::read(&row?)?;
            if entry.reservation.expires_at > now {
                book.reserved.add(entry, now);
            }
        }
        for reservation in seed.reserving {
            if book.reserved.get_mut(reservation.traveller, reservation.id.hold()).is_none() {
                book.unsure.push(Arc::clone(&reservation));
                book.reserved.add(Entry { reservation, stage: Stage::unsure() }, now);
            }
        }
        let mut entries: Vec<DeskEntryRow<'_>> = seed.entries.of().collect::<Result<_, Damage>>()?;
        entries.sort_by_key(|entry| entry.order_id.0);
        for entry in &entries {
            let mark = book.made.mark(entry.traveller_id.0, entry.idempotency_key);
            book.made.insert(mark, &entry.body_hash, entry.order_id.0);
            if entry.status == OrderStatus::Pending {
                book.note_unpaid(entry.traveller_id.0, entry.order_id.0);
            }
        }
        for (order, wished) in seed.in_flight {
            if entries.binary_search_by_key(&order, |entry| entry.order_id.0).is_err() {
                let mark = book.made.mark(wished.traveller, &wished.idempotency_key);
                book.promise(mark, wished.body_hash, order, wished.adopts);
            }
        }
        Ok(book)
    }

    /// Orders that are being made.
    pub fn promised(&self) -> Vec<(Mark, OrderId)> {
        self.promised.iter().map(|(mark, promised)| (*mark, promised.order)).collect()
    }

    /// What is to be made for the wish; `None` if whoever asks is answered, or will be with the first who did.
    pub(super) fn place(&mut self, wish: Wish, asker: Asker<Placed>) -> Option<Promise> {
        let now = self.peers.clock.now();
        self.made.sweep(now);
        let mark = self.made.mark(wish.traveller, &wish.idempotency_key);
        let refused = |rejection| Ok(Reply::rejected(rejection, self.peers.journal.appended()));
        if let Some(promised) = self.promised.get_mut(&mark) {
            if promised.body_hash == wish.body_hash {
                promised.waiting.push(asker);
            } else {
                asker.answer(refused(Rejection::IdempotencyMismatch));
            }
            return None;
        }
        let answer = match self.made.get(mark, &wish.body_hash, now) {
            Some(Known { same_request: false, .. }) => refused(Rejection::IdempotencyMismatch),
            // Of what it rests on the order knows more.
            Some(Known { order, .. }) => {
                Ok(Reply::ok(Placed::Known { order, wish: Box::new(wish) }, Position::NOTHING))
            }
            None => match self.draft(wish, now) {
                Ok(Ok(draft)) => return self.promise_now(mark, draft, asker),
                Ok(Err(rejection)) => refused(rejection),
                Err(outage) => Err(outage),
            },
        };
        asker.answer(answer);
        None
    }

    /// From here on the order is known: whoever asks for it waits, and a desk that is rebuilt meanwhile reads of it.
    fn promise_now(&mut self, mark: Mark, draft: Draft, asker: Asker<Placed>) -> Option<Promise> {
        let order = draft.id;
        let Some(birth) = self.peers.orders.expect_birth(&order) else {
            tracing::error!(order.id = %order, "Order id {order} has been given out twice");
            return None;
        };
        let Buyer::Traveller { id: traveller, ref idempotency_key, body_hash } = draft.buyer else {
            tracing::error!(order.id = %order, "Order {order} is a partner's, and a desk was asked for it");
            return None;
        };
        let adopts: Box<[HoldId]> = draft.adopts().collect();
        self.promise(mark, body_hash, order, adopts.clone());
        let wished = Wished { traveller, idempotency_key: idempotency_key.clone(), body_hash, adopts };
        self.peers.in_flight.insert(order, wished);
        let making = Making { peers: Arc::clone(&self.peers), order, asker: Some(asker), mark: Some(mark) };
        Some(Promise { draft, making, birth })
    }

    /// An outage: no new sale begins now, the journal's space being rationed (rule 11), or its disk behind.
    fn draft(&self, wish: Wish, now: Timestamp) -> Result<Result<Draft, Rejection>, Outage> {
        if self.promised.len() >= PROMISED_MAX {
            return Err(Outage::Overloaded);
        }
        admit_sale(&self.peers.journal)?;
        let traveller = wish.traveller;
        let reserved = |id: &ReservationId| self.reserved.adoptable(traveller, id, now);
        let adopted = wish.items.iter().filter(|item| match item {
            ItemWish::Reservation(id) => reserved(id).is_ok(),
            ItemWish::Journey(_) | ItemWish::Package(_) => false,
        });
        if let Err(limit) = self.within_limit(traveller, adopted.count(), now) {
            return Ok(Err(limit));
        }
        let id = self.peers.new_order_id(traveller);
        let catalogue = self.peers.catalogue.load();
        let channel = wish.channel.clone();
        let used_up = |promotion: &Promotion| self.peers.stock_board.used_up(promotion, traveller, &channel);
        Ok(wish.draft(&catalogue, reserved, used_up, id, now, self.peers.sales.sale()))
    }

    /// Whether a traveller may hold seats once more (R-HOLD-08), when so many of his reservations end with it.
    fn within_limit(&self, traveller: TravellerId, adopted: usize, now: Timestamp) -> Result<(), Rejection> {
        let limit = self.peers.sales.live_holds_max;
        let reserved = if self.reserved.is_empty() { 0 } else { self.reserved.live(traveller, now) };
        let locks = self.unpaid.get(&traveller).map_or(0, Vec::len) + reserved;
        if locks.saturating_sub(adopted) < limit as usize { Ok(()) } else { Err(Rejection::LockLimit { limit }) }
    }

    fn promise(&mut self, mark: Mark, body_hash: [u8; 32], order: OrderId, adopts: Box<[HoldId]>) {
        for hold in &adopts {
            if let Some(entry) = self.reserved.get_mut(mark.traveller, *hold)
                && let Stage::Asked { .. } | Stage::Held(_) = entry.stage
            {
                entry.stage = Stage::Adopting(order);
            }
        }
        self.promised.insert(mark, Promised { body_hash, order, adopts, waiting: Vec::new() });
        self.note_unpaid(mark.traveller, order);
    }

    /// What has become of a promise. Whether there was one: a desk that was rebuilt may have none any more.
    pub(super) fn placed(&mut self, Made { mark, order, answer }: Made) -> bool {
        let Slot::Occupied(promised) = self.promised.entry(mark) else { return false };
        if promised.get().order != order {
            return false;
        }
        let Promised { body_hash, adopts, waiting, .. } = promised.remove();
        for hold in &adopts {
            self.adoption_over(mark.traveller, *hold, order, &answer);
        }
        match answer {
            // Refusals are not remembered: the same key may try again.
            Ok(Reply { outcome: Err(_), .. }) => self.settled(mark.traveller, order),
            // After an outage it may have been placed: whoever asks again looks, and so does the desk.
            Ok(Reply { outcome: Ok(_), .. }) | Err(_) => self.made.insert(mark, &body_hash, order),
        }
        for asker in waiting {
            asker.answer(placed(&answer, false));
        }
        true
    }

    /// What an order says that may have been made; `None`: there is no such order. Whether to look again: a promise was
    /// all that told of it.
    pub(super) fn looked(&mut self, mark: Mark, id: OrderId, answer: Option<Reply<Arc<Order>>>) -> bool {
        let order = answer.as_ref().and_then(|reply| reply.outcome.as_ref().ok());
        let made = order.is_some();
        if order.is_none_or(|order| order.status() != OrderStatus::Pending) {
            self.settled(mark.traveller, id);
        }
        let answer = answer.ok_or(Outage::Rebuilding);
        let is_nowhere = answer.is_err();
        let was_promised = self.placed(Made { mark, order: id, answer });
        if !was_promised && !made {
            self.made.remove(mark, id);
        }
        was_promised && is_nowhere
    }

    /// An order holds unpaid seats no longer.
    pub(super) fn settled(&mut self, traveller: TravellerId, order: OrderId) {
        let Slot::Occupied(mut orders) = self.unpaid.entry(traveller) else { return };
        orders.get_mut().retain(|unpaid| *unpaid != order);
        if orders.get().is_empty() {
            orders.remove();
        }
    }

    /// An order that is remembered does not exist.
    pub(super) fn forget(&mut self, Forget { traveller, idempotency_key, order }: &Forget) {
        let mark = self.made.mark(*traveller, idempotency_key);
        if self.made.remove(mark, *order) {
            self.settled(*traveller, *order);
        }
    }

    /// A traveller's orders of the last 48 hours, newest first.
    pub(super) fn recent(&self, traveller: TravellerId) -> Vec<OrderId> {
        self.made.recent(traveller, self.peers.clock.now())
    }

    /// An order has been made of a reservation, or not: then its departure is asked how it stands.
    fn adoption_over(&mut self, traveller: TravellerId, hold: HoldId, order: OrderId, answer: &Answer<Arc<Order>>) {
        let Some(entry) = self.reserved.get_mut(traveller, hold) else { return };
        if !matches!(entry.stage, Stage::Adopting(by) if by == order) {
            return;
        }
        if let Ok(Reply { outcome: Ok(_), .. }) = answer {
            entry.stage = Stage::Ended;
        } else {
            entry.stage = Stage::unsure();
            self.unsure.push(Arc::clone(&entry.reservation));
        }
    }

    /// The reservation that is to be asked for now; `None` if whoever asks is answered, or will be with the first who did.
    /// As long as its time is not over, its key names it (R-HOLD-05).
    pub(super) fn reserve(&mut self, wish: ReservationWish, asker: Asker<Reserved>) -> Option<Flight> {
        let now = self.peers.clock.now();
        let position = self.peers.journal.appended();
        let answer = match self.reserved.of_key(wish.traveller, &wish.idempotency_key, now) {
            Some(entry) if entry.reservation.body_hash != wish.body_hash => {
                Ok(Reply::rejected(Rejection::IdempotencyMismatch, position))
            }
            Some(entry) => match &mut entry.stage {
                Stage::Asked { waiting, .. } => {
                    waiting.push(asker);
                    return None;
                }
                Stage::Held(seats) => reserved(&entry.reservation, Ok(Reply::ok(Arc::clone(seats), position)), false),
                Stage::Adopting(_) | Stage::Ended => Ok(Reply::rejected(Rejection::ReservationEnded, position)),
            },
            None => match self.reservation(wish, now) {
                Ok(Ok(reservation)) => {
                    let reservation = Arc::new(reservation);
                    let flight = Flight::new(&self.peers, &reservation, Some(asker));
                    let stage = Stage::Asked { waiting: Vec::new(), is_new: true };
                    self.reserved.add(Entry { reservation, stage }, now);
                    return Some(flight);
                }
                Ok(Err(rejection)) => Ok(Reply::rejected(rejection, position)),
                Err(outage) => Err(outage),
            },
        };
        asker.answer(answer);
        None
    }

    /// Refused, and put off, as [`Book::draft`] is.
    fn reservation(&self, wish: ReservationWish, now: Timestamp) -> Result<Result<Reservation, Rejection>, Outage> {
        if self.peers.reserving.len() >= RESERVING_MAX {
            return Err(Outage::Overloaded);
        }
        admit_sale(&self.peers.journal)?;
        let traveller = wish.traveller;
        if let Err(limit) = self.within_limit(traveller, 0, now) {
            return Ok(Err(limit));
        }
        let id = |departure| self.peers.new_reservation_id(traveller, departure);
        Ok(wish.reserve(&self.peers.catalogue.load(), id, now, self.peers.sales.lock_seconds))
    }

    /// What a departure says of a reservation; it is returned if the departure is to be asked again, later.
    pub(super) fn seated(&mut self, Seated { reservation, answer }: Seated) -> Option<Arc<Reservation>> {
        let (traveller, hold) = (reservation.traveller, reservation.id.hold());
        let entry = self.reserved.get_mut(traveller, hold)?;
        // Otherwise more is known by now.
        let Stage::Asked { waiting, is_new } = &mut entry.stage else { return None };
        for asker in waiting.drain(..) {
            asker.answer(reserved(&reservation, answer.clone(), false));
        }
        let is_new = std::mem::take(is_new);
        match answer {
            Ok(Reply { outcome: Ok(seats), .. }) => entry.stage = Stage::Held(seats),
            Ok(Reply { outcome: Err(Rejection::HoldAlreadyReleased), .. }) => entry.stage = Stage::Ended,
            // Refusals are not remembered: the same key may try again. Of one that was held its time is over.
            Ok(Reply { outcome: Err(_), .. }) => self.reserved.remove(traveller, hold),
            // Found before anything was written.
            Err(Outage::Overloaded | Outage::JournalFull | Outage::SetAside) if is_new => {
                self.reserved.remove(traveller, hold);
            }
            Err(_) if self.peers.clock.now() >= reservation.expires_at => self.reserved.remove(traveller, hold),
            Err(_) => return Some(reservation),
        }
        None
    }

    /// A reservation was released, or may have been.
    pub(super) fn released(&mut self, Released { traveller, hold, is_certain }: Released) {
        let Some(entry) = self.reserved.get_mut(traveller, hold) else { return };
        if is_certain {
            entry.stage = Stage::Ended;
        } else if let Stage::Held(_) = entry.stage {
            entry.stage = Stage::unsure();
            self.unsure.push(Arc::clone(&entry.reservation));
        }
    }

    pub(super) fn reservations_to_look_at(&mut self) -> Vec<Arc<Reservation>> {
        std::mem::take(&mut self.unsure)
    }

    fn note_unpaid(&mut self, traveller: TravellerId, order: OrderId) {
        self.unpaid.entry(traveller).or_default().push(order);
    }
}

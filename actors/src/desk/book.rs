//! What a desk keeps: which orders are being made, which keys have made one, and who holds unpaid seats.

use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use deeptravel_domain::ids::{IdMap, OrderId, TravellerId};
use deeptravel_domain::order::{Draft, Order, OrderStatus, Wish};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::Damage;
use deeptravel_domain::time::Timestamp;

use super::keys::{Known, MadeKeys, Mark};
use super::{DeskEntryRow, Forget, Made, Making, PROMISED_MAX, Placed, Seed, placed};
use crate::ask::Asker;
use crate::journal::Position;
use crate::log::admit_sale;
use crate::order::{OrderActor, Peers, Placing};
use crate::outage::{Outage, Reply};
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
}

/// An order that is being made, and who waits for it besides the first.
struct Promised {
    body_hash: [u8; 32],
    order: OrderId,
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
        false
    }
}

impl Book {
    pub(super) fn read(peers: Arc<Peers>, seed: Seed) -> Result<Book, Damage> {
        let (promised, made, unpaid) = (IdMap::default(), MadeKeys::default(), IdMap::default());
        let mut book = Book { peers, promised, made, unpaid };
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
                book.promise(mark, wished.body_hash, order);
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
        let Draft { traveller, body_hash, .. } = draft;
        self.promise(mark, body_hash, order);
        let wished = Wished { traveller, idempotency_key: draft.idempotency_key.clone(), body_hash };
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
        let limit = self.peers.sales.live_holds_max;
        if self.unpaid.get(&wish.traveller).map_or(0, Vec::len) >= limit as usize {
            return Ok(Err(Rejection::LockLimit { limit }));
        }
        let id = self.peers.new_order_id(wish.traveller);
        let catalogue = self.peers.catalogue.load();
        Ok(wish.draft(&catalogue, id, now, self.peers.sales.sale()))
    }

    fn promise(&mut self, mark: Mark, body_hash: [u8; 32], order: OrderId) {
        self.promised.insert(mark, Promised { body_hash, order, waiting: Vec::new() });
        self.note_unpaid(mark.traveller, order);
    }

    /// What has become of a promise. Whether there was one: a desk that was rebuilt may have none any more.
    pub(super) fn placed(&mut self, Made { mark, order, answer }: Made) -> bool {
        let Entry::Occupied(promised) = self.promised.entry(mark) else { return false };
        if promised.get().order != order {
            return false;
        }
        let Promised { body_hash, waiting, .. } = promised.remove();
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
        let Entry::Occupied(mut orders) = self.unpaid.entry(traveller) else { return };
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

    fn note_unpaid(&mut self, traveller: TravellerId, order: OrderId) {
        self.unpaid.entry(traveller).or_default().push(order);
    }
}

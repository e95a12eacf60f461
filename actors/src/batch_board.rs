//! Where the tickets of every batch stand, for readers on any thread: written by the batches' owners after every change,
//! read by gates, and by whoever asks on behalf of a partner, without a message and without Postgres. Partners list their
//! tickets from it: a page of a hundred thousand is found by looking at as many bytes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use dashmap::DashMap;
use deeptravel_domain::batch::{Batch, BatchId, BatchState, Event, OwnId, Plan, TicketState};
use deeptravel_domain::ids::{IdHash, OrderId, PartnerCode};
use deeptravel_domain::rejection::ScanRejection;
use deeptravel_domain::time::Timestamp;

use crate::journal::Position;
use crate::lists::{Listed, NumberedPage};

/// A batch as it is shown.
#[derive(Debug)]
pub struct Shown {
    plan: Arc<Plan>,
    state: AtomicU8,
    /// Of ticket 1, 2, …
    tickets: Box<[AtomicU8]>,
}

impl Shown {
    fn of(batch: &Batch) -> Shown {
        let tickets = batch.tickets().iter().map(|ticket| AtomicU8::new(*ticket as u8));
        Shown { plan: Arc::clone(batch.plan()), state: AtomicU8::new(batch.state() as u8), tickets: tickets.collect() }
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Whether its tickets are there.
    pub fn is_generated(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        [BatchState::Active, BatchState::Ended].into_iter().any(|shown| shown as u8 == state)
    }

    /// `None`: there is no such ticket.
    pub fn ticket(&self, number: u16) -> Option<TicketState> {
        let place = usize::from(number).checked_sub(1)?;
        let state = self.tickets.get(place)?.load(Ordering::Acquire);
        TicketState::ALL.into_iter().find(|known| *known as u8 == state)
    }

    /// As [`Shown::ticket`], by its place, at this instant: whether anybody has marked what has expired or not.
    fn at(&self, place: usize, is_over: bool) -> Option<TicketState> {
        let state = self.ticket(u16::try_from(place + 1).ok()?)?;
        Some(if is_over && state == TicketState::PreGenerated { TicketState::Expired } else { state })
    }

    /// The places of the tickets that are in a state at this instant.
    fn places(&self, status: TicketState, is_over: bool) -> impl Iterator<Item = usize> {
        let is_hidden = is_over && status == TicketState::PreGenerated;
        let also = (is_over && status == TicketState::Expired).then_some(TicketState::PreGenerated as u8);
        let is_in = move |ticket: &AtomicU8| {
            let state = ticket.load(Ordering::Acquire);
            !is_hidden && (state == status as u8 || Some(state) == also)
        };
        self.tickets.iter().enumerate().filter(move |(_, ticket)| is_in(ticket)).map(|(place, _)| place)
    }

    fn publish(&self, batch: &Batch, events: &[Event]) {
        for event in events {
            match event {
                Event::TicketChanged { number, to, .. } => {
                    let place = usize::from(*number).checked_sub(1);
                    if let Some(ticket) = place.and_then(|place| self.tickets.get(place)) {
                        ticket.store(*to as u8, Ordering::Release);
                    }
                }
                Event::Ended { .. } => {
                    for (shown, ticket) in self.tickets.iter().zip(batch.tickets()) {
                        shown.store(*ticket as u8, Ordering::Release);
                    }
                }
                Event::Begun | Event::Generated | Event::GivenUp | Event::UnitsReturned { .. } => {}
            }
        }
        self.state.store(batch.state() as u8, Ordering::Release);
    }
}

/// Which of a partner's tickets are wanted; all that are left out are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TicketFilter {
    pub status: Option<TicketState>,
    pub batch: Option<BatchId>,
    pub created_from: Option<Timestamp>,
    /// Not included.
    pub created_until: Option<Timestamp>,
}

impl TicketFilter {
    fn wants(&self, plan: &Plan) -> bool {
        let at = plan.created_at;
        self.batch.is_none_or(|batch| batch == plan.id)
            && self.created_from.is_none_or(|from| from <= at)
            && self.created_until.is_none_or(|until| at < until)
    }
}

/// A ticket as partners list it.
#[derive(Debug, Clone)]
pub struct ListedTicket {
    pub plan: Arc<Plan>,
    pub number: u16,
    pub status: TicketState,
}

/// One after the other.
type TurnOfPartner = Arc<tokio::sync::Mutex<()>>;

/// All batches.
#[derive(Debug, Default)]
pub struct BatchBoard {
    batches: DashMap<BatchId, Arc<Shown>, IdHash>,
    /// By what their partners call them.
    named: DashMap<(PartnerCode, OwnId), BatchId>,
    of_partners: DashMap<PartnerCode, BTreeSet<BatchId>>,
    turns: DashMap<PartnerCode, TurnOfPartner>,
    /// Up to here in the journal batches have heard of their orders.
    followed: AtomicU64,
}

impl BatchBoard {
    pub fn get(&self, id: BatchId) -> Option<Arc<Shown>> {
        self.batches.get(&id).map(|shown| Arc::clone(&shown))
    }

    /// The batch that a partner calls so.
    pub fn named(&self, partner: &PartnerCode, own_id: &OwnId) -> Option<Arc<Shown>> {
        let id = *self.named.get(&(partner.clone(), own_id.clone()))?;
        self.get(id)
    }

    /// A partner's batch that is generated. Of another's it is not there.
    pub fn of_partner(&self, partner: &PartnerCode, id: BatchId) -> Option<Arc<Shown>> {
        self.get(id).filter(|shown| shown.plan.partner == *partner && shown.is_generated())
    }

    /// A page of a partner's tickets as they are now, the oldest first, and how many there are on all (R-OTA-08).
    pub fn tickets_of(
        &self,
        partner: &PartnerCode,
        filter: &TicketFilter,
        page: NumberedPage,
        now: Timestamp,
    ) -> Listed<ListedTicket> {
        let ids: Vec<BatchId> =
            self.of_partners.get(partner).map(|ids| ids.iter().copied().collect()).unwrap_or_default();
        let wanted = page.places();
        let mut listed = Listed { entries: Vec::new(), total: 0 };
        for shown in ids.into_iter().filter_map(|id| self.of_partner(partner, id)) {
            if !filter.wants(&shown.plan) {
                continue;
            }
            let is_over = shown.plan.ends_at.is_some_and(|end| end <= now);
            let mut add = |place: usize| {
                let plan = Arc::clone(&shown.plan);
                let status = shown.at(place, is_over);
                listed.entries.extend(status.map(|status| ListedTicket { plan, number: place as u16 + 1, status }));
            };
            match filter.status {
                None => {
                    let len = shown.tickets.len() as u64;
                    let [from, until] = [wanted.start, wanted.end].map(|at| at.saturating_sub(listed.total).min(len));
                    (from as usize..until as usize).for_each(&mut add);
                    listed.total += len;
                }
                Some(status) => {
                    for place in shown.places(status, is_over) {
                        if wanted.contains(&listed.total) {
                            add(place);
                        }
                        listed.total += 1;
                    }
                }
            }
        }
        listed
    }

    /// In which partners' batches begin one after the other, so that an id of a partner stands for one of them.
    pub fn turn_of(&self, partner: &PartnerCode) -> TurnOfPartner {
        Arc::clone(&self.turns.entry(partner.clone()).or_default())
    }

    /// Why a gate lets nobody in with what was scanned, where that is a ticket of a batch and no order. `None`: the order is to
    /// be asked.
    pub fn without_order(&self, scanned: OrderId, now: Timestamp) -> Option<ScanRejection> {
        let (batch, number) = scanned.of_batch()?;
        let shown = self.get(batch)?;
        Batch::without_order(shown.ticket(number)?, shown.plan.ends_at, now)
    }

    /// Up to here in the journal batches have heard of their orders.
    pub fn followed(&self) -> Position {
        Position(self.followed.load(Ordering::Acquire))
    }

    pub(crate) fn has_followed(&self, position: Position) {
        self.followed.store(position.0, Ordering::Release);
    }

    /// How many tickets there are.
    pub fn tickets(&self) -> usize {
        self.batches.iter().map(|batch| batch.tickets.len()).sum()
    }

    /// Called by a batch's owner only, when it begins or is made anew.
    pub fn open(&self, batch: &Batch) {
        if batch.state() == BatchState::GivenUp {
            return;
        }
        let plan = batch.plan();
        self.batches.insert(plan.id, Arc::new(Shown::of(batch)));
        self.named.insert((plan.partner.clone(), plan.own_id.clone()), plan.id);
        self.of_partners.entry(plan.partner.clone()).or_default().insert(plan.id);
    }

    /// Called by a batch's owner only, after `evolve`.
    pub fn publish(&self, batch: &Batch, events: &[Event]) {
        if events.contains(&Event::Begun) {
            self.open(batch);
        }
        if batch.state() == BatchState::GivenUp {
            let plan = batch.plan();
            self.batches.remove(&plan.id);
            if let Some(mut ids) = self.of_partners.get_mut(&plan.partner) {
                ids.remove(&plan.id);
            }
            self.named.remove_if(&(plan.partner.clone(), plan.own_id.clone()), |_, id| *id == plan.id);
        } else if let Some(shown) = self.get(batch.id()) {
            shown.publish(batch, events);
        }
    }
}

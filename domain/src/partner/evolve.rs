//! The only mutation. It cannot fail: what was decided happens.

use std::collections::BTreeSet;

use crate::time::Timestamp;

use super::command::Event;
use super::{Drawn, PartnerBook, PartnerReservationId, Reservation, ReservationStatus};

impl PartnerBook {
    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Reserved(reservation) => self.insert(reservation.as_ref().clone()),
            Event::Confirmed(id) => self.change(*id, |known| known.told = Some(known.quantity)),
            Event::Lost { id, at } => self.change(*id, |known| {
                known.recorded = ReservationStatus::Cancelled;
                known.ended_at = Some(*at);
                known.offer = None;
            }),
            Event::Told { id, keeps } => self.change(*id, |known| known.told = Some(*keeps)),
            Event::Ended { id, status, at } => self.change(*id, |known| {
                known.recorded = *status;
                known.ended_at = Some(*at);
                known.offer = None;
            }),
            Event::Drawn { id, drawn } => self.add_drawn(*id, *drawn),
            Event::GivenBack { id, by, units_left } => self.change(*id, |known| {
                for drawn in known.draws.iter_mut().filter(|drawn| drawn.by == *by) {
                    drawn.units_left = *units_left;
                }
            }),
            Event::Forgotten { at } => self.forget(*at),
        }
    }

    fn change(&mut self, id: PartnerReservationId, change: impl FnOnce(&mut Reservation)) {
        if let Some(known) = self.reservations.get_mut(&id) {
            change(known);
            self.index(id);
        }
    }

    fn add_drawn(&mut self, id: PartnerReservationId, drawn: Drawn) {
        self.drawers.insert(drawn.by, id);
        self.change(id, |known| known.draws.push(drawn));
    }

    /// With everything that is known of it beside it.
    pub(super) fn insert(&mut self, reservation: Reservation) {
        let id = reservation.id;
        // A key that has been used again since names the later one.
        let is_newest = self.keys.get(&reservation.idempotency_key).is_none_or(|named| *named < id);
        if is_newest && !reservation.is_lost() {
            self.keys.insert(reservation.idempotency_key.clone(), id);
        }
        self.drawers.extend(reservation.draws.iter().map(|drawn| (drawn.by, id)));
        self.reservations.insert(id, reservation);
        self.index(id);
    }

    /// What is known beside a reservation that has changed. Who has drawn of it, and its key, stay as they are.
    fn index(&mut self, id: PartnerReservationId) {
        let Some(known) = self.reservations.get(&id) else { return };
        if known.is_lost() && self.keys.get(&known.idempotency_key) == Some(&id) {
            self.keys.remove(&known.idempotency_key);
        }
        let is_active = known.recorded == ReservationStatus::Active;
        put(&mut self.active, id, is_active);
        if let Some(at) = known.expires_at {
            put(&mut self.due, (at, id), is_active && known.is_confirmed());
        }
        put(&mut self.untold, id, known.is_untold());
        if let Some(at) = known.key_ends_at() {
            put(&mut self.settled, (at, id), known.is_settled());
        }
    }

    /// What nobody asks for any more.
    pub(super) fn forget(&mut self, at: Timestamp) {
        while let Some((_, id)) = self.settled.first().copied().filter(|(end, _)| *end <= at) {
            self.remove(id);
        }
    }

    /// One that has ended, and of which everything is back.
    fn remove(&mut self, id: PartnerReservationId) {
        let Some(reservation) = self.reservations.remove(&id) else { return };
        if self.keys.get(&reservation.idempotency_key) == Some(&id) {
            self.keys.remove(&reservation.idempotency_key);
        }
        for drawn in &reservation.draws {
            self.drawers.remove(&drawn.by);
        }
        if let Some(at) = reservation.key_ends_at() {
            self.settled.remove(&(at, id));
        }
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, entry: T, is_in: bool) {
    if is_in {
        set.insert(entry);
    } else {
        set.remove(&entry);
    }
}

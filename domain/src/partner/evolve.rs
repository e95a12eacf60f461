//! The only mutation. It cannot fail: what was decided happens.

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
        if let Some(mut reservation) = self.take(id) {
            change(&mut reservation);
            self.insert(reservation);
        }
    }

    pub(super) fn add_drawn(&mut self, id: PartnerReservationId, drawn: Drawn) {
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
        if reservation.recorded == ReservationStatus::Active {
            self.active.insert(id);
            self.due.extend(reservation.expires_at.filter(|_| reservation.is_confirmed()).map(|at| (at, id)));
        }
        if reservation.is_untold() {
            self.untold.insert(id);
        }
        self.reservations.insert(id, reservation);
    }

    fn take(&mut self, id: PartnerReservationId) -> Option<Reservation> {
        let reservation = self.reservations.remove(&id)?;
        if self.keys.get(&reservation.idempotency_key) == Some(&id) {
            self.keys.remove(&reservation.idempotency_key);
        }
        for drawn in &reservation.draws {
            self.drawers.remove(&drawn.by);
        }
        self.active.remove(&id);
        if let Some(at) = reservation.expires_at {
            self.due.remove(&(at, id));
        }
        self.untold.remove(&id);
        Some(reservation)
    }

    /// What nobody asks for any more.
    pub(super) fn forget(&mut self, at: Timestamp) {
        let over = self.reservations.values().filter(|reservation| reservation.is_over(at));
        for id in over.map(|reservation| reservation.id).collect::<Vec<_>>() {
            self.take(id);
        }
    }
}

//! The reservations of a desk's travellers (R-HOLD-07), as long as their time is not over: which of them hold seats, which
//! keys have made them, and what has become of those that hold none any more.

use std::sync::Arc;

use deeptravel_domain::departure::Stretch;
use deeptravel_domain::hold::{HoldState, Standing};
use deeptravel_domain::ids::{HoldId, IdMap, OrderId, TravellerId};
use deeptravel_domain::inventory::Wanted;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::reservation::{Reservation, ReservationId};
use deeptravel_domain::row::{Damage, Row as _};
use deeptravel_domain::time::Timestamp;

use super::DeskReservationRow;
use super::reserving::Reserved;
use crate::ask::Asker;

/// Most ended reservations of one traveller that are remembered until their time is over: whoever reserves and releases
/// all day shall not fill the memory, and needs no better answer than that their time is over.
const ENDED_MAX: usize = 32;
/// New ones before the first sweep.
const SWEEPS_FROM: usize = 256;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Reservations {
    of: IdMap<TravellerId, Vec<Entry>>,
    /// New ones since all were looked at.
    unswept: usize,
}

pub(super) struct Entry {
    pub reservation: Arc<Reservation>,
    pub stage: Stage,
}

/// How a reservation stands.
pub(super) enum Stage {
    /// Its departure has been asked, and nobody knows yet. `is_new`: it has been asked once, so that what was not written
    /// then is not there.
    Asked { waiting: Vec<Asker<Reserved>>, is_new: bool },
    /// The labels of its seats.
    Held(Arc<[Box<str>]>),
    /// This order is being made of it.
    Adopting(OrderId),
    /// Released, or adopted.
    Ended,
}

impl Stage {
    /// It is not known how it stands.
    pub(super) fn unsure() -> Stage {
        Stage::Asked { waiting: Vec::new(), is_new: false }
    }
}

impl Entry {
    /// As its rows tell it.
    pub(super) fn read(row: &DeskReservationRow<'_>) -> Result<Entry, Damage> {
        let misfit = |column: &str| row.damage(format!("{column} does not fit"));
        let departure = row.departure_id.parse().map_err(|_| misfit("departure_id"))?;
        let seats: Arc<[Box<str>]> = row.seat_numbers.to_vec().into_iter().map(Box::from).collect();
        let reservation = Reservation {
            id: ReservationId::of_hold(row.reservation_id.0, departure).ok_or_else(|| misfit("reservation_id"))?,
            traveller: row.traveller_id.0,
            idempotency_key: row.idempotency_key.into(),
            body_hash: row.body_hash,
            class: row.class_code.parse().map_err(|_| misfit("class_code"))?,
            stretch: Stretch::new(row.board_stop, row.alight_stop).ok_or_else(|| misfit("alight_stop"))?,
            wanted: Wanted::Chosen(seats.iter().map(ToString::to_string).collect()),
            expires_at: row.expires_at,
        };
        let stage = match row.state.parse().map_err(|_| misfit("state"))? {
            Standing::Live(HoldState::Held) => Stage::Held(seats),
            Standing::Live(HoldState::Paying | HoldState::Confirmed) | Standing::Released | Standing::Expired => {
                Stage::Ended
            }
        };
        Ok(Entry { reservation: Arc::new(reservation), stage })
    }

    /// Whether its seats count against the traveller's limit. While an order is being made of it, that counts.
    fn is_live(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Asked { .. } | Stage::Held(_) => self.reservation.expires_at > now,
            Stage::Adopting(_) | Stage::Ended => false,
        }
    }

    /// Whether anybody may still ask for it.
    fn stays(&self, now: Timestamp) -> bool {
        matches!(self.stage, Stage::Asked { .. }) || self.reservation.expires_at > now
    }
}

impl Reservations {
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// How many hold seats.
    pub(super) fn live(&self, traveller: TravellerId, now: Timestamp) -> usize {
        self.entries(traveller).filter(|entry| entry.is_live(now)).count()
    }

    /// That one which a key has made, if its time is not over.
    pub(super) fn of_key(&mut self, traveller: TravellerId, key: &str, now: Timestamp) -> Option<&mut Entry> {
        let entries = self.of.get_mut(&traveller)?;
        entries.iter_mut().rev().find(|entry| *entry.reservation.idempotency_key == *key && entry.stays(now))
    }

    pub(super) fn get_mut(&mut self, traveller: TravellerId, hold: HoldId) -> Option<&mut Entry> {
        self.of.get_mut(&traveller)?.iter_mut().find(|entry| entry.reservation.id.hold() == hold)
    }

    /// A reservation that an order may be made of.
    pub(super) fn adoptable(
        &self,
        traveller: TravellerId,
        id: &ReservationId,
        now: Timestamp,
    ) -> Result<Arc<Reservation>, Rejection> {
        if !id.is_of(traveller) {
            return Err(Rejection::ReservationNotFound);
        }
        let entry = self.entries(traveller).find(|entry| entry.reservation.id == *id);
        // What is not remembered is over.
        let entry = entry.filter(|entry| entry.reservation.expires_at > now).ok_or(Rejection::HoldExpired)?;
        match entry.stage {
            Stage::Asked { .. } | Stage::Held(_) => Ok(Arc::clone(&entry.reservation)),
            Stage::Adopting(_) | Stage::Ended => Err(Rejection::ReservationEnded),
        }
    }

    pub(super) fn add(&mut self, entry: Entry, now: Timestamp) {
        self.unswept += 1;
        if self.unswept > SWEEPS_FROM.max(self.of.len()) {
            self.unswept = 0;
            self.of.retain(|_, entries| {
                entries.retain(|entry| entry.stays(now));
                !entries.is_empty()
            });
        }
        let entries = self.of.entry(entry.reservation.traveller).or_default();
        entries.retain(|entry| entry.stays(now));
        let is_ended = |entry: &Entry| matches!(entry.stage, Stage::Ended);
        if entries.iter().filter(|entry| is_ended(entry)).count() >= ENDED_MAX
            && let Some(oldest) = entries.iter().position(is_ended)
        {
            entries.remove(oldest);
        }
        entries.push(entry);
    }

    /// It was never there.
    pub(super) fn remove(&mut self, traveller: TravellerId, hold: HoldId) {
        if let Some(entries) = self.of.get_mut(&traveller) {
            entries.retain(|entry| entry.reservation.id.hold() != hold);
            if entries.is_empty() {
                self.of.remove(&traveller);
            }
        }
    }

    fn entries(&self, traveller: TravellerId) -> impl Iterator<Item = &Entry> {
        self.of.get(&traveller).into_iter().flatten()
    }
}

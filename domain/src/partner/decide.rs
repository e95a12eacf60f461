//! Every check. Nothing here changes anything.

use crate::ids::OrderId;
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;

use super::command::{Command, Draw, Event, GiveBack, Reserve};
use super::{
    ACTIVE_MAX, Drawn, DrawnFor, EXPIRES_PER_TURN_MAX, ORDER_UNITS_MAX, PartnerBook, PartnerReservationId,
    RESERVED_UNITS_MAX, Reservation, ReservationStatus,
};

impl PartnerBook {
    /// What a command leads to at `now`. No events: it is already so.
    pub(super) fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Reserve(reserve) => self.reserve(reserve, now),
            Command::Confirmed(id) => Ok(self.unconfirmed(*id).map(|_| Event::Confirmed(*id)).into_iter().collect()),
            Command::Lost(id) => {
                Ok(self.unconfirmed(*id).map(|_| Event::Lost { id: *id, at: now }).into_iter().collect())
            }
            Command::Told { reservation, keeps } => {
                let told = self.reservations.get(reservation).filter(|known| known.told.is_some());
                let told = told.filter(|known| known.told != Some(*keeps));
                Ok(told.map(|known| Event::Told { id: known.id, keeps: *keeps }).into_iter().collect())
            }
            Command::Cancel(id) => self.cancel(*id, now),
            Command::Expire => Ok(self.expire(now)),
            Command::Draw(draw) => self.draw(draw, now),
            Command::GiveBack(back) => self.give_back(back),
        }
    }

    /// Whether a reservation may be asked for: to be known before its units are held. `placing`: those for which units are being
    /// asked, and which have no record yet.
    pub fn check_room(&self, quantity: u32, placing: usize) -> Result<(), Rejection> {
        let fits = (1..=RESERVED_UNITS_MAX).contains(&quantity);
        ensure(fits, "quantity", format_args!("is 1 to {RESERVED_UNITS_MAX}"))?;
        if self.active.len() + placing >= ACTIVE_MAX {
            return Err(Rejection::ReservationLimit { limit: ACTIVE_MAX as u32 });
        }
        Ok(())
    }

    fn reserve(&self, reserve: &Reserve, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        if self.made_by(&reserve.idempotency_key, &reserve.body_hash, now)?.is_some() {
            return Ok(Vec::new());
        }
        self.check_room(reserve.quantity, 0)?;

        let Reserve { id, idempotency_key, body_hash, product, offer, quantity, expires_at } = reserve.clone();
        let reserved = Reservation {
            id,
            idempotency_key,
            body_hash,
            template: offer.terms.template.clone(),
            template_version: offer.terms.version,
            product,
            offer: Some(offer),
            quantity,
            created_at: now,
            expires_at,
            ended_at: None,
            recorded: ReservationStatus::Active,
            draws: Vec::new(),
            told: None,
        };
        Ok(self.forgets(now).chain([Event::Reserved(Box::new(reserved))]).collect())
    }

    /// One whose hold is not confirmed, and may still be.
    fn unconfirmed(&self, id: PartnerReservationId) -> Option<&Reservation> {
        self.reservations.get(&id).filter(|reservation| !reservation.is_confirmed() && !reservation.is_lost())
    }

    fn cancel(&self, id: PartnerReservationId, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match self.reservation(id)?.status(now) {
            ReservationStatus::Active => Ok(vec![Event::Ended { id, status: ReservationStatus::Cancelled, at: now }]),
            // What is left of it has gone back, or goes when the timer comes.
            ReservationStatus::Expired | ReservationStatus::Cancelled => Ok(Vec::new()),
            ReservationStatus::Activated => Err(Rejection::ReservationActivated),
        }
    }

    fn expire(&self, now: Timestamp) -> Vec<Event> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now).take(EXPIRES_PER_TURN_MAX);
        let ended = due.map(|(_, id)| Event::Ended { id: *id, status: ReservationStatus::Expired, at: now });
        self.forgets(now).chain(ended).collect()
    }

    fn draw(&self, draw: &Draw, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let &Draw { reservation: id, by, drawn_for, quantity } = draw;
        let reservation = self.reservation(id)?;
        if let Some((of, drawn)) = self.drawn_by(by) {
            let is_same = of.id == id && quantity.is_none_or(|quantity| quantity == drawn.quantity);
            ensure(is_same, "reservationId", "names units that were drawn before, otherwise")?;
            return Ok(Vec::new());
        }
        match reservation.status(now) {
            ReservationStatus::Active => {}
            ReservationStatus::Expired => return Err(Rejection::ReservationExpired),
            ReservationStatus::Activated => return Err(Rejection::ReservationActivated),
            ReservationStatus::Cancelled => return Err(Rejection::ReservationEnded),
        }
        let left = reservation.remaining();
        let quantity = quantity.unwrap_or(left);
        if drawn_for == DrawnFor::Batch && quantity > left {
            return Err(insufficient(quantity, left));
        }
        ensure((1..=left).contains(&quantity), "quantity", format_args!("is 1 to {left}, which are left"))?;
        let fits = match drawn_for {
            DrawnFor::Batch => true,
            DrawnFor::Order => quantity <= ORDER_UNITS_MAX,
        };
        ensure(fits, "quantity", format_args!("is at most {ORDER_UNITS_MAX} at a time"))?;

        let drawn = Drawn { by, drawn_for, quantity, units_left: quantity, at: now };
        let emptied = (quantity == left).then_some(Event::Ended { id, status: ReservationStatus::Activated, at: now });
        Ok([Event::Drawn { id, drawn }].into_iter().chain(emptied).collect())
    }

    fn give_back(&self, back: &GiveBack) -> Result<Vec<Event>, Rejection> {
        let &GiveBack { by, units_left } = back;
        let (of, drawn) = self.drawn_by(by).ok_or(Rejection::ReservationNotFound)?;
        let given = (units_left < drawn.units_left).then_some(Event::GivenBack { id: of.id, by, units_left });
        Ok(given.into_iter().collect())
    }

    /// The reservation of which a batch or an order has drawn.
    pub(super) fn drawn_by(&self, by: OrderId) -> Option<(&Reservation, &Drawn)> {
        let reservation = self.reservations.get(self.drawers.get(&by)?)?;
        Some((reservation, reservation.draws.iter().find(|drawn| drawn.by == by)?))
    }

    fn forgets(&self, now: Timestamp) -> impl Iterator<Item = Event> + use<> {
        let is_any = self.settled.first().is_some_and(|(at, _)| *at <= now);
        is_any.then_some(Event::Forgotten { at: now }).into_iter()
    }
}

/// So much is not left.
fn insufficient(wanted: u32, left: u32) -> Rejection {
    let shown = |units: u32| u16::try_from(units).unwrap_or(u16::MAX);
    Rejection::InsufficientAllotment { wanted: shown(wanted), available: shown(left) }
}

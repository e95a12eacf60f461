//! Every check that depends on the life of a hold alone. Nothing here changes anything.

use crate::ids::HoldId;
use crate::rejection::Rejection;
use crate::time::Timestamp;

use super::{BeginPaying, FIRST_EPOCH, Hold, HoldAt, HoldState, Holds, Life, Takes, Tombstone};

/// A hold that is not there yet in this epoch: its owner looks whether there is room for it, and then asks for its
/// [life](Placing::life). So a refusal by the owner, which says more, comes before one by the hold's past.
#[derive(Debug)]
pub struct Placing<'a, T> {
    at: HoldAt,
    now: Timestamp,
    holds: &'a Holds<T>,
    /// Of any epoch, perhaps due.
    before: Option<&'a Hold<T>>,
}

impl<'a, T: Takes> Placing<'a, T> {
    /// A live hold of a lower epoch makes way, in the same decision, unless it is confirmed: the order asks anew only when
    /// it has given up what it had.
    pub fn replaces(&self) -> Option<&'a Hold<T>> {
        let makes_way =
            |life: &Life| !life.is_due(self.now) && life.epoch < self.at.epoch && life.state != HoldState::Confirmed;
        self.before.filter(|before| makes_way(&before.life))
    }

    /// The hold's life from `now` on, unless its past speaks against it: `HoldEpochStale`, `HoldExpired`,
    /// `HoldAlreadyReleased`, `HoldAlreadyConfirmed`.
    pub fn life(&self, expires_at: Timestamp) -> Result<Life, Rejection> {
        let HoldAt { hold, epoch } = self.at;
        let before = self.before.map(|before| before.life);
        // What is live has no tombstone.
        let ended = if before.is_none() { self.holds.tombstone(hold, self.now) } else { None };
        let known = before.map(|life| life.epoch).or(ended.map(|ended| ended.epoch));
        if known.is_some_and(|known| epoch < known) {
            return Err(Rejection::HoldEpochStale);
        }
        if expires_at <= self.now || before.is_some_and(|life| life.is_due(self.now) && life.epoch == epoch) {
            return Err(Rejection::HoldExpired);
        }
        if ended.is_some_and(|ended| ended.epoch == epoch) {
            return Err(Rejection::HoldAlreadyReleased);
        }
        if before.is_some_and(|life| life.state == HoldState::Confirmed) {
            return Err(Rejection::HoldAlreadyConfirmed);
        }

        Ok(Life { epoch, state: HoldState::Held, placed_at: self.now, expires_at })
    }
}

impl<T: Takes> Holds<T> {
    /// A hold is asked for. `None`: it was placed before, with the same content, which `is_same` is asked about. Refused with
    /// `HoldAlreadyReleased`, if after-sales gave all of it back since, and with a field, if it was placed with other
    /// content.
    pub fn placing(
        &self,
        at: HoldAt,
        is_same: impl FnOnce(&T) -> bool,
        now: Timestamp,
    ) -> Result<Option<Placing<'_, T>>, Rejection> {
        let before = self.live.get(&at.hold);
        match before.filter(|hold| !hold.life.is_due(now) && hold.life.epoch == at.epoch) {
            None => Ok(Some(Placing { at, now, holds: self, before })),
            Some(hold) if hold.is_given_back() => Err(Rejection::HoldAlreadyReleased),
            Some(hold) if is_same(&hold.takes) => Ok(None),
            Some(_) => Err(Rejection::field("epoch", "names a hold that was placed with other content")),
        }
    }

    /// The end that a hold gets when its payment begins; `None`: it is paying already, and as long as asked for.
    pub fn paying(&self, begin: &BeginPaying, now: Timestamp) -> Result<Option<Timestamp>, Rejection> {
        let Life { state, expires_at, .. } = self.known(HoldAt { hold: begin.hold, epoch: begin.epoch }, now)?.life;
        match state {
            HoldState::Paying if begin.expires_at <= expires_at => Ok(None),
            HoldState::Held | HoldState::Paying => Ok(Some(begin.expires_at.max(expires_at))),
            HoldState::Confirmed => Err(Rejection::HoldAlreadyConfirmed),
        }
    }

    /// Whether a hold is confirmed now; not, if it is already.
    pub fn confirms(&self, at: HoldAt, now: Timestamp) -> Result<bool, Rejection> {
        let hold = self.known(at, now)?;
        match hold.life.state {
            HoldState::Held | HoldState::Paying => Ok(true),
            HoldState::Confirmed if hold.is_given_back() => Err(Rejection::HoldAlreadyReleased),
            HoldState::Confirmed => Ok(false),
        }
    }

    /// The hold that is released. `None`: it holds nothing, as it was released before, lapsed, or was never placed.
    pub fn releasing(&self, at: HoldAt, now: Timestamp) -> Result<Option<&Hold<T>>, Rejection> {
        let hold = match self.known(at, now) {
            Ok(hold) => hold,
            Err(Rejection::HoldNotFound | Rejection::HoldAlreadyReleased | Rejection::HoldExpired) => return Ok(None),
            Err(refused) => return Err(refused),
        };
        match hold.life.state {
            HoldState::Held | HoldState::Paying => Ok(Some(hold)),
            HoldState::Confirmed => Err(Rejection::HoldAlreadyConfirmed),
        }
    }

    /// A reservation that an order asks for (R-HOLD-07). Refused with `HoldExpired`, also when it is forgotten, and with
    /// `ReservationEnded`.
    pub fn adopting(&self, reservation: HoldId, now: Timestamp) -> Result<&Hold<T>, Rejection> {
        let hold =
            self.known(HoldAt { hold: reservation, epoch: FIRST_EPOCH }, now).map_err(|refused| match refused {
                Rejection::HoldNotFound => Rejection::HoldExpired,
                Rejection::HoldAlreadyReleased => Rejection::ReservationEnded,
                refused => refused,
            })?;
        match hold.life.state {
            HoldState::Held => Ok(hold),
            // Nobody pays for a reservation.
            HoldState::Paying | HoldState::Confirmed => Err(Rejection::ReservationEnded),
        }
    }

    /// Refuses to put back on sale what was not sold.
    pub fn check_confirmed(&self, at: HoldAt, now: Timestamp) -> Result<(), Rejection> {
        match self.known(at, now)?.life.state {
            HoldState::Confirmed => Ok(()),
            HoldState::Held | HoldState::Paying => Err(Rejection::field("hold", "is not confirmed")),
        }
    }

    /// A live hold of exactly this epoch.
    fn known(&self, at: HoldAt, now: Timestamp) -> Result<&Hold<T>, Rejection> {
        if let Some(hold) = self.live.get(&at.hold) {
            return match hold.life.epoch {
                epoch if at.epoch < epoch => Err(Rejection::HoldEpochStale),
                epoch if at.epoch > epoch => Err(Rejection::HoldNotFound),
                _ if hold.life.is_due(now) => Err(Rejection::HoldExpired),
                _ => Ok(hold),
            };
        }
        Err(match self.tombstone(at.hold, now) {
            Some(ended) if at.epoch < ended.epoch => Rejection::HoldEpochStale,
            Some(ended) if at.epoch == ended.epoch => Rejection::HoldAlreadyReleased,
            Some(_) | None => Rejection::HoldNotFound,
        })
    }

    fn tombstone(&self, id: HoldId, now: Timestamp) -> Option<&Tombstone> {
        self.ended.get(&id).filter(|ended| now < ended.expires_at)
    }
}

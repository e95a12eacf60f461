//! Every check. Nothing here changes anything. Where several refusals apply, the one that stands first in
//! [`Rejection`] is answered, so the seats are looked at before the hold's own past.

use std::borrow::Cow;

use crate::code::PRINT_GRACE_SECONDS;
use crate::departure::{Call, Stretch, in_order};
use crate::hold::{BeginPaying, HoldAt};
use crate::ids::HoldId;
use crate::party::PARTY_MAX;
use crate::rejection::{Rejection, Sold, ensure};
use crate::time::Timestamp;

use super::command::{Alteration, Command, Event, FreeSeats, PlaceHold, Wanted};
use super::pick::{self, Choice, Seats};
use super::refit::check_refit;
use super::seats::{HeldSeats, SEATS_PER_HOLD_MAX};
use super::taken::Taken;
use super::{Hold, Inventory, Pool, SeatList, Status};

/// Most holds that lapse in one turn of the timer, so that a turn stays short; the deadline of the rest is still due.
pub const LAPSES_PER_TURN_MAX: usize = 512;

/// A departure is moved by at most so much at once: it keeps the date in its id, and codes on paper are opened as long
/// after the times that were printed.
pub const RETIME_SECONDS_MAX: i64 = PRINT_GRACE_SECONDS;

impl Inventory {
    /// What a command leads to at `now`. No events: it is already so.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::PlaceHold(place) => self.place(place, now),
            Command::BeginPaying(begin) => self.begin_paying(begin, now),
            Command::ConfirmHold(at) => self.confirm(*at, now),
            Command::ReleaseHold(at) => self.release(*at, now),
            Command::FreeSeats(free) => self.free_seats(free, now),
            Command::SetAllotments(allotments) => self.set_allotments(allotments, now),
            Command::Alter(alteration) => self.alter(alteration, now),
            Command::Retime(calls) => self.retime(calls),
            Command::CancelDeparture => Ok(match self.status {
                Status::Cancelled => Vec::new(),
                Status::OnSale | Status::Stopped => self.opening().chain([Event::DepartureCancelled]).collect(),
            }),
            Command::Expire => Ok(self.lapses(now).take(LAPSES_PER_TURN_MAX).collect()),
        }
    }

    fn place(&self, place: &PlaceHold, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let at = HoldAt { hold: place.hold, epoch: place.epoch };
        let is_same = |seats: &HeldSeats| self.is_same(place, seats);
        let Some(placing) = self.holds.placing(at, is_same, now)? else { return Ok(Vec::new()) };
        // The route has changed since this departure was born: what is asked for, stops and all, is another.
        if place.ride.is_some_and(|ride| self.spec.ride(place.stretch) != Some(ride)) {
            return Err(Rejection::DepartureNotFound);
        }
        let (class, stretch) = self.known_class_and_stretch(place)?;
        let wanted = self.known_seats(place, class)?;
        if self.status == Status::Cancelled {
            return Err(Rejection::DepartureCancelled);
        }
        if self.status == Status::Stopped || now >= self.spec.booking_closes_at(stretch) {
            return Err(Rejection::BookingClosed);
        }
        let replaced = placing.replaces();
        let taken = self.taken_without(replaced, now);
        let channel = self.channel_index(&place.channel);
        let pool = channel.map(|channel| Pool::new(class, channel));
        let adopted = self.adopted(&wanted, pool, stretch, now)?;
        let Choice { seats, is_best_fit } = match adopted {
            Some((_, reserved)) => Choice { seats: reserved.takes.seats, is_best_fit: false },
            None => self.free_of(&wanted, pool, stretch, &taken)?,
        };
        let until = adopted.map_or(Timestamp::MAX, |(_, reserved)| reserved.life.expires_at);
        let life = placing.life(place.expires_at.min(until))?;

        let takes = HeldSeats { class, channel: channel.unwrap_or(0), stretch, seats, freed: 0 };
        let gives_way = replaced.map(|hold| (place.hold, hold)).into_iter().chain(adopted);
        let released = gives_way.map(|(id, hold)| Event::HoldReleased { id, hold: *hold, at: now });
        let placed = Event::HoldPlaced { id: place.hold, hold: Hold { life, takes }, is_best_fit };
        Ok(self.opening().chain(self.lapses(now)).chain(released).chain([placed]).collect())
    }

    fn begin_paying(&self, begin: &BeginPaying, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let paying = self.holds.paying(begin, now);
        if paying == Ok(None) {
            return Ok(Vec::new());
        }
        if self.status == Status::Cancelled {
            return Err(Rejection::DepartureCancelled);
        }
        let begun = paying?.map(|expires_at| Event::PayingBegun { id: begin.hold, expires_at });
        Ok(begun.into_iter().collect())
    }

    fn confirm(&self, at: HoldAt, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let confirmed = self.holds.confirms(at, now)?.then_some(Event::HoldConfirmed { id: at.hold });
        Ok(confirmed.into_iter().collect())
    }

    fn release(&self, at: HoldAt, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let hold = self.holds.releasing(at, now)?;
        let released = hold.map(|hold| Event::HoldReleased { id: at.hold, hold: *hold, at: now });
        Ok(released.into_iter().collect())
    }

    fn free_seats(&self, free: &FreeSeats, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let mut seats = SeatList::default();
        if let Some(hold) = self.holds.get(free.hold).filter(|hold| hold.life.epoch == free.epoch) {
            let of_hold = |label: &String| hold.takes.seats.iter().find(|seat| self.label(*seat) == label);
            let named: Option<Vec<u16>> = free.seats.iter().map(of_hold).collect();
            let named = named.ok_or_else(|| Rejection::field("seatNumbers", "names a seat that the hold lacks"))?;
            // In the hold's own order and once each, whatever the request repeats.
            let fresh = hold.takes.live_seats().filter(|seat| named.contains(seat));
            seats = SeatList::new(fresh).unwrap_or_default();
        }
        self.holds.check_confirmed(HoldAt { hold: free.hold, epoch: free.epoch }, now)?;

        Ok(if seats.is_empty() { Vec::new() } else { vec![Event::SeatsFreed { id: free.hold, seats }] })
    }

    fn alter(&self, alteration: &Alteration, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let refit = alteration.seats.as_ref();
        refit.map_or(Ok(()), check_refit)?;
        let sale = match (alteration.stopped, self.status) {
            (_, Status::Cancelled) => return Err(Rejection::DepartureCancelled),
            (Some(true), Status::OnSale) => Some(Event::SaleStopped),
            (Some(false), Status::Stopped) => Some(Event::SaleResumed),
            (Some(true), Status::Stopped)
            | (Some(false), Status::OnSale)
            | (None, Status::OnSale | Status::Stopped) => None,
        };
        let seats = refit.map_or(Ok(Vec::new()), |refit| self.refit(refit, now))?;

        let changes: Vec<Event> = seats.into_iter().chain(sale).collect();
        Ok(if changes.is_empty() { changes } else { self.opening().chain(changes).collect() })
    }

    fn retime(&self, calls: &[Call]) -> Result<Vec<Event>, Rejection> {
        let field = "calls";
        ensure(calls.len() == self.spec.calls.len(), field, "are not one for every stop")?;
        ensure(in_order(calls), field, "are not one after the other")?;
        let departs_at = calls.first().map_or(Timestamp::MAX, |call| call.departs_at);
        let moved_ms = departs_at.ms_since(self.spec.departs_at()).unsigned_abs();
        ensure(moved_ms <= 1_000 * RETIME_SECONDS_MAX.unsigned_abs(), field, "are too far from those in force")?;
        if self.status == Status::Cancelled {
            return Err(Rejection::DepartureCancelled);
        }
        if self.spec.calls == calls {
            return Ok(Vec::new());
        }

        Ok(self.opening().chain([Event::Retimed { calls: calls.to_vec() }]).collect())
    }

    /// `Opened`, unless the departure is born.
    pub(super) fn opening(&self) -> impl Iterator<Item = Event> + use<> {
        (!self.born).then_some(Event::Opened).into_iter()
    }

    /// The holds that are due, the earliest first.
    pub(super) fn lapses(&self, now: Timestamp) -> impl Iterator<Item = Event> + '_ {
        self.holds.due(now).map(move |(id, hold)| Event::HoldLapsed { id, hold: *hold, at: now })
    }

    /// What every seat is taken for once the due holds, and `replaced`, have made way (R-HOLD-03). Copies the seats
    /// only if there is such a hold.
    pub(super) fn taken_without(&self, replaced: Option<&Hold>, now: Timestamp) -> Cow<'_, Taken> {
        let due = self.holds.due(now).map(|(_, hold)| hold);
        let mut taken = Cow::Borrowed(&self.taken);
        for hold in due.chain(replaced) {
            for seat in hold.takes.live_seats() {
                taken.to_mut().clear(seat, hold.takes.stretch.mask());
            }
        }
        taken
    }

    /// Whether the seats of a hold are what `place` asks for.
    fn is_same(&self, place: &PlaceHold, held: &HeldSeats) -> bool {
        let same_seats = match &place.wanted {
            Wanted::Auto(count) => held.seats.len() == usize::from(*count),
            Wanted::Chosen(labels) => labels.iter().map(String::as_str).eq(held.seats.iter().map(|s| self.label(s))),
            Wanted::Reserved { seats, .. } => held.seats.len() == usize::from(*seats),
        };
        same_seats
            && held.stretch == place.stretch
            && self.spec.seat_map.class(&place.class) == Some(held.class)
            && self.channel(held.channel) == Some(&place.channel)
    }

    fn known_class_and_stretch(&self, place: &PlaceHold) -> Result<(u8, Stretch), Rejection> {
        let Stretch { board, alight } = place.stretch;
        let class = self.spec.seat_map.class(&place.class);
        let class = class.ok_or_else(|| Rejection::field("seatClass", "is not a class of this departure"))?;
        let stretch = self.spec.stretch(board, alight);
        let stretch = stretch.ok_or_else(|| Rejection::field("alightStop", "is not a stop after boardStop"))?;
        Ok((class, stretch))
    }

    /// Seats that exist, are of the class, and are each asked for once.
    fn known_seats(&self, place: &PlaceHold, class: u8) -> Result<KnownSeats, Rejection> {
        match &place.wanted {
            Wanted::Auto(count) if (1..=PARTY_MAX).contains(count) => Ok(KnownSeats::Auto(*count)),
            Wanted::Auto(_) => Err(Rejection::field("seats", format!("is 1 to {PARTY_MAX}"))),
            Wanted::Reserved { reservation, seats } => {
                Ok(KnownSeats::Reserved { reservation: *reservation, seats: *seats })
            }
            Wanted::Chosen(labels) => {
                let field = "seatNumbers";
                let fits = (1..=SEATS_PER_HOLD_MAX).contains(&labels.len());
                ensure(fits, field, format_args!("names 1 to {SEATS_PER_HOLD_MAX} seats"))?;
                let mut seats = Vec::with_capacity(labels.len());
                for label in labels {
                    let seat = self.spec.seat_map.seat(label);
                    let seat = seat.ok_or_else(|| Rejection::field(field, "names a seat that this departure lacks"))?;
                    let fits = self.places.get(usize::from(seat)).is_some_and(|place| place.pool.class == class);
                    ensure(fits, field, format_args!("names seat {label}, which is of another class"))?;
                    ensure(!seats.contains(&seat), field, format_args!("names seat {label} twice"))?;
                    seats.push(seat);
                }
                Ok(KnownSeats::Chosen(SeatList::new(seats).unwrap_or_default()))
            }
        }
    }

    /// The reservation that is asked for, if it is one, and holds what is asked for.
    fn adopted(
        &self,
        wanted: &KnownSeats,
        pool: Option<Pool>,
        stretch: Stretch,
        now: Timestamp,
    ) -> Result<Option<(HoldId, &Hold)>, Rejection> {
        let KnownSeats::Reserved { reservation, seats } = *wanted else { return Ok(None) };
        let hold = self.holds.adopting(reservation, now)?;
        let HeldSeats { class, channel, stretch: reserved, seats: held, .. } = hold.takes;
        let fits = Some(Pool::new(class, channel)) == pool && reserved == stretch && held.len() == usize::from(seats);
        ensure(fits, "reservationId", "holds other seats")?;
        Ok(Some((reservation, hold)))
    }

    /// The seats, if they are free; `pool` is `None` for a channel without seats. A chosen seat of another channel is
    /// as good as taken.
    fn free_of(
        &self,
        wanted: &KnownSeats,
        pool: Option<Pool>,
        stretch: Stretch,
        taken: &Taken,
    ) -> Result<Choice, Rejection> {
        let mask = stretch.mask();
        match *wanted {
            KnownSeats::Auto(count) => {
                let sold_out = |available| Rejection::SoldOut { of: Sold::Seats, wanted: count, available };
                let pool = pool.ok_or(sold_out(0))?;
                let seats = Seats { places: &self.places, layout: &self.layout, taken };
                pick::pick(seats, pool, mask, usize::from(count)).map_err(sold_out)
            }
            KnownSeats::Chosen(seats) => {
                let is_free = |seat: u16| {
                    let place = self.places.get(usize::from(seat));
                    place.is_some_and(|place| Some(place.pool) == pool) && taken.of(seat) & mask == 0
                };
                match seats.iter().find(|seat| !is_free(*seat)) {
                    Some(seat) => Err(Rejection::SeatTaken { seat: self.label(seat).to_owned() }),
                    None => Ok(Choice { seats, is_best_fit: false }),
                }
            }
            // They are held, and not free.
            KnownSeats::Reserved { .. } => Err(Rejection::ReservationEnded),
        }
    }
}

/// [`Wanted`] in terms of this departure's seats.
enum KnownSeats {
    Auto(u16),
    Chosen(SeatList),
    Reserved { reservation: HoldId, seats: u16 },
}

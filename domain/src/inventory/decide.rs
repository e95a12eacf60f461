//! Every check. Nothing here changes anything. Where several refusals apply, the one that stands first in
//! [`Rejection`] is answered, so the seats are looked at before the hold's own past.

use std::borrow::Cow;

use crate::departure::Stretch;
use crate::ids::HoldId;
use crate::party::PARTY_MAX;
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;

use super::command::{BeginPaying, Command, Event, FreeSeats, HoldAt, PlaceHold, Wanted};
use super::pick::{self, Choice, Seats};
use super::seats::SEATS_PER_HOLD_MAX;
use super::taken::Taken;
use super::{Hold, HoldState, Inventory, Pool, SeatList, Status, Tombstone};

/// Most holds that lapse in one turn of the timer, so that a turn stays short; the deadline of the rest is still due.
pub const LAPSES_PER_TURN_MAX: usize = 512;

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
            Command::CancelDeparture => Ok(match self.status {
                Status::Cancelled => Vec::new(),
                Status::OnSale => self.opening().chain([Event::DepartureCancelled]).collect(),
            }),
            Command::Expire => Ok(self.lapses(now).take(LAPSES_PER_TURN_MAX).collect()),
        }
    }

    fn place(&self, place: &PlaceHold, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let live = self.holds.get(&place.hold).filter(|hold| !hold.is_due(now));
        if let Some(hold) = live.filter(|hold| hold.epoch == place.epoch) {
            return if hold.is_given_back() {
                Err(Rejection::HoldAlreadyReleased)
            } else if self.is_repeat(place, hold) {
                Ok(Vec::new())
            } else {
                Err(Rejection::field("epoch", "names a hold that was placed with other content"))
            };
        }
        let (class, stretch) = self.known_class_and_stretch(place)?;
        let wanted = self.known_seats(place, class)?;
        if self.status == Status::Cancelled {
            return Err(Rejection::DepartureCancelled);
        }
        if now >= self.spec.booking_closes_at(stretch) {
            return Err(Rejection::BookingClosed);
        }
        // A live hold of a lower epoch makes way, in the same decision, unless it is confirmed.
        let replaced = live.filter(|hold| hold.epoch < place.epoch && hold.state != HoldState::Confirmed);
        let taken = self.taken_without(replaced, now);
        let channel = self.channel_index(&place.channel);
        let Choice { seats, is_best_fit } =
            self.free_of(&wanted, channel.map(|channel| Pool::new(class, channel)), stretch, &taken)?;
        self.check_past(place, now)?;
        let channel = channel.unwrap_or(0);

        let hold = Hold {
            epoch: place.epoch,
            state: HoldState::Held,
            class,
            channel,
            stretch,
            seats,
            freed: 0,
            placed_at: now,
            expires_at: place.expires_at,
        };
        let released = replaced.map(|hold| Event::HoldReleased { id: place.hold, hold: *hold, at: now });
        let placed = Event::HoldPlaced { id: place.hold, hold, is_best_fit };
        Ok(self.opening().chain(self.lapses(now)).chain(released).chain([placed]).collect())
    }

    fn begin_paying(&self, begin: &BeginPaying, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let hold = self.known(HoldAt { hold: begin.hold, epoch: begin.epoch }, now);
        // Paying already, and as long as asked for.
        if hold.as_ref().is_ok_and(|hold| hold.state == HoldState::Paying && begin.expires_at <= hold.expires_at) {
            return Ok(Vec::new());
        }
        if self.status == Status::Cancelled {
            return Err(Rejection::DepartureCancelled);
        }
        let hold = hold?;
        if hold.state == HoldState::Confirmed {
            return Err(Rejection::HoldAlreadyConfirmed);
        }

        Ok(vec![Event::PayingBegun { id: begin.hold, expires_at: begin.expires_at.max(hold.expires_at) }])
    }

    fn confirm(&self, at: HoldAt, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let hold = self.known(at, now)?;
        Ok(match hold.state {
            HoldState::Held | HoldState::Paying => vec![Event::HoldConfirmed { id: at.hold }],
            HoldState::Confirmed if hold.is_given_back() => return Err(Rejection::HoldAlreadyReleased),
            HoldState::Confirmed => Vec::new(),
        })
    }

    fn release(&self, at: HoldAt, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let hold = match self.known(at, now) {
            Ok(hold) => hold,
            // It holds nothing: released before, lapsed, or never placed.
            Err(Rejection::HoldNotFound | Rejection::HoldAlreadyReleased | Rejection::HoldExpired) => {
                return Ok(Vec::new());
            }
            Err(refused) => return Err(refused),
        };
        match hold.state {
            HoldState::Held | HoldState::Paying => Ok(vec![Event::HoldReleased { id: at.hold, hold: *hold, at: now }]),
            HoldState::Confirmed => Err(Rejection::HoldAlreadyConfirmed),
        }
    }

    fn free_seats(&self, free: &FreeSeats, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let mut seats = SeatList::default();
        if let Some(hold) = self.holds.get(&free.hold).filter(|hold| hold.epoch == free.epoch) {
            let of_hold = |label: &String| hold.seats.iter().find(|seat| self.label(*seat) == label);
            let named: Option<Vec<u16>> = free.seats.iter().map(of_hold).collect();
            let named = named.ok_or_else(|| Rejection::field("seatNumbers", "names a seat that the hold lacks"))?;
            // In the hold's own order and once each, whatever the request repeats.
            let fresh = hold.live_seats().filter(|seat| named.contains(seat));
            seats = SeatList::new(fresh).unwrap_or_default();
        }
        match self.known(HoldAt { hold: free.hold, epoch: free.epoch }, now)?.state {
            HoldState::Confirmed if seats.is_empty() => Ok(Vec::new()),
            HoldState::Confirmed => Ok(vec![Event::SeatsFreed { id: free.hold, seats }]),
            HoldState::Held | HoldState::Paying => Err(Rejection::field("hold", "is not confirmed")),
        }
    }

    /// `Opened`, unless the departure is born.
    pub(super) fn opening(&self) -> impl Iterator<Item = Event> + use<> {
        (!self.born).then_some(Event::Opened).into_iter()
    }

    /// The holds that are due, the earliest first.
    pub(super) fn lapses(&self, now: Timestamp) -> impl Iterator<Item = Event> + '_ {
        self.due(now).map(move |(id, hold)| Event::HoldLapsed { id, hold: *hold, at: now })
    }

    /// The holds whose time is over, the earliest first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = (HoldId, &Hold)> {
        let due = self.deadlines.due(now);
        due.filter_map(move |(at, id)| Some((id, self.holds.get(&id).filter(|hold| hold.lapses_at(at))?)))
    }

    /// What every seat is taken for once the due holds, and `replaced`, have made way (R-HOLD-03). Copies the seats
    /// only if there is such a hold.
    pub(super) fn taken_without(&self, replaced: Option<&Hold>, now: Timestamp) -> Cow<'_, Taken> {
        let due = self.due(now).map(|(_, hold)| hold);
        let mut taken = Cow::Borrowed(&self.taken);
        for hold in due.chain(replaced) {
            for seat in hold.live_seats() {
                taken.to_mut().clear(seat, hold.stretch.mask());
            }
        }
        taken
    }

    /// A live hold of exactly this epoch.
    fn known(&self, at: HoldAt, now: Timestamp) -> Result<&Hold, Rejection> {
        self.check_epoch(at, now)?;
        let Some(hold) = self.holds.get(&at.hold).filter(|hold| hold.epoch == at.epoch) else {
            let released = self.tombstone(at.hold, now).is_some_and(|ended| ended.epoch == at.epoch);
            return Err(if released { Rejection::HoldAlreadyReleased } else { Rejection::HoldNotFound });
        };
        if hold.is_due(now) { Err(Rejection::HoldExpired) } else { Ok(hold) }
    }

    /// Refuses a command of an earlier epoch than the one known here.
    fn check_epoch(&self, at: HoldAt, now: Timestamp) -> Result<(), Rejection> {
        let live = self.holds.get(&at.hold).map(|hold| hold.epoch);
        let ended = || self.tombstone(at.hold, now).map(|ended| ended.epoch);
        match live.or_else(ended) {
            Some(epoch) if at.epoch < epoch => Err(Rejection::HoldEpochStale),
            _ => Ok(()),
        }
    }

    fn tombstone(&self, id: HoldId, now: Timestamp) -> Option<&Tombstone> {
        self.ended.get(&id).filter(|ended| now < ended.expires_at)
    }

    /// What the hold's past says against placing it.
    fn check_past(&self, place: &PlaceHold, now: Timestamp) -> Result<(), Rejection> {
        self.check_epoch(HoldAt { hold: place.hold, epoch: place.epoch }, now)?;
        let live = self.holds.get(&place.hold);
        if place.expires_at <= now || live.is_some_and(|hold| hold.is_due(now) && hold.epoch == place.epoch) {
            return Err(Rejection::HoldExpired);
        }
        if self.tombstone(place.hold, now).is_some_and(|ended| ended.epoch == place.epoch) {
            return Err(Rejection::HoldAlreadyReleased);
        }
        if live.is_some_and(|hold| hold.state == HoldState::Confirmed) {
            return Err(Rejection::HoldAlreadyConfirmed);
        }
        Ok(())
    }

    /// Whether the hold is what `place` asks for. Its expiry may have moved since.
    fn is_repeat(&self, place: &PlaceHold, hold: &Hold) -> bool {
        let same_seats = match &place.wanted {
            Wanted::Auto(count) => hold.seats.len() == usize::from(*count),
            Wanted::Chosen(labels) => labels.iter().map(String::as_str).eq(hold.seats.iter().map(|s| self.label(s))),
        };
        same_seats
            && hold.stretch == place.stretch
            && self.spec.seat_map.class(&place.class) == Some(hold.class)
            && self.channel(hold.channel) == Some(&place.channel)
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
                let sold_out = |available| Rejection::SoldOut { wanted: count, available };
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
        }
    }
}

/// [`Wanted`] in terms of this departure's seats.
enum KnownSeats {
    Auto(u16),
    Chosen(SeatList),
}

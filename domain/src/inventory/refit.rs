//! Another vehicle, or more or fewer seats of it (R-ADMIN-04). Whoever holds a seat keeps the one with the same label and
//! class, or nothing changes; free seats come and go. Partners keep as many seats as they had.
//!
//! Seats are numbered by their place in the map, so all holds are renumbered. A seat that was freed is still named by its
//! hold: if it is no longer on board, its label is kept behind the map.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::departure::{Channel, ClassCapacity, SEATS_MAX, Seat, SeatClass, SeatMap};
use crate::ids::SeatClassCode;
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;

use super::allot::move_seats;
use super::command::{Event, Refit};
use super::pick::Place;
use super::taken::Taken;
use super::uses::Use;
use super::{CLASSES_MAX, HeldSeats, Hold, Inventory, Pool, SeatList, check_seats, places_of};

/// The places of labels.
pub(super) struct Numbers<'a>(HashMap<&'a str, u16>);

impl<'a> Numbers<'a> {
    pub(super) fn of(seat_map: &'a SeatMap, retired: &'a [String]) -> Numbers<'a> {
        let labels = seat_map.seats.iter().map(|seat| seat.label.as_str()).chain(retired.iter().map(String::as_str));
        Numbers(labels.zip(0..).collect())
    }

    fn has(&self, label: &str) -> bool {
        self.0.contains_key(label)
    }
}

/// A seat of the present map as the choice of the new seats looks at it.
#[derive(Clone, Copy)]
struct Present {
    class: u8,
    channel: u8,
    used: Option<Use>,
}

/// What keeps a seat on board, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    InUse,
    SetAside,
    OnBoard,
    New,
}

impl Inventory {
    /// What it leads to. No events: these are the seats already.
    pub(super) fn refit(&self, refit: &Refit, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let present = self.present(now);
        self.check_in_use(refit, now)?;
        let classes = self.classes(refit);
        ensure(classes.len() <= CLASSES_MAX, "vehicle", "has too many classes besides those that orders name")?;
        let mut kept = Vec::with_capacity(refit.vehicle.seats.len());
        for (class, number) in classes.iter().zip(0_u8..) {
            kept.extend(self.keep(refit, (&class.code, number), &present, now)?);
        }
        kept.sort_unstable_by_key(|(seat, _)| (seat.row, seat.column));
        let seat_map = SeatMap { classes, seats: kept.iter().map(|(seat, _)| (*seat).clone()).collect() };
        let set_aside = self.set_aside_on(&seat_map, &kept, now)?;
        if seat_map == *self.spec.seat_map && self.set_aside_now().eq(set_aside.iter().copied()) {
            return Ok(Vec::new());
        }
        let named: BTreeSet<&str> =
            self.holds().flat_map(|(_, hold)| hold.takes.seats.as_slice()).map(|seat| self.label(*seat)).collect();
        let on_board = Numbers::of(&seat_map, &[]);
        let retired: Vec<String> = named.into_iter().filter(|label| !on_board.has(label)).map(str::to_owned).collect();
        ensure(retired.len() <= SEATS_MAX, "vehicle", "leaves too many seats that orders name")?;

        let set_aside = set_aside.into_iter().map(|(seat, channel)| (seat, channel.clone())).collect();
        let numbers = Numbers::of(&seat_map, &retired);
        // What is due is renumbered like the others, and lapses then.
        let lapsed = |(id, hold): (_, &Hold)| {
            let takes = self.renumbered(&hold.takes, &seat_map, &numbers);
            Event::HoldLapsed { id, hold: Hold { takes, ..*hold }, at: now }
        };
        let lapses: Vec<Event> = self.holds.due(now).map(lapsed).collect();
        let seat_map = Arc::new(seat_map.clone());
        Ok([Event::Refitted { seat_map, retired, set_aside }].into_iter().chain(lapses).collect())
    }

    /// The seats of a hold as they are numbered in another map.
    pub(super) fn renumbered(&self, takes: &HeldSeats, seat_map: &SeatMap, numbers: &Numbers<'_>) -> HeldSeats {
        // An event of another departure may name what is not there: such a seat is none.
        let number = |seat: u16| numbers.0.get(self.label(seat)).copied().unwrap_or(u16::MAX);
        let class = self.spec.seat_map.classes.get(usize::from(takes.class));
        let class = class.and_then(|class| seat_map.class(&class.code)).unwrap_or(takes.class);
        let seats = SeatList::new(takes.seats.iter().map(number)).unwrap_or_default();
        HeldSeats { class, seats, ..*takes }
    }

    /// By label.
    fn present(&self, now: Timestamp) -> HashMap<&str, Present> {
        let seats = self.spec.seat_map.seats.iter().zip(&self.places).zip(self.uses(now));
        let present = |place: &Place, used| Present { class: place.pool.class, channel: place.pool.channel, used };
        seats.map(|((seat, place), used)| (seat.label.as_str(), present(place, used))).collect()
    }

    /// Every seat in use is in the vehicle, and of its class; partners have seats in no other class.
    fn check_in_use(&self, refit: &Refit, now: Timestamp) -> Result<(), Rejection> {
        let class_of =
            |seat: &Seat, map: &SeatMap| map.classes.get(usize::from(seat.class)).map(|class| class.code.clone());
        let map = &refit.vehicle;
        let there: HashMap<&str, &Seat> = map.seats.iter().map(|seat| (seat.label.as_str(), seat)).collect();
        let own = &self.spec.seat_map;
        let used = own.seats.iter().zip(self.uses(now)).zip(0_u16..);
        let lost = used.filter_map(|((seat, used), number)| {
            let stays = there.get(seat.label.as_str()).is_some_and(|new| class_of(new, map) == class_of(seat, own));
            Some((number, used?)).filter(|_| !stays)
        });
        let lost: Vec<(u16, Use)> = lost.collect();
        if !lost.is_empty() {
            return Err(self.named_uses(&lost));
        }
        // What is set aside of a class that the vehicle lacks.
        let lacks = own.classes.iter().zip(0_u8..).filter(|(class, _)| map.class(&class.code).is_none());
        let others = |number: u8| self.places.iter().any(|place| place.pool.class == number && place.pool.channel != 0);
        match lacks.into_iter().find(|(_, number)| others(*number)) {
            Some((class, _)) => Err(self.short_of(&class.code, now)),
            None => Ok(()),
        }
    }

    /// The classes of the vehicle, and behind them those that it lacks and holds name: their seats were all freed.
    fn classes(&self, refit: &Refit) -> Vec<SeatClass> {
        let own = self.spec.seat_map.classes.iter().zip(0_u8..);
        let named = |number: u8| self.holds().any(|(_, hold)| hold.takes.class == number);
        let lacks = own.filter(|(class, number)| refit.vehicle.class(&class.code).is_none() && named(*number));
        refit.vehicle.classes.iter().cloned().chain(lacks.map(|(class, _)| class.clone())).collect()
    }

    /// The seats of a class that are on board, each with the channel that had it.
    fn keep<'a>(
        &self,
        refit: &'a Refit,
        (code, number): (&SeatClassCode, u8),
        present: &HashMap<&str, Present>,
        now: Timestamp,
    ) -> Result<Vec<(&'a Seat, u8)>, Rejection> {
        let map = &refit.vehicle;
        let own = self.spec.seat_map.class(code);
        let target = match &refit.capacities {
            None => seats_of(map, code),
            Some(named) => match named.iter().find(|class| class.code == *code) {
                Some(class) => usize::from(class.capacity),
                None => seats_of(&self.spec.seat_map, code).min(seats_of(map, code)),
            },
        };
        let claim = |seat: &Seat| match present.get(seat.label.as_str()).filter(|present| Some(present.class) == own) {
            Some(Present { used: Some(_), channel, .. }) => (Claim::InUse, *channel),
            Some(Present { channel: 0, .. }) => (Claim::OnBoard, 0),
            Some(Present { channel, .. }) => (Claim::SetAside, *channel),
            None => (Claim::New, 0),
        };
        let mut seats: Vec<(Claim, &Seat, u8)> = Vec::new();
        for seat in map.seats.iter().filter(|seat| seat.class == number) {
            let (claim, channel) = claim(seat);
            seats.push((claim, seat, channel));
        }
        let needed =
            present.values().filter(|seat| Some(seat.class) == own && (seat.channel != 0 || seat.used.is_some()));
        if needed.count() > target {
            return Err(self.short_of(code, now));
        }
        // Stable: of equal claims the front-most stay.
        seats.sort_by_key(|(claim, ..)| *claim);
        seats.truncate(target);
        Ok(seats.into_iter().map(|(_, seat, channel)| (seat, channel)).collect())
    }

    /// The seats that are set aside on the new map: those that were, and others for those that are gone.
    fn set_aside_on(
        &self,
        seat_map: &SeatMap,
        kept: &[(&Seat, u8)],
        now: Timestamp,
    ) -> Result<Vec<(u16, &Channel)>, Rejection> {
        let mut places = places_of(seat_map);
        for (place, (_, channel)) in places.iter_mut().zip(kept) {
            place.pool = Pool::new(place.pool.class, *channel);
        }
        let taken = self.taken_on(seat_map, now);
        for (class, number) in seat_map.classes.iter().zip(0_u8..) {
            let Some(own) = self.spec.seat_map.class(&class.code) else { continue };
            for channel in (1..self.channels.len()).map(|channel| channel as u8) {
                let count = |places: &[Place], pool: Pool| places.iter().filter(|place| place.pool == pool).count();
                let pool = Pool::new(number, channel);
                let lost = count(&self.places, Pool::new(own, channel)).saturating_sub(count(&places, pool));
                let moved = move_seats(&mut places, &taken, Pool::new(number, 0), pool, lost, true);
                moved.ok_or_else(|| self.short_of(&class.code, now))?;
            }
        }
        let others = places.iter().zip(0_u16..).filter(|(place, _)| place.pool.channel != 0);
        Ok(others.filter_map(|(place, seat)| Some((seat, self.channel(place.pool.channel)?))).collect())
    }

    fn set_aside_now(&self) -> impl Iterator<Item = (u16, &Channel)> {
        let others = self.places.iter().zip(0_u16..).filter(|(place, _)| place.pool.channel != 0);
        others.filter_map(|(place, seat)| Some((seat, self.channel(place.pool.channel)?)))
    }

    /// What is taken, by the numbers of another map.
    fn taken_on(&self, seat_map: &SeatMap, now: Timestamp) -> Taken {
        let numbers = Numbers::of(seat_map, &[]);
        let mut taken = Taken::nothing(seat_map.seats.len(), self.taken.ways);
        for (_, hold) in self.holds().filter(|(_, hold)| !hold.life.is_due(now)) {
            for seat in self.renumbered(&hold.takes, seat_map, &numbers).live_seats() {
                taken.take(seat, hold.takes.stretch.mask());
            }
        }
        taken
    }

    /// Fewer seats of a class than are in use or set aside.
    fn short_of(&self, code: &SeatClassCode, now: Timestamp) -> Rejection {
        let pools = self.pools(now);
        let of_class = || pools.iter().filter(|pool| pool.class.code == *code);
        let (held, sold) = of_class().fold((0, 0), |(held, sold), pool| (held + pool.held, sold + pool.sold));
        let others = of_class().filter(|pool| *pool.channel != Channel::Direct);
        let set_aside: u16 = others.map(|pool| pool.seats).sum();
        Rejection::BelowUse {
            uses: format!("of {code} {held} are held, {sold} sold, and {set_aside} set aside for partners"),
        }
    }
}

/// What is wrong with the request itself.
pub(super) fn check_refit(refit: &Refit) -> Result<(), Rejection> {
    let map = &refit.vehicle;
    check_seats(map).map_err(|error| Rejection::field("vehicle", error.to_string()))?;
    for (index, ClassCapacity { code, capacity }) in refit.capacities.iter().flatten().enumerate() {
        let named = refit.capacities.iter().flatten().take(index);
        ensure(named.into_iter().all(|earlier| earlier.code != *code), "classes", format_args!("name {code} twice"))?;
        let all = seats_of(map, code);
        ensure(map.class(code).is_some(), "classes", format_args!("name {code}, which the vehicle lacks"))?;
        let fits = usize::from(*capacity) <= all;
        ensure(fits, "classes", format_args!("want more seats of {code} than the {all} of the vehicle"))?;
    }
    Ok(())
}

fn seats_of(map: &SeatMap, code: &SeatClassCode) -> usize {
    let class = map.class(code);
    map.seats.iter().filter(|seat| Some(seat.class) == class).count()
}

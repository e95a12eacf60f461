//! Which seats are free, for readers on any thread: written by the departures' actors after every change, read by
//! search without a message or a lock (R-SEARCH-04).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use dashmap::DashMap;
use deeptravel_domain::departure::{Call, Channel, Ride, SeatMap, Stretch};
use deeptravel_domain::ids::{DepartureId, SeatClassCode};
use deeptravel_domain::inventory::Inventory;

/// A seat that is not sold directly is closed on every way, also on the one that no departure has.
const SET_ASIDE: u64 = u64::MAX;

/// The seats of one born departure.
#[derive(Debug)]
pub struct Occupancy {
    seat_map: Arc<SeatMap>,
    calls: Box<[Call]>,
    stops: usize,
    /// Until then it is what the catalogue says.
    is_born: AtomicBool,
    /// Per seat, one bit for each way between neighbouring stops on which it is not for direct sale.
    closed: Box<[AtomicU64]>,
    /// Seats free for direct sale, class by class, for every stretch: counted by the departure's actor, which changes one
    /// seat at a time, so that a search, which asks for many departures, has nothing to count.
    free: Box<[AtomicU16]>,
}

impl Occupancy {
    fn new(seat_map: Arc<SeatMap>, calls: &[Call]) -> Occupancy {
        let stops = calls.len();
        let counts = seat_map.classes.len() * stretches(stops);
        Occupancy {
            stops,
            calls: calls.into(),
            is_born: AtomicBool::new(false),
            closed: seat_map.seats.iter().map(|_| AtomicU64::new(SET_ASIDE)).collect(),
            free: (0..counts).map(|_| AtomicU16::new(0)).collect(),
            seat_map,
        }
    }

    /// Seats of a class that are free all along the stretch, for direct sale. 0 for a class or stretch that the
    /// departure lacks.
    pub fn available(&self, class: &SeatClassCode, stretch: Stretch) -> u16 {
        self.place_of(class, stretch).map_or(0, |place| self.count(place))
    }

    /// The seats that it has, once it is born.
    pub fn seat_map(&self) -> Option<&Arc<SeatMap>> {
        self.is_born.load(Ordering::Relaxed).then_some(&self.seat_map)
    }

    /// Whether it travels the stretch then. A route that changed since it was born is another's.
    pub fn rides(&self, stretch: Stretch, ride: Ride) -> bool {
        let at = |stop: u8| self.calls.get(usize::from(stop));
        let is_so = at(stretch.board).is_some_and(|call| call.departs_at == ride.departs_at)
            && at(stretch.alight).is_some_and(|call| call.arrives_at == ride.arrives_at);
        is_so || !self.is_born.load(Ordering::Relaxed)
    }

    /// The seats and whether each is free for direct sale along the stretch.
    pub fn seats(&self, stretch: Stretch) -> impl Iterator<Item = bool> + '_ {
        let mask = self.has(stretch).then(|| stretch.mask());
        self.closed.iter().map(move |closed| mask.is_some_and(|mask| closed.load(Ordering::Relaxed) & mask == 0))
    }

    fn has(&self, stretch: Stretch) -> bool {
        stretch.board < stretch.alight && usize::from(stretch.alight) < self.stops
    }

    /// Where the seats of a class along a stretch are counted.
    fn place_of(&self, class: &SeatClassCode, stretch: Stretch) -> Option<usize> {
        let class = self.seat_map.class(class).filter(|_| self.has(stretch))?;
        Some(self.place(class, stretch.board.into(), stretch.alight.into()))
    }

    fn place(&self, class: u8, board: usize, alight: usize) -> usize {
        // Those that board earlier come first: one stop further on there is one stretch less.
        let earlier = stretches(self.stops) - stretches(self.stops - board);
        usize::from(class) * stretches(self.stops) + earlier + (alight - board - 1)
    }

    fn count(&self, place: usize) -> u16 {
        self.free.get(place).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Called by the departure's actor only, after `evolve`.
    pub fn publish(&self, inventory: &Inventory, seats: impl Iterator<Item = u16>) {
        self.is_born.store(inventory.is_born(), Ordering::Relaxed);
        for seat in seats {
            let direct = inventory.channel_of(seat) == Some(&Channel::Direct);
            self.show(usize::from(seat), if direct { inventory.occupancy(seat) } else { SET_ASIDE });
        }
    }

    fn show(&self, seat: usize, closed: u64) {
        let (Some(shown), Some(class)) = (self.closed.get(seat), self.seat_map.seats.get(seat).map(|seat| seat.class))
        else {
            return;
        };
        let before = shown.load(Ordering::Relaxed);
        shown.store(closed, Ordering::Relaxed);
        for board in 0..self.stops.saturating_sub(1) {
            let (was, is) = (self.reach(before, board), self.reach(closed, board));
            // A count changes once, from right to right: no reader sees one in between.
            let (from, to, change) = if was < is { (was, is, 1) } else { (is, was, -1) };
            for alight in from + 1..=to {
                if let Some(count) = self.free.get(self.place(class, board, alight)) {
                    // There is one writer, so nothing comes between load and store.
                    count.store(count.load(Ordering::Relaxed).wrapping_add_signed(change), Ordering::Relaxed);
                }
            }
        }
    }

    /// The last stop to which a seat is free from `board` on; `board` itself when it is not free to the next.
    fn reach(&self, closed: u64, board: usize) -> usize {
        let free_ways = (closed >> board).trailing_zeros() as usize;
        (board + free_ways).min(self.stops - 1)
    }
}

/// How many stretches so many stops have.
const fn stretches(stops: usize) -> usize {
    stops * stops.saturating_sub(1) / 2
}

/// The seats left of a class along a stretch of one departure: a number to be read again and again, for one load.
#[derive(Clone, Debug)]
pub enum SeatsLeft {
    Same(u16),
    Counted { by: Arc<Occupancy>, place: usize },
}

impl SeatsLeft {
    /// As of now, for as long as the board is in the edition in which this was looked up.
    pub fn now(&self) -> u16 {
        match self {
            SeatsLeft::Same(count) => *count,
            SeatsLeft::Counted { by, place } => by.count(*place),
        }
    }
}

/// All born departures.
#[derive(Debug, Default)]
pub struct Board {
    departures: DashMap<DepartureId, Arc<Occupancy>>,
    /// Grows whenever a departure comes, goes, or begins anew.
    edition: AtomicU64,
}

impl Board {
    /// `None`: the departure is unborn, all its seats are free.
    pub fn get(&self, id: &DepartureId) -> Option<Arc<Occupancy>> {
        self.departures.get(id).map(|entry| Arc::clone(&entry))
    }

    /// Whoever keeps what [`Board::seats_left`] gave asks for this before, and looks up again once it has changed.
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The seats left of some classes along a stretch at that time. With each class comes the number of its seats, which holds while
    /// the departure is unborn.
    pub fn seats_left<'a>(
        &self,
        id: &DepartureId,
        stretch: Stretch,
        ride: Ride,
        classes: impl IntoIterator<Item = (&'a SeatClassCode, u16)>,
    ) -> impl Iterator<Item = SeatsLeft> {
        let born = self.get(id);
        classes.into_iter().map(move |(class, all)| match &born {
            None => SeatsLeft::Same(all),
            Some(born) if !born.rides(stretch, ride) => SeatsLeft::Same(0),
            Some(born) => match born.place_of(class, stretch) {
                Some(place) => SeatsLeft::Counted { by: Arc::clone(born), place },
                None => SeatsLeft::Same(0),
            },
        })
    }

    /// The place where a departure's actor publishes, with all of its seats as they are.
    pub fn open(&self, inventory: &Inventory) -> Arc<Occupancy> {
        let spec = inventory.spec();
        let occupancy = Arc::new(Occupancy::new(Arc::clone(&spec.seat_map), &spec.calls));
        let all = 0..spec.seat_map.seats.len() as u16;
        occupancy.publish(inventory, all);
        self.departures.insert(spec.id.clone(), Arc::clone(&occupancy));
        self.turn_over();
        occupancy
    }

    /// Forgets a departure that sleeps.
    pub fn close(&self, id: &DepartureId) {
        self.departures.remove(id);
        self.turn_over();
    }

    /// After the change: who still finds the old state has the old edition's number.
    fn turn_over(&self) {
        self.edition.fetch_add(1, Ordering::Release);
    }
}

//! Which seats are free, for readers on any thread: written by the departures' actors after every change, read by
//! search without a message or a lock (R-SEARCH-04).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use dashmap::DashMap;
use deeptravel_domain::departure::{Channel, SeatMap, Stretch};
use deeptravel_domain::ids::{DepartureId, SeatClassCode};
use deeptravel_domain::inventory::Inventory;

/// Mark of a seat that is not sold directly.
const SET_ASIDE: u8 = 1;

/// The seats of one born departure.
#[derive(Debug)]
pub struct Occupancy {
    seat_map: Arc<SeatMap>,
    /// Per seat, one bit for each way between neighbouring stops.
    taken: Box<[AtomicU64]>,
    /// Per seat, 0 when it is sold directly.
    set_aside: Box<[AtomicU8]>,
}

impl Occupancy {
    fn new(seat_map: Arc<SeatMap>) -> Occupancy {
        let seats = seat_map.seats.len();
        Occupancy {
            seat_map,
            taken: (0..seats).map(|_| AtomicU64::new(0)).collect(),
            set_aside: (0..seats).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    /// Seats of a class that are free all along the stretch, for direct sale.
    pub fn available(&self, class: &SeatClassCode, stretch: Stretch) -> u16 {
        let Some(class) = self.seat_map.class(class) else { return 0 };
        let mask = stretch.mask();
        let free = self.seat_map.seats.iter().zip(&self.taken).zip(&self.set_aside).filter(|((seat, taken), aside)| {
            seat.class == class && taken.load(Ordering::Relaxed) & mask == 0 && aside.load(Ordering::Relaxed) == 0
        });
        free.count() as u16
    }

    /// The seats and whether each is free for direct sale along the stretch.
    pub fn seats(&self, stretch: Stretch) -> impl Iterator<Item = bool> + '_ {
        let mask = stretch.mask();
        self.taken
            .iter()
            .zip(&self.set_aside)
            .map(move |(taken, aside)| taken.load(Ordering::Relaxed) & mask == 0 && aside.load(Ordering::Relaxed) == 0)
    }
}

/// All born departures.
#[derive(Debug, Default)]
pub struct Board {
    departures: DashMap<DepartureId, Arc<Occupancy>>,
}

impl Board {
    /// `None`: the departure is unborn, all its seats are free.
    pub fn get(&self, id: &DepartureId) -> Option<Arc<Occupancy>> {
        self.departures.get(id).map(|entry| Arc::clone(&entry))
    }

    /// The place where a departure's actor publishes, with all of its seats as they are.
    pub fn open(&self, inventory: &Inventory) -> Arc<Occupancy> {
        let spec = inventory.spec();
        let occupancy = Arc::new(Occupancy::new(Arc::clone(&spec.seat_map)));
        let all = 0..spec.seat_map.seats.len() as u16;
        occupancy.publish(inventory, all);
        self.departures.insert(spec.id.clone(), Arc::clone(&occupancy));
        occupancy
    }

    /// Forgets a departure that sleeps.
    pub fn close(&self, id: &DepartureId) {
        self.departures.remove(id);
    }
}

impl Occupancy {
    /// Called by the departure's actor only, after `evolve`.
    pub fn publish(&self, inventory: &Inventory, seats: impl Iterator<Item = u16>) {
        for seat in seats {
            let index = usize::from(seat);
            if let (Some(taken), Some(aside)) = (self.taken.get(index), self.set_aside.get(index)) {
                taken.store(inventory.occupancy(seat), Ordering::Relaxed);
                let direct = inventory.channel_of(seat) == Some(&Channel::Direct);
                aside.store(if direct { 0 } else { SET_ASIDE }, Ordering::Relaxed);
            }
        }
    }
}

//! The few seats of one hold, without an allocation.

use std::fmt;

use crate::departure::Stretch;
use crate::hold::Takes;
use crate::party::PARTY_MAX;

/// Most seats of one hold: every journey item of an order seats its whole party.
pub const SEATS_PER_HOLD_MAX: usize = PARTY_MAX as usize;

/// What a hold takes of a departure: seats on a stretch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldSeats {
    /// Index into the seat map's classes.
    pub class: u8,
    /// Index for [`Inventory::channel`](super::Inventory::channel).
    pub channel: u8,
    pub stretch: Stretch,
    /// All seats of the hold, in the order of the request, also those freed since.
    pub seats: SeatList,
    /// One bit per seat of `seats` that after-sales has put back on sale.
    pub(super) freed: u16,
}

impl HeldSeats {
    /// The seats it still takes.
    pub fn live_seats(&self) -> impl Iterator<Item = u16> + '_ {
        self.split_seats(false)
    }

    /// The seats that after-sales has put back on sale.
    pub fn freed_seats(&self) -> impl Iterator<Item = u16> + '_ {
        self.split_seats(true)
    }

    fn split_seats(&self, freed: bool) -> impl Iterator<Item = u16> + '_ {
        let is_freed = move |at: usize| self.freed & (1 << at) != 0;
        self.seats.iter().enumerate().filter(move |(at, _)| is_freed(*at) == freed).map(|(_, seat)| seat)
    }
}

impl Takes for HeldSeats {
    fn is_given_back(&self) -> bool {
        self.live_seats().next().is_none()
    }
}

/// Up to [`SEATS_PER_HOLD_MAX`] seats, as indices into the seat map.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SeatList {
    len: u8,
    // Zero beyond `len`, so that equal lists are equal bytes.
    seats: [u16; SEATS_PER_HOLD_MAX],
}

impl SeatList {
    /// `None` for more than [`SEATS_PER_HOLD_MAX`] seats.
    pub fn new(seats: impl IntoIterator<Item = u16>) -> Option<SeatList> {
        let mut list = SeatList::default();
        for seat in seats {
            *list.seats.get_mut(usize::from(list.len))? = seat;
            list.len += 1;
        }
        Some(list)
    }

    pub fn as_slice(&self) -> &[u16] {
        self.seats.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.as_slice().iter().copied()
    }

    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn contains(&self, seat: u16) -> bool {
        self.as_slice().contains(&seat)
    }
}

impl fmt::Debug for SeatList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

//! The few seats of one hold, without an allocation.

use std::fmt;

use crate::party::PARTY_MAX;

/// Most seats of one hold: every journey item of an order seats its whole party.
pub const SEATS_PER_HOLD_MAX: usize = PARTY_MAX as usize;

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

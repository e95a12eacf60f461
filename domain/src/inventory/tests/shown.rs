//! What only stories look at.

use super::*;

/// A seat as the seat map shows it to one channel, on one stretch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeatState {
    Free,
    /// Held or sold somewhere on the stretch.
    Taken,
    /// Set aside for another channel.
    NotForSale,
}

impl Inventory {
    /// Every seat as the map shows it to a channel, in the order of the map. Nothing for a stretch that the departure
    /// lacks.
    pub fn seat_states<'a>(
        &'a self,
        stretch: Stretch,
        channel: &Channel,
    ) -> impl Iterator<Item = (&'a Seat, SeatState)> + 'a {
        let own = self.channel_index(channel);
        let mask = self.spec.stretch(stretch.board, stretch.alight).map(Stretch::mask);
        let state = move |place: &Place, taken: u64, mask: u64| {
            if Some(place.pool.channel) != own {
                SeatState::NotForSale
            } else if taken & mask == 0 {
                SeatState::Free
            } else {
                SeatState::Taken
            }
        };
        let seats = self.spec.seat_map.seats.iter().zip(&self.places).zip(0_u16..);
        seats.filter_map(move |((seat, place), index)| Some((seat, state(place, self.taken.of(index), mask?))))
    }
}

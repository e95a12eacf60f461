//! Which seats are held or sold on which way between neighbouring stops. Bits stand by way and seat, so that 64 seats are
//! looked at together: the choice of seats on a large vessel is most of what a hold would cost otherwise.

use super::{Pool, SeatList};

/// Seats whose bits share a word.
pub(super) const WORD_SEATS: usize = u64::BITS as usize;

/// See the module's documentation. Ways are named by the bits of [`Stretch::mask`](crate::departure::Stretch::mask).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    pub(super) ways: usize,
    /// Word by word of the seats, for each the words of all ways.
    bits: Box<[u64]>,
    /// Until something changes.
    best_fit: Option<BestFit>,
}

/// The seats taken last were the best fit for so many in their pool, along these ways. Nothing has changed since, so
/// every other run of free neighbours that has room for as many is longer than what is left of theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BestFit {
    pub(super) pool: Pool,
    pub(super) mask: u64,
    pub(super) seats: SeatList,
}

impl Taken {
    /// Nothing is taken. There are `ways` between `ways + 1` stops.
    pub(super) fn nothing(seats: usize, ways: usize) -> Taken {
        Taken { ways, bits: vec![0; seats.div_ceil(WORD_SEATS) * ways].into_boxed_slice(), best_fit: None }
    }

    pub(super) fn best_fit(&self) -> Option<&BestFit> {
        self.best_fit.as_ref()
    }

    /// To be said right after the seats were taken.
    pub(super) fn set_best_fit(&mut self, best_fit: Option<BestFit>) {
        self.best_fit = best_fit;
    }

    pub(super) fn take(&mut self, seat: u16, mask: u64) {
        self.best_fit = None;
        let (word, bit) = place_of(seat);
        for way in Bits(mask) {
            if let Some(bits) = self.bits.get_mut(word * self.ways + way) {
                *bits |= bit;
            }
        }
    }

    pub(super) fn clear(&mut self, seat: u16, mask: u64) {
        self.best_fit = None;
        let (word, bit) = place_of(seat);
        for way in Bits(mask) {
            if let Some(bits) = self.bits.get_mut(word * self.ways + way) {
                *bits &= !bit;
            }
        }
    }

    /// The ways on which a seat is taken; none of a seat that does not exist.
    pub(super) fn of(&self, seat: u16) -> u64 {
        let (word, bit) = place_of(seat);
        let ways = self.word(word).iter().enumerate();
        ways.fold(0, |mask, (way, bits)| if bits & bit == 0 { mask } else { mask | 1 << way })
    }

    /// Which of the word's seats are taken somewhere along the ways of `mask`.
    pub(super) fn along(&self, word: usize, mask: u64) -> u64 {
        let ways = self.word(word);
        Bits(mask).fold(0, |taken, way| taken | ways.get(way).copied().unwrap_or(0))
    }

    fn word(&self, word: usize) -> &[u64] {
        self.bits.get(word * self.ways..(word + 1) * self.ways).unwrap_or_default()
    }
}

/// The word of a seat, and its bit there.
pub(super) fn place_of(seat: u16) -> (usize, u64) {
    let seat = usize::from(seat);
    (seat / WORD_SEATS, 1 << (seat % WORD_SEATS))
}

/// The numbers of the bits that are set, rising.
pub(super) struct Bits(pub(super) u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_taken_on_the_ways_it_was_taken_for_and_no_other_seat_is() {
        let mut taken = Taken::nothing(130, 11);
        taken.take(64, 0b0110);
        taken.take(129, 0b100_0000_0000);
        assert_eq!([taken.of(63), taken.of(64), taken.of(129), taken.of(200)], [0, 0b0110, 0b100_0000_0000, 0]);
        assert_eq!([taken.along(1, 0b0001), taken.along(1, 0b0011), taken.along(2, u64::MAX)], [0, 1, 2]);
        taken.clear(64, 0b0010);
        assert_eq!(taken.of(64), 0b0100);
    }

    #[test]
    fn bits_are_numbered_from_the_lowest() {
        assert_eq!(Bits(0b1001_0010).collect::<Vec<_>>(), [1, 4, 7]);
        assert_eq!(Bits(1 << 63).collect::<Vec<_>>(), [63]);
    }
}

//! Which seats a party gets (R-HOLD-06). One pass over the seats in the common case, and no allocation.
//!
//! A party sits in neighbouring seats of one row if it can; else in one row, with as little between them as possible;
//! else over as few rows as possible. Among equals, the fit that leaves least over wins, so that large gaps stay for
//! large parties; then the seats most used on other stretches, so that seats free the whole way stay so; then the
//! front-most.

use std::cmp::Reverse;

use crate::departure::Seat;

use super::SeatList;

/// The seats of one class that one channel may sell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pool {
    class: u8,
    channel: u8,
}

impl Pool {
    pub(super) const fn new(class: u8, channel: u8) -> Pool {
        Pool { class, channel }
    }

    pub(super) const fn class(self) -> u8 {
        self.class
    }

    pub(super) const fn channel(self) -> u8 {
        self.channel
    }
}

/// What the choice must know of a seat, packed: this list is read for every hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    row: u16,
    column: u8,
    /// Whether the seat before it in the list is its neighbour, with no aisle between.
    joined: bool,
    pub(super) pool: Pool,
}

impl Place {
    /// A seat of the operator's own channel, the first in every list of channels.
    pub(super) fn new(seat: &Seat, before: Option<&Seat>) -> Place {
        let joined =
            before.is_some_and(|before| before.row == seat.row && before.column.checked_add(1) == Some(seat.column));
        Place { row: seat.row, column: seat.column, joined, pool: Pool::new(seat.class, 0) }
    }
}

pub(super) fn count_free(places: &[Place], taken: &[u64], pool: Pool, mask: u64) -> u16 {
    places.iter().zip(taken).filter(|(place, taken)| place.pool == pool && **taken & mask == 0).count() as u16
}

/// `wanted` free seats in the order of the map, or else how many there are.
pub(super) fn pick(places: &[Place], taken: &[u64], pool: Pool, mask: u64, wanted: usize) -> Result<SeatList, u16> {
    let mut best: Option<(usize, Reverse<u32>, usize)> = None;
    let mut available = 0;
    let mut run = 0..0;
    for (seat, (place, bits)) in places.iter().zip(taken).enumerate() {
        let free = place.pool == pool && bits & mask == 0;
        let goes_on = free && place.joined;
        if !goes_on && !run.is_empty() {
            best = better(best, &run, taken, wanted);
            run = 0..0;
        }
        if free {
            available += 1;
            run = if run.is_empty() { seat..seat + 1 } else { run.start..seat + 1 };
        }
    }
    best = better(best, &run, taken, wanted);

    if usize::from(available) < wanted {
        return Err(available);
    }
    let chosen = match best {
        Some((_, _, first)) => SeatList::new((first..first + wanted).map(|seat| seat as u16)),
        None => pick_apart(places, taken, pool, mask, wanted),
    };
    chosen.ok_or(available)
}

/// The better of `best` and the two ends of a run of neighbouring free seats. The middle of a run would leave two small
/// remainders. Ordered by what is left over, use on other stretches, first seat.
fn better(
    best: Option<(usize, Reverse<u32>, usize)>,
    run: &std::ops::Range<usize>,
    taken: &[u64],
    wanted: usize,
) -> Option<(usize, Reverse<u32>, usize)> {
    let Some(left) = run.len().checked_sub(wanted) else { return best };
    if run.is_empty() || best.is_some_and(|(best_left, _, _)| best_left < left) {
        return best;
    }
    let used = |first: usize| -> u32 {
        taken.get(first..first + wanted).unwrap_or_default().iter().map(|bits| bits.count_ones()).sum()
    };
    let end = |first: usize| (left, Reverse(used(first)), first);
    let own = end(run.start).min(end(run.start + left));
    Some(best.map_or(own, |best| best.min(own)))
}

/// The party does not fit into neighbouring seats: the window over the free seats that spans the fewest rows, then the
/// fewest columns of its row. `None` only if fewer than `wanted` are free.
fn pick_apart(places: &[Place], taken: &[u64], pool: Pool, mask: u64, wanted: usize) -> Option<SeatList> {
    let is_free = |(_, (place, bits)): &(usize, (&Place, &u64))| place.pool == pool && **bits & mask == 0;
    let free: Vec<(usize, &Place, u32)> = places
        .iter()
        .zip(taken)
        .enumerate()
        .filter(is_free)
        .map(|(seat, (place, bits))| (seat, place, bits.count_ones()))
        .collect();
    let cost = |at: usize, window: &[(usize, &Place, u32)]| {
        let (first, last) = (window.first()?.1, window.last()?.1);
        let rows = last.row - first.row;
        let columns = if rows == 0 { last.column - first.column } else { 0 };
        // What the rows at both ends of the window have left over.
        let ahead = free.get(..at)?.iter().rev().take_while(|(_, place, _)| place.row == first.row).count();
        let behind = free.get(at + wanted..)?.iter().take_while(|(_, place, _)| place.row == last.row).count();
        let used: u32 = window.iter().map(|(_, _, used)| used).sum();
        Some((rows, columns, ahead + behind, Reverse(used), at))
    };
    let windows = free.windows(wanted.max(1)).enumerate();
    let (_, _, _, _, at) = windows.filter_map(|(at, window)| cost(at, window)).min()?;
    SeatList::new(free.get(at..at + wanted)?.iter().map(|(seat, _, _)| *seat as u16))
}

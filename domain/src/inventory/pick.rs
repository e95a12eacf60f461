//! Which seats a party gets (R-HOLD-06). One pass over the seats in the common case, a word of
//! them at a time, and no allocation; none if the party before was as large and has left enough of its run.
//!
//! A party sits in neighbouring seats of one row if it can; else in one row, with as little between them as possible;
//! else over as few rows as possible. Among equals, the fit that leaves least over wins, so that large gaps stay for
//! large parties; then the seats most used on other stretches, so that seats free the whole way stay so; then the
//! front-most.

use std::cmp::Reverse;

use crate::departure::Seat;

use super::taken::{BestFit, Bits, Taken, WORD_SEATS, place_of};
use super::{Pool, SeatList};

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

/// Where the seats of each pool are, a bit for every seat, derived from the list of places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// See [`Place::joined`].
    joined: Box<[u64]>,
    pools: Vec<(Pool, Box<[u64]>)>,
}

impl Layout {
    pub(super) fn of(places: &[Place]) -> Layout {
        let empty = vec![0; places.len().div_ceil(WORD_SEATS)].into_boxed_slice();
        let mut layout = Layout { joined: empty.clone(), pools: Vec::new() };
        for (place, seat) in places.iter().zip(0_u16..) {
            let (word, bit) = place_of(seat);
            if place.joined
                && let Some(bits) = layout.joined.get_mut(word)
            {
                *bits |= bit;
            }
            if layout.seats_of(place.pool).is_empty() {
                layout.pools.push((place.pool, empty.clone()));
            }
            let own = layout.pools.iter_mut().find(|(pool, _)| *pool == place.pool);
            if let Some(bits) = own.and_then(|(_, seats)| seats.get_mut(word)) {
                *bits |= bit;
            }
        }
        layout
    }

    /// The seats of a pool; empty if it has none.
    fn seats_of(&self, pool: Pool) -> &[u64] {
        self.pools.iter().find(|(known, _)| *known == pool).map_or(&[], |(_, seats)| seats)
    }

    /// Word by word the seats of a pool that are free along the ways of `mask`.
    fn free<'a>(&'a self, taken: &'a Taken, pool: Pool, mask: u64) -> impl Iterator<Item = u64> + 'a {
        self.seats_of(pool).iter().enumerate().map(move |(word, seats)| seats & !taken.along(word, mask))
    }
}

/// The seats of one departure as the choice sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seats<'a> {
    pub places: &'a [Place],
    pub layout: &'a Layout,
    pub taken: &'a Taken,
}

/// Seats for a party, in the order of the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Choice {
    pub seats: SeatList,
    /// Whether they are the best fit of all neighbouring seats.
    pub is_best_fit: bool,
}

/// `wanted` free seats, or else how many there are.
pub(super) fn pick(seats: Seats<'_>, pool: Pool, mask: u64, wanted: usize) -> Result<Choice, u16> {
    if let Some(choice) = pick_beside(seats, pool, mask, wanted) {
        return Ok(choice);
    }
    let mut best: Option<Fit> = None;
    let mut available = 0;
    let mut run = 0..0;
    let most = most_used(seats.taken, mask, wanted);
    let words = seats.layout.free(seats.taken, pool, mask).zip(&seats.layout.joined).enumerate();
    for (word, (free, joined)) in words {
        available += free.count_ones() as u16;
        let mut rest = free;
        while rest != 0 {
            let bit = rest.trailing_zeros();
            // Up to the next seat that is taken, or that no longer stands beside the one before.
            let until = (!free | !joined) & (u64::MAX << bit << 1);
            let end = until.trailing_zeros();
            let (first, last) = (word * WORD_SEATS + bit as usize, word * WORD_SEATS + end as usize);
            if first != run.end || joined >> bit & 1 == 0 {
                best = better(best, &run, seats.taken, most, wanted);
                // Nothing leaves less over than nothing, nor is used more than everywhere else.
                if let Some((0, used, first)) = best
                    && used == most
                {
                    return best_fit(first, wanted).ok_or(available);
                }
                run = first..first;
            }
            run.end = last;
            rest &= u64::MAX.checked_shl(end).unwrap_or(0);
        }
    }
    best = better(best, &run, seats.taken, most, wanted);

    if usize::from(available) < wanted {
        return Err(available);
    }
    let chosen = match best {
        Some((_, _, first)) => best_fit(first, wanted),
        None => pick_apart(seats, pool, mask, wanted).map(|seats| Choice { seats, is_best_fit: false }),
    };
    chosen.ok_or(available)
}

/// From what the party before has left of its run, if that suffices: every other run that does is longer.
fn pick_beside(seats: Seats<'_>, pool: Pool, mask: u64, wanted: usize) -> Option<Choice> {
    let is_alike = |last: &&BestFit| (last.pool, last.mask, last.seats.len()) == (pool, mask, wanted);
    let last = seats.taken.best_fit().filter(is_alike)?;
    let first = usize::from(*last.seats.as_slice().first()?);
    let joined = |seat: usize| has(&seats.layout.joined, seat);
    let is_free = |seat: usize| has(seats.layout.seats_of(pool), seat) && seats.taken.of(seat as u16) & mask == 0;
    // They were at one end of their run, so that free neighbours are on one side only.
    let after = first + wanted;
    let all = seats.places.len();
    let end = (after..all).find(|seat| !(joined(*seat) && is_free(*seat))).unwrap_or(all);
    let start = (1..=first).rev().find(|seat| !(joined(*seat) && is_free(*seat - 1))).unwrap_or(0);
    let run = if end > after { after..end } else { start..first };
    let (_, _, first) = better(None, &run, seats.taken, most_used(seats.taken, mask, wanted), wanted)?;
    best_fit(first, wanted)
}

/// Whether a seat is among those of the bits.
fn has(bits: &[u64], seat: usize) -> bool {
    bits.get(seat / WORD_SEATS).is_some_and(|word| word >> (seat % WORD_SEATS) & 1 != 0)
}

fn best_fit(first: usize, wanted: usize) -> Option<Choice> {
    in_a_row(first, wanted).map(|seats| Choice { seats, is_best_fit: true })
}

fn in_a_row(first: usize, wanted: usize) -> Option<SeatList> {
    SeatList::new((first..first + wanted).map(|seat| seat as u16))
}

/// What neighbouring seats leave over of their run, their use on other stretches, the first of them; the least is best.
type Fit = (usize, Reverse<u32>, usize);

/// The most that free seats can be used on other stretches.
fn most_used(taken: &Taken, mask: u64, wanted: usize) -> Reverse<u32> {
    let others = taken.ways.saturating_sub(mask.count_ones() as usize);
    Reverse((others * wanted) as u32)
}

/// The better of `best` and the two ends of a run of neighbouring free seats, looked at from the front. The middle of a
/// run would leave two small remainders.
fn better(
    best: Option<Fit>,
    run: &std::ops::Range<usize>,
    taken: &Taken,
    most: Reverse<u32>,
    wanted: usize,
) -> Option<Fit> {
    let Some(left) = run.len().checked_sub(wanted) else { return best };
    if run.is_empty() || best.is_some_and(|(best_left, used, _)| (best_left, used) <= (left, most)) {
        return best;
    }
    let used = |first: usize| -> u32 { (first..first + wanted).map(|seat| taken.of(seat as u16).count_ones()).sum() };
    let end = |first: usize| (left, Reverse(used(first)), first);
    let own = end(run.start).min(end(run.start + left));
    Some(best.map_or(own, |best| best.min(own)))
}

/// The party does not fit into neighbouring seats: the window over the free seats that spans the fewest rows, then the
/// fewest columns of its row. `None` only if fewer than `wanted` are free.
fn pick_apart(seats: Seats<'_>, pool: Pool, mask: u64, wanted: usize) -> Option<SeatList> {
    let words = seats.layout.free(seats.taken, pool, mask).enumerate();
    let free = words.flat_map(|(word, free)| Bits(free).map(move |bit| word * WORD_SEATS + bit));
    let free: Vec<(usize, &Place, u32)> = free
        .filter_map(|seat| Some((seat, seats.places.get(seat)?, seats.taken.of(seat as u16).count_ones())))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::departure::Stretch;

    /// A seat of a random map.
    #[derive(Clone, Copy, Debug)]
    struct Drawn {
        behind_aisle: bool,
        class: u8,
        channel: u8,
        /// Ways on which it is taken.
        taken: u64,
    }

    fn drawn(ways: usize) -> impl Strategy<Value = Drawn> {
        let all = (1_u64 << ways) - 1;
        // Most seats are free, so that there are runs of every length.
        let taken = prop_oneof![3 => Just(0), 1 => Just(all), 2 => 0..=all];
        let pool = (prop_oneof![5 => Just(0_u8), 1 => Just(1)], prop_oneof![5 => Just(0_u8), 1 => Just(1)]);
        (prop::bool::weighted(0.2), pool, taken).prop_map(|(behind_aisle, (class, channel), taken)| Drawn {
            behind_aisle,
            class,
            channel,
            taken,
        })
    }

    #[derive(Clone, Debug)]
    struct Case {
        ways: usize,
        width: usize,
        seats: Vec<Drawn>,
        stretch: Stretch,
        wanted: usize,
    }

    fn case() -> impl Strategy<Value = Case> {
        (1_usize..=12).prop_flat_map(|ways| {
            let stretch = (0..ways as u8).prop_flat_map(move |board| (Just(board), board + 1..=ways as u8));
            (1_usize..=12, prop::collection::vec(drawn(ways), 1..200), stretch, 1_usize..=10).prop_map(
                move |(width, seats, (board, alight), wanted)| Case {
                    ways,
                    width,
                    seats,
                    stretch: Stretch::new(board, alight).unwrap(),
                    wanted,
                },
            )
        })
    }

    /// The rule as it is told: of all runs of neighbouring free seats both ends, and of these the best.
    fn told(case: &Case, places: &[Place], mask: u64, pool: Pool) -> Option<usize> {
        let is_free = |seat: usize| places[seat].pool == pool && case.seats[seat].taken & mask == 0;
        let goes_on = |seat: usize| seat > 0 && is_free(seat - 1) && is_free(seat) && places[seat].joined;
        let starts = (0..places.len()).filter(|seat| is_free(*seat) && !goes_on(*seat));
        let runs = starts.map(|start| (start, (start + 1..places.len()).take_while(|seat| goes_on(*seat)).count() + 1));
        let used = |first: usize| -> u32 {
            (first..first + case.wanted).map(|seat| case.seats[seat].taken.count_ones()).sum()
        };
        runs.filter(|(_, length)| *length >= case.wanted)
            .flat_map(|(start, length)| {
                [(start, length - case.wanted), (start + length - case.wanted, length - case.wanted)]
            })
            .min_by_key(|(first, left)| (*left, Reverse(used(*first)), *first))
            .map(|(first, _)| first)
    }

    proptest! {
        #[test]
        fn r_hold_06_the_choice_by_words_is_the_rule_as_it_is_told(case in case()) {
            let mut column = 0;
            let seats: Vec<Seat> = case.seats.iter().enumerate().map(|(at, drawn)| {
                column = if at % case.width == 0 { 0 } else { column + 1 + u8::from(drawn.behind_aisle) };
                Seat { label: format!("{at}"), class: drawn.class, row: (at / case.width) as u16, column }
            }).collect();
            let mut places: Vec<Place> = Vec::new();
            let mut taken = Taken::nothing(seats.len(), case.ways);
            for (at, (seat, drawn)) in seats.iter().zip(&case.seats).enumerate() {
                let mut place = Place::new(seat, at.checked_sub(1).and_then(|before| seats.get(before)));
                place.pool = Pool::new(drawn.class, drawn.channel);
                places.push(place);
                taken.take(at as u16, drawn.taken);
            }
            let layout = Layout::of(&places);
            let (pool, mask) = (Pool::new(0, 0), case.stretch.mask());
            let seats = Seats { places: &places, layout: &layout, taken: &taken };
            let free = (0..places.len()).filter(|seat| places[*seat].pool == pool && case.seats[*seat].taken & mask == 0);
            let available = free.count();

            let chosen = pick(seats, pool, mask, case.wanted).map(|choice| choice.seats);
            prop_assert_eq!(layout.free(&taken, pool, mask).map(u64::count_ones).sum::<u32>() as usize, available);
            if available < case.wanted {
                prop_assert_eq!(chosen, Err(available as u16));
            } else if let Some(first) = told(&case, &places, mask, pool) {
                prop_assert_eq!(chosen.ok(), in_a_row(first, case.wanted));
            } else {
                prop_assert_eq!(chosen.ok(), pick_apart(seats, pool, mask, case.wanted));
            }
        }
    }
}

//! How often each kind of thing was announced since the journal's beginning, and up to where that was counted. Both are one
//! row, so that whatever ends when, every announcement is counted once (rule 16).

use std::collections::BTreeMap;

use crate::announcement::AnnouncementKind;
use crate::machine::{Machine, Room};
use crate::rejection::Rejection;
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, part};
use crate::time::Timestamp;

/// The key of the only row there is.
const ROW: &str = "totals";

row! {
    /// Everything that is counted.
    pub struct TotalsRow<'a>: 26 "announcement_totals", First::Unknown;
    1 follower [Key]: &'a str,
    2 version: u64,
    /// Of the journal: up to here everything is counted.
    3 position: u64,
    4 totals: List<'a, Total>,
}

/// How often one kind was announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Total {
    pub kind: AnnouncementKind,
    pub count: u64,
}

part!(Total { 1 kind: AnnouncementKind, 2 count: u64 } => Some(Total { kind, count }));

/// How often each kind was announced; one that is not there never was.
pub type Counts = BTreeMap<AnnouncementKind, u64>;

/// A stretch of the journal is counted: everything that was announced behind `after`, up to and with `up_to`.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Take {
    pub after: u64,
    pub up_to: u64,
    pub counts: Counts,
}

/// See the module's documentation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    position: u64,
    counts: Counts,
}

impl Totals {
    /// Without a row nothing has been counted.
    pub fn from_rows(rows: &Rows) -> Result<Totals, Damage> {
        let mut totals = Totals::default();
        for row in rows.of() {
            let row: TotalsRow<'_> = row?;
            if row.follower != ROW {
                return Err(row.damage("there is one row only"));
            }
            let counts = row.totals.to_vec().into_iter().map(|total| (total.kind, total.count));
            totals = Totals { position: row.position, counts: counts.collect() };
        }
        Ok(totals)
    }

    /// Of the journal: up to here everything is counted.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn of(&self, kind: AnnouncementKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }
}

impl Machine for Totals {
    type Command = Take;
    /// What is told is what happens.
    type Event = Take;

    const ROOM: Room = Room::Estimated;

    /// A stretch that begins elsewhere was counted already, or would leave a gap: nobody knows what became of the attempt
    /// before, and whoever asks learns where the next one has to begin.
    fn decide(&self, take: &Take, _: Timestamp) -> Result<Vec<Take>, Rejection> {
        let fits = take.after == self.position && take.up_to > self.position;
        Ok(fits.then(|| take.clone()).into_iter().collect())
    }

    fn apply(&mut self, taken: &[Take], version: u64) -> Rows {
        for take in taken {
            self.position = take.up_to;
            for (kind, count) in &take.counts {
                *self.counts.entry(*kind).or_default() += count;
            }
        }
        let totals: Vec<Total> = self.counts.iter().map(|(kind, count)| Total { kind: *kind, count: *count }).collect();
        let mut rows = Rows::default();
        rows.put(&TotalsRow { follower: ROW, version, position: self.position, totals: List::Of(&totals) });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announcement::AnnouncementRow;

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);

    fn take(after: u64, up_to: u64, counts: &[(AnnouncementKind, u64)]) -> Take {
        Take { after, up_to, counts: counts.iter().copied().collect() }
    }

    fn told(totals: &mut Totals, command: &Take) -> Rows {
        let events = totals.decide(command, NOW).unwrap();
        if events.is_empty() { Rows::default() } else { totals.apply(&events, 7) }
    }

    #[test]
    fn rule_16_a_stretch_is_counted_once_however_often_it_is_handed_over() {
        let mut totals = Totals::default();
        let first = take(0, 10, &[(AnnouncementKind::Paid, 2), (AnnouncementKind::Redeemed, 1)]);
        told(&mut totals, &first);
        assert!(told(&mut totals, &first).is_empty(), "a repetition");
        assert!(
            told(&mut totals, &take(5, 20, &[(AnnouncementKind::Paid, 9)])).is_empty(),
            "it would count some twice"
        );
        assert!(told(&mut totals, &take(11, 20, &[(AnnouncementKind::Paid, 9)])).is_empty(), "it would leave a gap");
        told(&mut totals, &take(10, 12, &[(AnnouncementKind::Paid, 1)]));

        assert_eq!(totals.position(), 12);
        let counted = AnnouncementKind::ALL.map(|kind| totals.of(kind));
        assert_eq!(counted, [3, 0, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn rule_16_counts_and_position_are_one_row_and_come_back_from_it() {
        let mut totals = Totals::default();
        let rows = told(&mut totals, &take(0, 10, &[(AnnouncementKind::Cancelled, 3)]));
        assert_eq!(rows.images().count(), 1);
        assert!(!rows.has(AnnouncementRow::TABLE), "nothing follows from what a follower writes");
        assert_eq!(Totals::from_rows(&rows), Ok(totals.clone()));
        let moved = told(&mut totals, &take(10, 4_000, &[]));
        assert_eq!(Totals::from_rows(&moved).unwrap().position(), 4_000, "a position moves by itself, too");
        assert_eq!(Totals::from_rows(&Rows::default()), Ok(Totals::default()), "a new one has no row");
    }
}

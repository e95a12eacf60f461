//! Which part of the price a ticket stands for (R-PRICE-01): fixed at the sale. All shares together are the price, to the cent.

use crate::order::draft::{Draft, LineKind, PriceLine};

impl Draft {
    /// The share of a passenger's ticket for an item, in minor units: what the lines of the item say of passengers of this
    /// kind, in equal parts. The cents that cannot be split go to the first of them.
    pub(in crate::order) fn share(&self, item: usize, passenger: usize) -> i64 {
        let Some(kind) = self.passengers.get(passenger).map(|passenger| passenger.kind) else { return 0 };
        let is_of = |line: &&PriceLine| match &line.kind {
            LineKind::Journey { passenger, .. } => usize::from(line.item) == item && *passenger == kind,
        };
        let total: i64 = self.price.lines.iter().filter(is_of).map(|line| line.total_minor).sum();
        let alike = self.passengers.iter().enumerate().filter(|(_, other)| other.kind == kind);
        let (count, before) =
            alike.fold((0, 0), |(count, before), (place, _)| (count + 1, before + i64::from(place < passenger)));
        total.div_euclid(count) + i64::from(before < total.rem_euclid(count))
    }
}

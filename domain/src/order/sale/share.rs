//! Which part of the price a ticket stands for (R-PRICE-01): fixed at the sale. All shares together are the price, to the cent.

use crate::order::draft::{Draft, PriceLine};
use crate::package::EntitlementTerms;

impl Draft {
    /// The share of a passenger for an item, in minor units: what the lines of the item say of passengers of this kind, in
    /// equal parts. The cents that cannot be split go to the first of them.
    pub(in crate::order) fn share(&self, item: usize, passenger: usize) -> i64 {
        let Some(kind) = self.passengers.get(passenger).map(|passenger| passenger.kind) else { return 0 };
        let is_of = |line: &&PriceLine| usize::from(line.item) == item && line.kind.passenger() == kind;
        let total: i64 = self.price.lines.iter().filter(is_of).map(|line| line.total_minor).sum();
        let alike = self.passengers.iter().enumerate().filter(|(_, other)| other.kind == kind);
        let (count, before) =
            alike.fold((0, 0), |(count, before), (place, _)| (count + 1, before + i64::from(place < passenger)));
        total.div_euclid(count) + i64::from(before < total.rem_euclid(count))
    }
}

/// What each of a package's entitlements stands for of `total` minor units: by their weights, or equal parts if they have
/// none. What cannot be split goes to the first.
pub(in crate::order) fn by_weight(total: i64, entitlements: &[EntitlementTerms]) -> Vec<i64> {
    let unweighted = entitlements.iter().all(|terms| terms.weight == 0);
    let weight = |terms: &EntitlementTerms| if unweighted { 1 } else { i128::from(terms.weight) };
    let all: i128 = entitlements.iter().map(weight).sum();
    // No part is larger than what is split, so it fits.
    let part = |terms: &EntitlementTerms| (i128::from(total) * weight(terms)).div_euclid(all.max(1)) as i64;
    let mut parts: Vec<i64> = entitlements.iter().map(part).collect();
    let rest = total - parts.iter().sum::<i64>();
    if let Some(first) = parts.first_mut() {
        *first += rest;
    }
    parts
}

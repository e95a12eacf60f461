//! Which tickets an order gives (R-TICKET-01, R-TICKET-02).

use crate::ids::{EntitlementCode, MerchantCode, TicketId};
use crate::order::sale::by_weight;
use crate::order::{Draft, ItemKind, Leg, Order};
use crate::package::{EntitlementTerms, PackageTerms};
use crate::ticket::{
    BOARDING, Entitlement, Holder, JOURNEY_VALID_AFTER_DEPARTURE_SECONDS, Journey, Right, Ticket, TicketStatus,
};
use crate::time::Timestamp;

/// What a ticket of an item gives, and its share of the price.
type Given = (Holder, Right, i64);

impl Order {
    /// One ticket per passenger and journey, per passenger and personal entitlement, and per shared entitlement. `seats` are
    /// those of each item.
    pub(in crate::order) fn issue<'a>(
        &self,
        seats: impl Iterator<Item = &'a [Box<str>]>,
        now: Timestamp,
    ) -> Vec<Ticket> {
        let draft = self.details();
        let mut tickets = Vec::with_capacity(self.items().len() * draft.passengers.len());
        for (index, (item, seats)) in self.items().iter().zip(seats).enumerate() {
            let mut issue = |(holder, right, price_minor): Given| {
                let id = TicketId { order: self.id(), number: tickets.len() as u16 + 1 };
                let item = index as u16;
                let (status, redemptions) = (TicketStatus::Usable, Vec::new());
                tickets.push(Ticket { id, item, holder, right, status, price_minor, issued_at: now, redemptions });
            };
            match &item.kind {
                ItemKind::Journey(leg) => {
                    for (passenger, seat) in seats.iter().enumerate() {
                        let right = Right::Journey(journey(leg, seat, now));
                        issue((Holder::Passenger(passenger as u16), right, self.share_of_journey(index, passenger)));
                    }
                }
                ItemKind::Package(terms) => entitlements(draft, index, terms, now).into_iter().for_each(issue),
            }
        }
        tickets
    }

    /// What a passenger pays for a journey: its price, or its part of the price of a package that gives nothing but journeys.
    /// What cannot be split goes to the first.
    fn share_of_journey(&self, index: usize, passenger: usize) -> i64 {
        let draft = self.details();
        let part_of = self.items().get(index).and_then(|item| item.part_of);
        let package = part_of.and_then(|package| self.items().get(usize::from(package))?.package());
        let Some(package) = part_of.filter(|_| package.is_some_and(|package| package.entitlements.is_empty())) else {
            return draft.share(index, passenger);
        };
        let journeys = || self.items().iter().zip(0..).filter(|(item, _)| item.part_of == Some(package));
        let (total, count) = (draft.share(package.into(), passenger), journeys().count() as i64);
        let is_first = journeys().next().is_some_and(|(_, first)| first == index);
        total.div_euclid(count) + if is_first { total.rem_euclid(count) } else { 0 }
    }
}

fn journey(leg: &Leg, seat: &str, now: Timestamp) -> Journey {
    let valid_from = leg.boards_from.map_or(now, |boards_from| boards_from.max(now));
    Journey {
        departure: leg.departure.clone(),
        stretch: leg.stretch,
        seat: seat.into(),
        board_port: leg.board_port.clone(),
        departs_at: leg.departs_at,
        boarding: Entitlement {
            code: EntitlementCode::constant(BOARDING),
            merchant: Some(MerchantCode::from(&leg.operator)),
            total: 1,
            remaining: 1,
            valid_from,
            valid_until: leg.departs_at.plus_seconds(JOURNEY_VALID_AFTER_DEPARTURE_SECONDS).max(valid_from),
        },
    }
}

/// Each passenger's own, then those of the whole party. What a passenger pays is split over all that he has a part in.
fn entitlements(draft: &Draft, item: usize, terms: &PackageTerms, now: Timestamp) -> Vec<Given> {
    let mut shared = vec![0; terms.entitlements.len()];
    let mut given = Vec::new();
    for passenger in 0..draft.passengers.len() {
        let parts = by_weight(draft.share(item, passenger), &terms.entitlements);
        for ((entitlement, part), shared) in terms.entitlements.iter().zip(parts).zip(&mut shared) {
            if entitlement.shared {
                *shared += part;
            } else {
                let right = Right::Entitlement(entitlement_of(terms, entitlement, now));
                given.push((Holder::Passenger(passenger as u16), right, part));
            }
        }
    }
    let of_party = terms.entitlements.iter().zip(shared).filter(|(entitlement, _)| entitlement.shared);
    given.extend(
        of_party.map(|(entitlement, part)| {
            (Holder::Party, Right::Entitlement(entitlement_of(terms, entitlement, now)), part)
        }),
    );
    given
}

fn entitlement_of(terms: &PackageTerms, entitlement: &EntitlementTerms, now: Timestamp) -> Entitlement {
    let (valid_from, valid_until) = entitlement.validity.from_payment(now, &terms.zone);
    let total = entitlement.quantity.saturating_mul(terms.quantity);
    Entitlement {
        code: entitlement.code.clone(),
        merchant: entitlement.merchant.clone(),
        total,
        remaining: total,
        valid_from,
        valid_until,
    }
}

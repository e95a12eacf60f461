//! Which tickets an order gives (R-TICKET-01, R-TICKET-02).

use crate::ids::{EntitlementCode, MerchantCode, TicketId};
use crate::order::{ItemKind, Leg, Order};
use crate::ticket::{
    BOARDING, Entitlement, Holder, JOURNEY_VALID_AFTER_DEPARTURE_SECONDS, Journey, Right, Ticket, TicketStatus,
};
use crate::time::Timestamp;

impl Order {
    /// One ticket per passenger and journey. `seats` are those of each item.
    pub(in crate::order) fn issue<'a>(
        &self,
        seats: impl Iterator<Item = &'a [Box<str>]>,
        now: Timestamp,
    ) -> Vec<Ticket> {
        let mut tickets = Vec::with_capacity(self.items().len() * self.details().passengers.len());
        for (index, (item, seats)) in self.items().iter().zip(seats).enumerate() {
            let ItemKind::Journey(leg) = &item.kind;
            for (passenger, seat) in seats.iter().enumerate() {
                let number = tickets.len() as u16 + 1;
                tickets.push(Ticket {
                    id: TicketId { order: self.id(), number },
                    item: index as u16,
                    holder: Holder::Passenger(passenger as u16),
                    right: Right::Journey(journey(leg, seat, now)),
                    status: TicketStatus::Usable,
                    price_minor: self.details().share(index, passenger),
                    issued_at: now,
                    redemptions: Vec::new(),
                });
            }
        }
        tickets
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
            merchant: MerchantCode::from(&leg.operator),
            total: 1,
            remaining: 1,
            valid_from,
            valid_until: leg.departs_at.plus_seconds(JOURNEY_VALID_AFTER_DEPARTURE_SECONDS).max(valid_from),
        },
    }
}

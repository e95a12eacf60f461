//! Which tickets an order gives (R-TICKET-01, R-TICKET-02).

use crate::ids::{EntitlementCode, MerchantCode, TicketId};
use crate::order::Order;
use crate::ticket::{BOARDING, JOURNEY_VALID_AFTER_DEPARTURE_SECONDS, Journey, Ticket, TicketStatus};
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
            for (passenger, seat) in seats.iter().enumerate() {
                let number = tickets.len() as u16 + 1;
                tickets.push(Ticket {
                    id: TicketId { order: self.id(), number },
                    item: index as u16,
                    passenger: passenger as u16,
                    journey: Journey {
                        departure: item.departure.clone(),
                        stretch: item.stretch,
                        seat: seat.clone(),
                        board_port: item.board_port.clone(),
                        departs_at: item.departs_at,
                    },
                    merchant: MerchantCode::from(&item.operator),
                    entitlement: EntitlementCode::constant(BOARDING),
                    total: 1,
                    remaining: 1,
                    status: TicketStatus::Usable,
                    price_minor: self.details().share(index, passenger),
                    issued_at: now,
                    valid_from: now,
                    valid_until: item.departs_at.plus_seconds(JOURNEY_VALID_AFTER_DEPARTURE_SECONDS).max(now),
                    redemptions: Vec::new(),
                });
            }
        }
        tickets
    }
}

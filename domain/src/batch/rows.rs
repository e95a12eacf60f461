//! A batch as rows: one of its own, and a small one for each ticket, by which partners list them. A ticket's row is written
//! when it is generated and when its state changes; what never changes of the batch is written with its first row only.

use std::collections::HashMap;

use super::command::Event;
use super::offer::Offer;
use super::plan::{Distribution, OwnId, Plan, Reseller};
use super::{Batch, BatchId, BatchState, Counts, TicketState};
use crate::announcement::{AnnouncementKind, AnnouncementRow};
use crate::ids::{OrderId, PartnerCode};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Uuid};
use crate::time::Timestamp;

row! {
    /// A batch.
    pub struct BatchRow: 81 "batch_rows", First::Unknown;
    1 batch_id [Key]: Uuid<BatchId>,
    2 version: u64,
    3 partner_id: PartnerCode,
    /// What the partner calls it.
    4 partner_batch_id: OwnId,
    /// SHA-256 of the request.
    5 body_hash: [u8; 32],
    /// `taking`, `active`, `expired` or `given_up`.
    6 status: BatchState,
    7 quantity: u16,
    /// Units that the stock knows it to keep.
    8 units_kept: u16,
    9 distribution_mode: Distribution,
    10 reseller [Json]: Option<Reseller>,
    11 created_at: Timestamp,
    /// Absent: it has no end.
    12 ends_at: Option<Timestamp>,
    /// What is frozen of the product.
    13 offer [Json, Kept]: Option<Offer>,
    /// That its units were drawn from. Absent: it has a hold of its own.
    14 reservation_id: Option<Uuid<OrderId>>,
}

row! {
    /// A ticket of a batch.
    pub struct OtaTicketRow<'a>: 82 "ota_ticket_rows", First::Marked(7);
    /// The order that it becomes.
    1 order_id [Key]: Uuid<OrderId>,
    2 version: u64,
    3 batch_id: Uuid<BatchId>,
    4 partner_id: &'a str,
    5 status: TicketState,
    /// Since when it is so.
    6 since: Timestamp,
}

row! {
    /// Where all tickets of a batch stand, as a database answers it.
    pub struct BatchTicketsRow<'a>: 1_080 "batch_tickets", First::Unknown;
    1 batch_id [Key]: Uuid<BatchId>,
    /// The newest of them.
    2 version: u64,
    /// The first letter of each one's state, by their numbers.
    3 states: &'a str,
}

impl Batch {
    /// The rows that an event has changed; `expired`: the tickets that it has ended.
    pub(super) fn put_rows(&self, event: &Event, expired: &[u16], version: u64, rows: &mut Rows) {
        match event {
            Event::Begun => rows.put(&self.row(version, true)),
            Event::Generated => {
                rows.put(&self.row(version, false));
                for number in self.plan.numbers() {
                    rows.put_first(&self.ticket_row(number, self.plan.created_at, version));
                }
            }
            Event::GivenUp | Event::UnitsReturned { .. } => rows.put(&self.row(version, false)),
            Event::TicketChanged { number, at, .. } => rows.put(&self.ticket_row(*number, *at, version)),
            Event::Ended { at } => {
                rows.put(&self.row(version, false));
                self.put_expiry(*at, version, rows);
                for number in expired {
                    rows.put(&self.ticket_row(*number, *at, version));
                }
            }
        }
    }

    /// That some of its tickets were never activated.
    fn put_expiry(&self, at: Timestamp, version: u64, rows: &mut Rows) {
        let expired = self.counts.of(TicketState::Expired);
        if expired == 0 {
            return;
        }
        rows.put(&AnnouncementRow {
            order_id: self.id().holder(),
            version,
            kind: AnnouncementKind::BatchExpired,
            ticket: None,
            number: None,
            at,
            partner: Some(self.plan.partner.clone()),
            item: None,
            count: Some(expired.into()),
            batch: Some(self.plan.own_id.as_str().into()),
        });
    }

    pub(super) fn row(&self, version: u64, is_first: bool) -> BatchRow {
        let Plan {
            id,
            partner,
            own_id,
            body_hash,
            quantity,
            distribution,
            reseller,
            reservation,
            created_at,
            ends_at,
            offer,
        } = &*self.plan;
        BatchRow {
            batch_id: Uuid(*id),
            version,
            partner_id: partner.clone(),
            partner_batch_id: own_id.clone(),
            body_hash: *body_hash,
            status: self.state,
            quantity: *quantity,
            units_kept: self.known_kept,
            distribution_mode: *distribution,
            reseller: reseller.clone(),
            created_at: *created_at,
            ends_at: *ends_at,
            offer: is_first.then(|| offer.clone()),
            reservation_id: reservation.map(Uuid),
        }
    }

    fn ticket_row(&self, number: u16, since: Timestamp, version: u64) -> OtaTicketRow<'_> {
        OtaTicketRow {
            order_id: Uuid(self.id().ticket(number)),
            version,
            batch_id: Uuid(self.id()),
            partner_id: self.plan.partner.as_str(),
            status: self.ticket(number).unwrap_or(TicketState::PreGenerated),
            since,
        }
    }

    /// The machine that wrote these: a batch's row, and where its tickets stand. One that has none yet has no such row. With
    /// the version of its key.
    pub fn from_row(row: BatchRow, tickets: Option<&BatchTicketsRow<'_>>) -> Result<(Batch, u64), Damage> {
        let offer = row.offer.clone().ok_or_else(|| row.damage("offer is missing"))?;
        let version = row.version.max(tickets.map_or(0, |tickets| tickets.version));
        let plan = Plan {
            id: row.batch_id.0,
            partner: row.partner_id,
            own_id: row.partner_batch_id,
            body_hash: row.body_hash,
            quantity: row.quantity,
            distribution: row.distribution_mode,
            reseller: row.reseller,
            reservation: row.reservation_id.map(|Uuid(number)| number),
            created_at: row.created_at,
            ends_at: row.ends_at,
            offer,
        };
        let mut batch = Batch::planned(plan);
        (batch.state, batch.known_kept) = (row.status, row.units_kept);
        if let Some(tickets) = tickets {
            batch.tickets = states(tickets, batch.plan.quantity)?;
            batch.counts = Counts::of_all(&batch.tickets);
        }
        Ok((batch, version))
    }

    /// As [`Batch::from_row`], of every batch among rows.
    pub fn from_rows(rows: &Rows) -> Result<Vec<(Batch, u64)>, Damage> {
        let mut tickets = HashMap::new();
        for row in rows.of::<BatchTicketsRow<'_>>() {
            let row = row?;
            tickets.insert(row.batch_id.0, row);
        }
        let batches = rows.of::<BatchRow>().map(|row| {
            let row = row?;
            let of_it = tickets.get(&row.batch_id.0);
            Batch::from_row(row, of_it)
        });
        batches.collect()
    }
}

fn states(row: &BatchTicketsRow<'_>, quantity: u16) -> Result<Box<[TicketState]>, Damage> {
    let of_letter = |letter: char| TicketState::ALL.into_iter().find(|state| state.code().starts_with(letter));
    let states: Option<Box<[TicketState]>> = row.states.chars().map(of_letter).collect();
    states.filter(|states| states.len() == usize::from(quantity)).ok_or_else(|| row.damage("states do not fit"))
}

//! A partner's book as rows, and the way back. A reservation is imaged when it changes, what was drawn of it when it is drawn
//! or given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::announcement::{AnnouncementKind, AnnouncementRow};
use crate::batch::Offer;
use crate::ids::{OrderId, PartnerCode, TemplateId};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Uuid};
use crate::time::Timestamp;

use super::command::Event;
use super::{Drawn, DrawnFor, PartnerBook, PartnerReservationId, Reservation, ReservationStatus};

row! {
    /// What a partner has reserved.
    pub struct PartnerReservationRow<'a>: 90 "partner_reservation_rows", First::Marked(17);
    /// The `order_id` of its hold.
    1 reservation_id [Key]: Uuid<OrderId>,
    2 version: u64,
    3 partner_id: PartnerCode,
    4 idempotency_key: &'a str,
    /// SHA-256 of the request.
    5 body_hash: [u8; 32],
    6 template_id: TemplateId,
    7 template_version: u32,
    8 product_id: u32,
    9 quantity: u32,
    /// Units that nobody has drawn.
    10 remaining: u32,
    /// Of its hold: what is left while it is active, and what was drawn and not given back.
    11 units_kept: u32,
    /// What the stock knows of `units_kept`; absent: it has not confirmed the hold.
    12 units_told: Option<u32>,
    /// `active`, `expired`, `activated` or `cancelled`.
    13 status: ReservationStatus,
    14 created_at: Timestamp,
    /// Absent: never.
    15 expires_at: Option<Timestamp>,
    16 ended_at: Option<Timestamp>,
    /// What is frozen of the product.
    18 offer [Json, Kept]: Option<Offer>,
}

row! {
    /// What was drawn of a reservation at once.
    pub struct PartnerDrawRow: 91 "partner_draw_rows", First::Marked(9);
    /// Of the batch or order.
    1 drawn_by [Key]: Uuid<OrderId>,
    2 version: u64,
    3 reservation_id: Uuid<OrderId>,
    4 partner_id: PartnerCode,
    /// `batch` or `order`.
    5 drawn_for: DrawnFor,
    6 quantity: u32,
    /// Those that have not been given back.
    7 units_left: u32,
    8 drawn_at: Timestamp,
}

impl PartnerBook {
    /// The book that wrote these rows, without what nobody asks for any more at `now`.
    pub fn from_rows(partner: PartnerCode, rows: &Rows, now: Timestamp) -> Result<PartnerBook, Damage> {
        let mut book = PartnerBook::new(partner);
        let mut reservations = BTreeMap::new();
        for row in rows.of::<PartnerReservationRow<'_>>() {
            let row = row?;
            if row.partner_id != book.partner {
                return Err(row.damage("it is another partner's"));
            }
            reservations.insert(row.reservation_id.0, reservation_from(&row)?);
        }
        for row in rows.of::<PartnerDrawRow>() {
            let row = row?;
            let Some(reservation) = reservations.get_mut(&row.reservation_id.0) else {
                return Err(row.damage("there is no reservation of it"));
            };
            let PartnerDrawRow { drawn_by, drawn_for, quantity, units_left, drawn_at, .. } = row;
            reservation.draws.push(Drawn { by: drawn_by.0, drawn_for, quantity, units_left, at: drawn_at });
        }
        for reservation in reservations.into_values() {
            book.insert(reservation);
        }
        book.forget(now);
        Ok(book)
    }

    /// Images of what `events` changed, as it is now that the machine has evolved by them.
    pub(super) fn changed_rows(&self, events: &[Event], version: u64) -> Rows {
        let mut rows = Rows::default();
        let mut imaged = BTreeSet::new();
        for event in events {
            let (id, drawn_by, is_first) = match event {
                Event::Reserved(reservation) => (reservation.id, None, true),
                Event::Confirmed(id) | Event::Lost { id, .. } | Event::Told { id, .. } | Event::Ended { id, .. } => {
                    (*id, None, false)
                }
                Event::Drawn { id, drawn } => (*id, Some((drawn.by, true)), false),
                Event::GivenBack { id, by, .. } => (*id, Some((*by, false)), false),
                // Its row says what is forgotten.
                Event::Forgotten { .. } => continue,
            };
            let Some(reservation) = self.reservations.get(&id) else { continue };
            if let Event::Ended { status: ReservationStatus::Expired, at, .. } = event {
                rows.put(&self.expired(reservation, *at, version));
            }
            if imaged.insert(id) {
                self.put_reservation(reservation, is_first, version, &mut rows);
            }
            if let Some((by, is_first)) = drawn_by {
                for drawn in reservation.draws.iter().filter(|drawn| drawn.by == by) {
                    self.put_drawn(reservation.id, drawn, is_first, version, &mut rows);
                }
            }
        }
        rows
    }

    fn expired(&self, reservation: &Reservation, at: Timestamp, version: u64) -> AnnouncementRow {
        AnnouncementRow {
            order_id: reservation.id.0,
            version,
            kind: AnnouncementKind::ReservationExpired,
            ticket: None,
            number: None,
            at,
            partner: Some(self.partner.clone()),
            item: None,
            count: Some(reservation.remaining()),
            batch: None,
        }
    }

    fn put_reservation(&self, reservation: &Reservation, is_first: bool, version: u64, rows: &mut Rows) {
        let row = PartnerReservationRow {
            reservation_id: Uuid(reservation.id.0),
            version,
            partner_id: self.partner.clone(),
            idempotency_key: &reservation.idempotency_key,
            body_hash: reservation.body_hash,
            template_id: reservation.template.clone(),
            template_version: reservation.template_version,
            product_id: reservation.product,
            quantity: reservation.quantity,
            remaining: reservation.remaining(),
            units_kept: reservation.keeps(),
            units_told: reservation.told,
            status: reservation.recorded,
            created_at: reservation.created_at,
            expires_at: reservation.expires_at,
            ended_at: reservation.ended_at,
            offer: reservation.offer.as_deref().filter(|_| is_first).cloned(),
        };
        rows.put_as(is_first, &row);
    }

    fn put_drawn(&self, id: PartnerReservationId, drawn: &Drawn, is_first: bool, version: u64, rows: &mut Rows) {
        let row = PartnerDrawRow {
            drawn_by: Uuid(drawn.by),
            version,
            reservation_id: Uuid(id.0),
            partner_id: self.partner.clone(),
            drawn_for: drawn.drawn_for,
            quantity: drawn.quantity,
            units_left: drawn.units_left,
            drawn_at: drawn.at,
        };
        rows.put_as(is_first, &row);
    }
}

/// Without what was drawn of it, which its own rows say.
fn reservation_from(row: &PartnerReservationRow<'_>) -> Result<Reservation, Damage> {
    let id = PartnerReservationId::of_number(row.reservation_id.0);
    let id = id.ok_or_else(|| row.damage("its id is no reservation's"))?;
    Ok(Reservation {
        id,
        idempotency_key: row.idempotency_key.into(),
        body_hash: row.body_hash,
        template: row.template_id.clone(),
        template_version: row.template_version,
        product: row.product_id,
        quantity: row.quantity,
        created_at: row.created_at,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
        offer: row.offer.clone().filter(|_| row.status == ReservationStatus::Active).map(Arc::new),
        recorded: row.status,
        draws: Vec::new(),
        told: row.units_told,
    })
}

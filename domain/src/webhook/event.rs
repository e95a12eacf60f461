//! What partners are told, and the message that tells it.

use std::sync::Arc;

use serde::Serialize;

use crate::announcement::{AnnouncementKind, AnnouncementRow};
use crate::ids::{OrderId, PartnerCode, TicketId, codes};
use crate::order::UnitId;
use crate::time::Timestamp;

/// What a partner is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EventKind {
    /// A ticket is active, and its order there.
    TicketActivated,
    /// Something of a ticket was redeemed; once for each redemption.
    TicketRedeemed,
    /// Nothing of a ticket is left.
    TicketUsed,
    TicketRefunded,
    /// A batch has ended: so many of its tickets were never activated.
    BatchExpired,
    /// A reservation has ended: so many of its units have returned.
    ReservationExpired,
}

codes!(EventKind, "webhook event":
    TicketActivated = "ticket.activated",
    TicketRedeemed = "ticket.redeemed",
    TicketUsed = "ticket.used",
    TicketRefunded = "ticket.refunded",
    BatchExpired = "batch.expired",
    ReservationExpired = "reservation.expired",
);

/// Something that happened to what a partner has sold or reserved.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Event {
    pub kind: EventKind,
    /// What it happened to, as the partner calls it: a ticket code, a batch id, or a reservation id.
    pub subject: Box<str>,
    /// Of a ticket.
    pub order: Option<OrderId>,
    /// Of a redemption: the number, within the order, of what was redeemed.
    pub ticket: Option<u16>,
    /// Of what expired.
    pub count: Option<u32>,
    /// When it happened.
    pub at: Timestamp,
}

impl Event {
    /// What an announcement says to a partner, if it is about something that one has sold. Of a paid order that is the
    /// activation of every unit of it, in their order.
    pub fn announced(row: &AnnouncementRow) -> Vec<(PartnerCode, Event)> {
        let AnnouncementRow { order_id, kind, ticket, at, ref partner, item, count, ref batch, .. } = *row;
        let Some(partner) = partner else { return Vec::new() };
        let of_unit = |kind, item| {
            let subject = UnitId { order: order_id, item }.to_string().into();
            (partner.clone(), Event { kind, subject, order: Some(order_id), ticket, count: None, at })
        };
        let expired = |kind, subject| (partner.clone(), Event { kind, subject, order: None, ticket: None, count, at });
        // What is said of an order without its item is said of its first unit, as which it is known itself.
        let first = item.unwrap_or(0);
        match kind {
            AnnouncementKind::Paid => {
                let units = count.and_then(|count| u16::try_from(count).ok()).unwrap_or(1);
                (first..first.saturating_add(units)).map(|item| of_unit(EventKind::TicketActivated, item)).collect()
            }
            AnnouncementKind::Redeemed => vec![of_unit(EventKind::TicketRedeemed, first)],
            AnnouncementKind::Used => vec![of_unit(EventKind::TicketUsed, first)],
            AnnouncementKind::Refunded => vec![of_unit(EventKind::TicketRefunded, first)],
            AnnouncementKind::ReservationExpired => {
                vec![expired(EventKind::ReservationExpired, order_id.to_string().into())]
            }
            AnnouncementKind::BatchExpired => {
                batch.clone().map(|batch| expired(EventKind::BatchExpired, batch)).into_iter().collect()
            }
            // Its last ticket says so.
            AnnouncementKind::Completed => Vec::new(),
            // Only travellers pay us, late or not at all.
            AnnouncementKind::Cancelled | AnnouncementKind::Revived => Vec::new(),
        }
    }
}

/// An event with its number at its partner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numbered {
    /// From 1, without gaps.
    pub sequence: u64,
    pub event: Arc<Event>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence: u64,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
}

impl Numbered {
    /// The message's id: the same however often it is sent, and no other event's, whoever the partner is. It holds no `.`,
    /// which separates it from what else is signed; a code never holds a `~`.
    pub fn message_id(&self, partner: &PartnerCode) -> String {
        format!("evt_{}_{}", partner.as_str().replace('.', "~"), self.sequence)
    }

    /// The message, as JSON: the same however often it is sent.
    pub fn body(&self) -> String {
        let Event { kind, subject, order, ticket, count, at } = &*self.event;
        let named = match kind {
            EventKind::TicketActivated
            | EventKind::TicketRedeemed
            | EventKind::TicketUsed
            | EventKind::TicketRefunded => Data { ticket_code: Some(subject), ..Data::default() },
            EventKind::BatchExpired => Data { batch_id: Some(subject), ..Data::default() },
            EventKind::ReservationExpired => Data { reservation_id: Some(subject), ..Data::default() },
        };
        let ticket_id = order.zip(*ticket).map(|(order, number)| TicketId { order, number }.to_string());
        let data = Data { order_id: order.map(|order| order.to_string()), ticket_id, count: *count, ..named };
        let body = Body { kind: kind.code(), sequence: self.sequence, timestamp: at.to_string(), data };
        // Texts and numbers only: JSON has a form for all of them.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Shard;
    use crate::partner::PartnerReservationId;

    const AT: Timestamp = Timestamp::from_ms(1_764_000_000_000);

    #[test]
    fn r_ota_09_a_message_says_what_happened_to_what_the_partner_knows() {
        let order = OrderId::compose(AT, Shard::of(3), 5);
        let redeemed = Event {
            kind: EventKind::TicketRedeemed,
            subject: order.to_string().into(),
            order: Some(order),
            ticket: Some(2),
            count: None,
            at: AT,
        };
        let redeemed = Numbered { sequence: 17, event: Arc::new(redeemed) };
        assert_eq!(
            redeemed.body(),
            format!(
                r#"{{"type":"ticket.redeemed","sequence":17,"timestamp":"2025-11-24T16:00:00Z","data":{{"ticketCode":"{order}","orderId":"{order}","ticketId":"{order}-2"}}}}"#
            )
        );
        let kind = EventKind::BatchExpired;
        let expired = Event { kind, subject: "MAY \"1\"".into(), order: None, ticket: None, count: Some(40), at: AT };
        let expired = Numbered { sequence: 18, event: Arc::new(expired) };
        assert_eq!(
            expired.body(),
            r#"{"type":"batch.expired","sequence":18,"timestamp":"2025-11-24T16:00:00Z","data":{"batchId":"MAY \"1\"","count":40}}"#
        );
        let ids = ["a.b", "a_b", "a-b"].map(|partner| expired.message_id(&partner.parse().unwrap()));
        assert_eq!(ids, ["evt_a~b_18", "evt_a_b_18", "evt_a-b_18"]);
    }

    #[test]
    fn r_ota_09_a_partner_hears_of_what_it_has_sold_and_of_nothing_else() {
        let order_id = OrderId::compose(AT, Shard::of(3), 5);
        let partner = Some(PartnerCode::constant("partner-a"));
        let row = AnnouncementRow {
            order_id,
            version: 0,
            kind: AnnouncementKind::Paid,
            ticket: None,
            number: None,
            at: AT,
            partner,
            item: Some(1),
            count: None,
            batch: None,
        };
        let expiries = [AnnouncementKind::ReservationExpired, AnnouncementKind::BatchExpired];
        let of_orders = || AnnouncementKind::ALL.into_iter().filter(|kind| !expiries.contains(kind));
        let heard = |kind| {
            let (partner, event) = Event::announced(&AnnouncementRow { kind, ..row.clone() }).pop()?;
            let unit = UnitId { order: order_id, item: 1 }.to_string();
            assert_eq!((partner.as_str(), event.order, &*event.subject), ("partner-a", Some(order_id), &*unit));
            Some(event.kind.code())
        };
        assert_eq!(
            of_orders().map(|kind| (kind.code(), heard(kind).unwrap_or("nothing"))).collect::<Vec<_>>(),
            [
                ("paid", "ticket.activated"),
                ("cancelled", "nothing"),
                ("revived", "nothing"),
                ("redeemed", "ticket.redeemed"),
                ("completed", "nothing"),
                ("used", "ticket.used"),
                ("refunded", "ticket.refunded"),
            ]
        );
        assert_eq!(Event::announced(&AnnouncementRow { partner: None, ..row }), [], "a traveller's");
    }

    #[test]
    fn r_ota_09_a_partner_hears_of_every_unit_of_an_order() {
        let order_id = OrderId::compose(AT, Shard::of(3), 5);
        let row = |count| AnnouncementRow {
            order_id,
            version: 0,
            kind: AnnouncementKind::Paid,
            ticket: None,
            number: None,
            at: AT,
            partner: Some(PartnerCode::constant("partner-a")),
            item: None,
            count,
            batch: None,
        };
        let heard = |count| {
            let events = Event::announced(&row(count)).into_iter();
            let heard = events.map(|(_, Event { kind, subject, order, count, .. })| {
                assert_eq!((kind, order, count), (EventKind::TicketActivated, Some(order_id), None));
                String::from(subject)
            });
            heard.collect::<Vec<_>>()
        };
        assert_eq!(heard(None), [order_id.to_string()]);
        assert_eq!(heard(Some(3)), [order_id.to_string(), format!("{order_id}.2"), format!("{order_id}.3")]);
    }

    #[test]
    fn r_ota_09_a_partner_hears_how_many_units_of_a_reservation_came_back() {
        let reservation = PartnerReservationId::compose(AT, 5);
        let row = AnnouncementRow {
            order_id: reservation.hold().hold.order,
            version: 7,
            kind: AnnouncementKind::ReservationExpired,
            ticket: None,
            number: None,
            at: AT,
            partner: Some(PartnerCode::constant("partner-a")),
            item: None,
            count: Some(30),
            batch: None,
        };
        let (partner, event) = Event::announced(&row).pop().unwrap();
        assert_eq!(partner.as_str(), "partner-a");
        assert_eq!(
            Numbered { sequence: 19, event: Arc::new(event) }.body(),
            format!(
                r#"{{"type":"reservation.expired","sequence":19,"timestamp":"2025-11-24T16:00:00Z","data":{{"reservationId":"{reservation}","count":30}}}}"#
            )
        );
    }
}

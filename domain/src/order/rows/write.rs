//! From the machine to its rows.

use std::collections::BTreeSet;

use super::touched::{Announced, Cause, Reach};
use super::{LedgerRow, OrderRow, PaymentRow, RefundRow, Saved, ScanRow, TicketAuditRow, TicketRow, Touched};
use crate::announcement::{AnnouncementKind, AnnouncementRow};
use crate::departure::Channel;
use crate::ids::{EntitlementCode, LocationCode, MerchantCode};
use crate::order::{
    FIRST_EPOCH, LedgerEntry, Payment, PaymentState, Prepay, Refund, RefundState, ScanOutcome, TicketOutcome,
};
use crate::row::{List, Rows, Uuid};
use crate::ticket::{Holder, Right, Ticket, TicketStatus};
use crate::time::Timestamp;

/// In place of a reason, of a look.
const LOOK: &str = "LOOK";

/// What an operator or a gate has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Press {
    Scan,
    Look,
}

impl Saved {
    /// Images of the rows that were touched, and of what scans add by themselves.
    pub(in crate::order) fn touched_rows<'a>(
        &self,
        scans: impl Iterator<Item = (&'a ScanOutcome, Press)>,
        touched: &Touched,
        version: u64,
    ) -> Rows {
        let mut rows = Rows::default();
        if let Some((cause, at)) = touched.issued {
            self.put_issued(cause, at, version, &mut rows);
        }
        for (outcome, press) in scans {
            match press {
                Press::Scan if outcome.is_repeated() => {}
                Press::Scan => self.put_scan(outcome, version, &mut rows),
                Press::Look => self.put_look(outcome, version, &mut rows),
            }
        }
        for payment in self.payments.iter().filter(|payment| touched.payments.contains(&payment.number)) {
            put_payment(payment, touched.begun == Some(payment.number), version, &mut rows);
        }
        for refund in self.refunds.iter().filter(|refund| touched.refunds.contains(&refund.number)) {
            put_refund(refund, version, &mut rows);
        }
        if touched.ledger {
            self.put_ledger(version, &mut rows);
        }
        if let Some((item, at)) = touched.refunded {
            self.put_refunded(item, at, version, &mut rows);
        }
        for Announced { kind, item, count, at } in &touched.announced {
            rows.put(&AnnouncementRow { item: *item, count: *count, ..self.announcement(*kind, *at, version) });
        }
        if touched.order >= Reach::Order {
            self.put_order(touched.order, version, &mut rows);
        }
        rows
    }

    /// What was bought and for whom changes seldom: an image without it leaves it as it was.
    fn put_order(&self, reach: Reach, version: u64, rows: &mut Rows) {
        let draft = &self.draft;
        let mut row = OrderRow {
            order_id: Uuid(draft.id),
            version,
            traveller_id: draft.buyer.traveller().map(Uuid),
            idempotency_key: draft.buyer.reference(),
            body_hash: draft.buyer.body_hash(),
            status: self.status,
            locale: &draft.locale,
            contact_name: &draft.contact.name,
            contact_phone: &draft.contact.phone,
            contact_email: draft.contact.email.as_deref(),
            currency: draft.price.total.currency,
            total_minor: draft.price.total.minor,
            created_at: self.created_at,
            first_lock_expires_at: self.first_lock_expires_at,
            lock_expires_at: self.lock_expires_at,
            paid_at: self.paid_at,
            completed_at: self.completed_at,
            cancelled_at: self.cancelled.map(|(at, _)| at),
            cancel_reason: self.cancelled.map(|(_, why)| why),
            seat_epoch: (self.seat_epoch != FIRST_EPOCH).then_some(self.seat_epoch),
            outstanding: self.outstanding,
            channel: (draft.channel != Channel::Direct).then(|| draft.channel.clone()),
            items: List::Of(&[]),
            passengers: List::Of(&[]),
            price_lines: List::Of(&[]),
            promotions: List::Of(&[]),
        };
        if reach >= Reach::Documents {
            row.items = List::Of(&self.items);
            row.passengers = List::Of(&draft.passengers);
            row.price_lines = List::Of(&draft.price.lines);
            row.promotions = List::Of(&draft.promotions);
        }
        rows.put_as(reach == Reach::All, &row);
    }

    fn put_ledger(&self, version: u64, rows: &mut Rows) {
        // An order's first entry is what was captured for it, and in nobody's way.
        let is_first = self.ledger.len() == 1;
        for (index, entry) in self.ledger.iter().enumerate() {
            let LedgerEntry { kind, moved_by, amount, at } = *entry;
            let row = LedgerRow {
                order_id: self.id(),
                number: index as u32 + 1,
                version,
                kind,
                out_trade_no: moved_by.payment(),
                amount_minor: amount.minor,
                currency: amount.currency,
                booked_at: at,
                out_refund_no: moved_by.refund(),
            };
            rows.put_as(is_first, &row);
        }
    }

    fn put_issued(&self, cause: Cause, at: Timestamp, version: u64, rows: &mut Rows) {
        let cause = match cause {
            Cause::Payment(number) => number.to_string(),
            Cause::Order(id) => id.to_string(),
        };
        for ticket in &self.tickets {
            rows.put_first(&self.ticket_row(ticket, version));
        }
        for ticket in &self.tickets {
            rows.put(&TicketAuditRow {
                ticket_id: ticket.id,
                new_status: ticket.status,
                event_id: &cause,
                version,
                prev_status: None,
                event: "issued",
                created_at: at,
            });
        }
    }

    fn put_refunded(&self, item: u16, at: Timestamp, version: u64, rows: &mut Rows) {
        let cause = self.id().to_string();
        for ticket in self.tickets.iter().filter(|ticket| ticket.item == item) {
            rows.put(&self.ticket_row(ticket, version));
            rows.put(&TicketAuditRow {
                ticket_id: ticket.id,
                new_status: ticket.status,
                event_id: &cause,
                version,
                prev_status: Some(TicketStatus::Usable),
                event: "refunded",
                created_at: at,
            });
        }
    }

    fn ticket_row<'a>(&self, ticket: &'a Ticket, version: u64) -> TicketRow<'a> {
        let journey = match &ticket.right {
            Right::Journey(journey) => Some(journey),
            Right::Entitlement(_) => None,
        };
        let entitlement = ticket.entitlement();
        let numbered = self.items.iter().all(|item| item.leg().is_some());
        let (passenger, shared) = match ticket.holder {
            Holder::Passenger(passenger) => (passenger, false),
            Holder::Party => (0, true),
        };
        TicketRow {
            order_id: Uuid(self.id()),
            number: ticket.id.number,
            version,
            traveller_id: self.traveller().map(Uuid),
            status: ticket.status,
            passenger,
            departure_id: journey.map(|journey| journey.departure.as_str()),
            board_stop: journey.map_or(0, |journey| journey.stretch.board),
            alight_stop: journey.map_or(0, |journey| journey.stretch.alight),
            seat_number: journey.map(|journey| &*journey.seat),
            board_port: journey.map(|journey| journey.board_port.as_str()),
            departs_at: journey.map(|journey| journey.departs_at),
            merchant_code: entitlement.merchant.as_ref().map(MerchantCode::as_str),
            entitlement_code: entitlement.code.as_str(),
            total_uses: entitlement.total,
            remaining_uses: entitlement.remaining,
            valid_from: entitlement.valid_from,
            valid_until: entitlement.valid_until,
            issued_at: (ticket.issued_at != entitlement.valid_from).then_some(ticket.issued_at),
            price_minor: Some(ticket.price_minor),
            item: (!numbered).then_some(ticket.item),
            shared,
        }
    }

    fn put_scan(&self, outcome: &ScanOutcome, version: u64, rows: &mut Rows) {
        for (id, result) in &outcome.tickets {
            if matches!(result, TicketOutcome::Redeemed { repeated: true, .. }) {
                continue;
            }
            let Some(ticket) = self.ticket(*id) else { continue };
            put_scan(ticket, outcome, result, version, rows);
            // A refusal changes no ticket, but its record takes a version of the key. Attempts are not read when the
            // key wakes; the ticket's image tells it.
            rows.put(&self.ticket_row(ticket, version));
            let TicketOutcome::Redeemed { at, .. } = result else { continue };
            let Some(redemption) = ticket.redemptions.last() else { continue };
            // Only what is usable is redeemed, and stays so while uses are left: then no status has changed (R-TICKET-06).
            if ticket.status != TicketStatus::Usable {
                rows.put(&TicketAuditRow {
                    ticket_id: ticket.id,
                    new_status: ticket.status,
                    event_id: &format!("{}/{}", redemption.session, redemption.request_id),
                    version,
                    prev_status: Some(TicketStatus::Usable),
                    event: "redeemed",
                    created_at: *at,
                });
            }
            let (number, uses) = (Some(ticket.id.number), ticket.redemptions.len());
            rows.put(&AnnouncementRow {
                ticket: number,
                number: Some(uses as u32),
                item: self.partner().map(|_| ticket.item),
                ..self.announcement(AnnouncementKind::Redeemed, *at, version)
            });
        }
        if self.partner().is_some() {
            self.put_used_up(outcome, version, rows);
        }
    }

    /// The items of a partner's order of which this scan has used the last that was left.
    fn put_used_up(&self, outcome: &ScanOutcome, version: u64, rows: &mut Rows) {
        let used = self.tickets.iter().filter(|ticket| outcome.leaves(ticket.id) == Some(0)).map(|ticket| ticket.item);
        for item in used.collect::<BTreeSet<u16>>() {
            if self.tickets.iter().all(|ticket| ticket.item != item || ticket.status.is_final()) {
                let used_up = self.announcement(AnnouncementKind::Used, outcome.at, version);
                rows.put(&AnnouncementRow { item: Some(item), ..used_up });
            }
        }
    }

    /// As of a scan, with no outcome.
    fn put_look(&self, outcome: &ScanOutcome, version: u64, rows: &mut Rows) {
        for ticket in outcome.tickets.iter().filter_map(|(id, _)| self.ticket(*id)) {
            rows.put(&ScanRow { reason: Some(LOOK), ..attempt(ticket, outcome, version) });
            rows.put(&self.ticket_row(ticket, version));
        }
    }

    fn announcement(&self, kind: AnnouncementKind, at: Timestamp, version: u64) -> AnnouncementRow {
        AnnouncementRow {
            order_id: self.id(),
            version,
            kind,
            ticket: None,
            number: None,
            at,
            partner: self.partner().cloned(),
            item: None,
            count: None,
            batch: None,
        }
    }
}

fn put_payment(payment: &Payment, is_first: bool, version: u64, rows: &mut Rows) {
    let mut row = PaymentRow {
        out_trade_no: payment.number,
        order_id: payment.number.order,
        version,
        state: "",
        total_minor: payment.total.minor,
        currency: payment.total.currency,
        request_body: &payment.body,
        time_expire: payment.time_expire,
        hold_expires_at: payment.hold_expires_at,
        begun_at: payment.begun_at,
        prepay_id: None,
        nonce: None,
        signed_at_seconds: None,
        refusal: None,
        transaction_id: None,
        paid_at: None,
        ended_at: payment.ended_at,
    };
    row.state = match &payment.state {
        PaymentState::Begun => "begun",
        PaymentState::Created(Prepay { id, nonce, signed_at_seconds }) => {
            row.prepay_id = Some(id);
            row.nonce = Some(nonce);
            row.signed_at_seconds = Some(*signed_at_seconds);
            "created"
        }
        PaymentState::Refused { code } => {
            row.refusal = Some(code);
            "refused"
        }
        PaymentState::Closed => "closed",
        PaymentState::Paid { transaction_id } => {
            row.transaction_id = Some(transaction_id);
            "paid"
        }
        PaymentState::PaidLate { transaction_id, paid_at } => {
            row.transaction_id = Some(transaction_id);
            row.paid_at = *paid_at;
            "paid_late"
        }
    };
    rows.put_as(is_first, &row);
}

fn put_refund(refund: &Refund, version: u64, rows: &mut Rows) {
    let mut row = RefundRow {
        out_refund_no: refund.number,
        order_id: refund.number.order,
        version,
        out_trade_no: refund.payment,
        state: refund.state.code(),
        amount_minor: refund.amount.minor,
        currency: refund.amount.currency,
        reason: refund.reason,
        due_at: refund.due_at,
        begun_at: refund.begun_at,
        request_body: &refund.body,
        refund_id: None,
        refusal: None,
        succeeded_at: None,
        replaces: refund.replaces,
    };
    match &refund.state {
        RefundState::Due | RefundState::Begun => {}
        RefundState::Refused { code } => row.refusal = Some(code),
        RefundState::Processing { refund_id }
        | RefundState::Abnormal { refund_id }
        | RefundState::Closed { refund_id } => row.refund_id = Some(refund_id),
        RefundState::Succeeded { refund_id, at } => {
            row.refund_id = Some(refund_id);
            row.succeeded_at = Some(*at);
        }
    }
    rows.put(&row);
}

/// What somebody did at a gate or a counter, whatever came of it.
fn attempt<'a>(ticket: &Ticket, outcome: &'a ScanOutcome, version: u64) -> ScanRow<'a> {
    let gate = &outcome.scan.gate;
    let asked = outcome.scan.takes(ticket).and_then(|take| take.entitlement.as_ref());
    ScanRow {
        order_id: Uuid(ticket.id.order),
        ticket: ticket.id.number,
        version,
        session_id: Uuid(gate.session),
        request_id: &outcome.scan.request_id,
        scanned_at: outcome.at,
        operator_username: &gate.operator,
        device_id: &gate.device,
        location_code: gate.location.as_ref().map(LocationCode::as_str),
        entitlement_code: asked.map(EntitlementCode::as_str),
        reason: None,
        number: None,
        merchant_code: None,
        redeemed_code: None,
        quantity: None,
        code_token: None,
    }
}

fn put_scan(ticket: &Ticket, outcome: &ScanOutcome, result: &TicketOutcome, version: u64, rows: &mut Rows) {
    let mut row = attempt(ticket, outcome, version);
    match (result, ticket.redemptions.last()) {
        (TicketOutcome::Refused { reason, .. }, _) => row.reason = Some(reason.code()),
        (TicketOutcome::Redeemed { .. }, Some(redemption)) => {
            row.number = Some(ticket.redemptions.len() as u32);
            let merchant = ticket.entitlement().merchant.as_ref().or(outcome.scan.gate.redeems.merchant.as_ref());
            row.merchant_code = merchant.map(MerchantCode::as_str);
            row.redeemed_code = Some(ticket.entitlement().code.as_str());
            row.quantity = Some(redemption.quantity);
            row.code_token = redemption.code;
        }
        (TicketOutcome::Redeemed { .. }, None) => debug_assert!(false, "what was redeemed has a redemption"),
    }
    rows.put(&row);
}

//! From the machine to its rows.

use super::{
    LedgerRow, OrderItemRow, OrderRow, OrderRows, PassengerRow, PaymentRow, PriceLineRow, RedemptionRow, RefundRow,
    ScanAttemptRow, TicketAuditRow, TicketRow,
};
use crate::ids::{OutRefundNo, TicketId};
use crate::order::command::Event;
use crate::order::redeem::{ScanOutcome, TicketOutcome};
use crate::order::{
    FIRST_EPOCH, Item, LedgerEntry, Order, Passenger, Payment, PaymentState, PriceLine, Refund, RefundState, SeatWish,
};
use crate::ticket::{Redemption, Ticket, TicketStatus};
use crate::time::Timestamp;

impl Order {
    /// Images of the rows that `events` changed, as they are now: call it after `evolve`.
    pub fn changed_rows(&self, events: &[Event], version: u64) -> OrderRows {
        let mut rows = OrderRows::default();
        let mut order_changed = false;
        let mut placed = false;
        for event in events {
            match event {
                Event::Placed => {
                    (order_changed, placed) = (true, true);
                    rows.items = self.item_rows(version);
                    rows.items.iter_mut().for_each(|row| row.first = true);
                    rows.passengers = self.passenger_rows(version);
                }
                Event::PaymentBegun { terms, .. } => {
                    order_changed = true;
                    let begun = self.payment_rows(version, |payment| payment.number == terms.number);
                    rows.payments.extend(begun.into_iter().map(|row| PaymentRow { first: true, ..row }));
                }
                Event::PaymentEnded { number, .. } => {
                    order_changed = true;
                    rows.payments.extend(self.payment_rows(version, |payment| payment.number == *number));
                }
                Event::PaymentCreated { number, .. } | Event::PaymentRefused { number, .. } => {
                    rows.payments.extend(self.payment_rows(version, |payment| payment.number == *number));
                }
                Event::Paid { at, capture, .. } => {
                    order_changed = true;
                    rows.payments = self.payment_rows(version, |payment| {
                        capture.as_ref().is_some_and(|(number, _)| payment.number == *number)
                    });
                    let event_id = capture.as_ref().map_or_else(|| self.id().to_string(), |(n, _)| n.to_string());
                    self.issue_rows(&event_id, *at, version, &mut rows);
                    rows.ledger = self.ledger_rows(version);
                    if let [captured] = rows.ledger.as_mut_slice() {
                        captured.first = true;
                    }
                }
                Event::Revived { number, at, .. } => {
                    order_changed = true;
                    // Equal seats may be other ones.
                    rows.items = self.item_rows(version);
                    rows.payments = self.payment_rows(version, |payment| payment.number == *number);
                    self.issue_rows(&number.to_string(), *at, version, &mut rows);
                    rows.ledger = self.ledger_rows(version);
                }
                Event::Cancelled { .. } => {
                    order_changed = true;
                    rows.payments = self.payment_rows(version, |_| true);
                }
                Event::LateMoney { .. } => {
                    order_changed = true;
                    rows.payments = self.payment_rows(version, |_| true);
                    rows.ledger = self.ledger_rows(version);
                }
                Event::SeekingBegun { .. } => order_changed = true,
                Event::RefundDue { refund } => {
                    order_changed = true;
                    self.refund_row(refund.number, version, &mut rows);
                }
                Event::RefundBegun { number, .. } => self.refund_row(*number, version, &mut rows),
                Event::RefundMoved { number, state } => {
                    order_changed = true;
                    self.refund_row(*number, version, &mut rows);
                    if matches!(state, RefundState::Succeeded { .. }) {
                        rows.ledger = self.ledger_rows(version);
                    }
                }
                Event::Scanned(outcome) if !outcome.is_repeated() => self.scan_rows(outcome, version, &mut rows),
                Event::Completed { .. } => order_changed = true,
                Event::HoldPlaced { .. }
                | Event::HoldRefused { .. }
                | Event::HoldUndone
                | Event::HoldPaying
                | Event::CreateCalled { .. }
                | Event::QueryCalled { .. }
                | Event::PollBegun
                | Event::PollEnded
                | Event::ClosingBegun { .. }
                | Event::CloseStepped { .. }
                | Event::ReleaseBegun { .. }
                | Event::HoldReleased
                | Event::HoldFoundConfirmed
                | Event::SettlingBegun { .. }
                | Event::HoldConfirmed
                | Event::SeatsFound { .. }
                | Event::EqualSought { .. }
                | Event::GivingBackBegun { .. }
                | Event::SeekingEnded
                | Event::RefundRetried { .. }
                | Event::RefundStepBegun { .. }
                | Event::RefundUnknown { .. }
                | Event::RefundStepEnded
                | Event::StepFailed { .. }
                | Event::RetryDue
                | Event::Scanned(_) => {}
            }
        }
        if order_changed {
            rows.orders.push(OrderRow { first: placed, ..self.order_row(version) });
        }
        rows
    }

    fn order_row(&self, version: u64) -> OrderRow {
        let draft = &self.draft;
        OrderRow {
            order_id: draft.id.to_string(),
            version,
            traveller_id: draft.traveller.to_string(),
            idempotency_key: draft.idempotency_key.to_string(),
            body_hash: draft.body_hash.to_vec(),
            status: self.status.code().to_owned(),
            locale: draft.locale.to_string(),
            contact_name: draft.contact.name.to_string(),
            contact_phone: draft.contact.phone.to_string(),
            contact_email: draft.contact.email.as_deref().map(str::to_owned),
            currency: draft.price.total.currency.code().to_owned(),
            total_minor: draft.price.total.minor,
            price_lines: draft.price.lines.iter().map(price_line_row).collect(),
            created_at: self.created_at.as_ms(),
            first_lock_expires_at: self.first_lock_expires_at.as_ms(),
            lock_expires_at: self.lock_expires_at.as_ms(),
            paid_at: self.paid_at.map(Timestamp::as_ms),
            completed_at: self.completed_at.map(Timestamp::as_ms),
            cancelled_at: self.cancelled.map(|(at, _)| at.as_ms()),
            cancel_reason: self.cancelled.map(|(_, why)| why.code().to_owned()),
            outstanding: self.is_outstanding(),
            seat_epoch: (self.seat_epoch != FIRST_EPOCH).then_some(self.seat_epoch),
            first: false,
        }
    }

    fn item_rows(&self, version: u64) -> Vec<OrderItemRow> {
        let order_id = self.id().to_string();
        let row = |(number, item): (usize, &Item)| OrderItemRow {
            order_id: order_id.clone(),
            item: number as u32,
            version,
            departure_id: item.departure.to_string(),
            route_code: item.route.to_string(),
            operator: item.operator.to_string(),
            seat_class: item.class.to_string(),
            board: u32::from(item.stretch.board),
            alight: u32::from(item.stretch.alight),
            board_port: item.board_port.to_string(),
            alight_port: item.alight_port.to_string(),
            departs_at: item.departs_at.as_ms(),
            arrives_at: item.arrives_at.as_ms(),
            seats: item.seats.iter().map(ToString::to_string).collect(),
            chosen: item.wish != SeatWish::Any,
            first: false,
        };
        self.items.iter().enumerate().map(row).collect()
    }

    fn passenger_rows(&self, version: u64) -> Vec<PassengerRow> {
        let order_id = self.id().to_string();
        let row = |(number, passenger): (usize, &Passenger)| {
            let document = passenger.document.as_ref();
            PassengerRow {
                order_id: order_id.clone(),
                passenger: number as u32,
                version,
                name: passenger.name.to_string(),
                passenger_type: passenger.kind.code().to_owned(),
                document_kind: document.map(|document| document.kind.to_string()),
                document_key_version: document.map(|document| document.key_version),
                document_sealed: document.map(|document| document.ciphertext.to_vec()),
                document_mask: document.map(|document| document.mask.to_string()),
                // They are written once.
                first: true,
            }
        };
        self.draft.passengers.iter().enumerate().map(row).collect()
    }

    fn payment_rows(&self, version: u64, wanted: impl Fn(&Payment) -> bool) -> Vec<PaymentRow> {
        self.payments.iter().filter(|payment| wanted(payment)).map(|payment| payment_row(payment, version)).collect()
    }

    fn ledger_rows(&self, version: u64) -> Vec<LedgerRow> {
        let order_id = self.id().to_string();
        let row = |(index, entry): (usize, &LedgerEntry)| LedgerRow {
            order_id: order_id.clone(),
            number: index as u32 + 1,
            version,
            kind: entry.kind.code().to_owned(),
            out_trade_no: entry.payment.to_string(),
            amount_minor: entry.amount.minor,
            currency: entry.amount.currency.code().to_owned(),
            at: entry.at.as_ms(),
            out_refund_no: entry.refund.map(|refund| refund.to_string()),
            first: false,
        };
        self.ledger.iter().enumerate().map(row).collect()
    }

    fn issue_rows(&self, event_id: &str, at: Timestamp, version: u64, rows: &mut OrderRows) {
        let ticket = |ticket| TicketRow { first: true, ..self.ticket_row(ticket, version) };
        rows.tickets = self.tickets.iter().map(ticket).collect();
        let issued = |ticket: &Ticket| audit_row(ticket.id, None, ticket.status, "issued", event_id, at, version);
        rows.audit = self.tickets.iter().map(issued).collect();
    }

    /// One image a row, whatever a decision does to it.
    fn refund_row(&self, number: OutRefundNo, version: u64, rows: &mut OrderRows) {
        let Some(refund) = self.refund(number) else { return };
        let row = refund_row(refund, version);
        rows.refunds.retain(|other| other.out_refund_no != row.out_refund_no);
        rows.refunds.push(row);
    }

    fn ticket_row(&self, ticket: &Ticket, version: u64) -> TicketRow {
        TicketRow {
            ticket_id: ticket.id.to_string(),
            order_id: self.id().to_string(),
            version,
            traveller_id: self.traveller().to_string(),
            status: ticket.status.code().to_owned(),
            passenger: u32::from(ticket.passenger),
            departure_id: ticket.journey.departure.to_string(),
            board: u32::from(ticket.journey.stretch.board),
            alight: u32::from(ticket.journey.stretch.alight),
            seat: ticket.journey.seat.to_string(),
            board_port: ticket.journey.board_port.to_string(),
            departs_at: ticket.journey.departs_at.as_ms(),
            merchant: ticket.merchant.to_string(),
            entitlement: ticket.entitlement.to_string(),
            total: u32::from(ticket.total),
            remaining: u32::from(ticket.remaining),
            valid_from: ticket.valid_from.as_ms(),
            valid_until: ticket.valid_until.as_ms(),
            first: false,
        }
    }

    fn scan_rows(&self, outcome: &ScanOutcome, version: u64, rows: &mut OrderRows) {
        for (id, result) in &outcome.tickets {
            if matches!(result, TicketOutcome::Redeemed { repeated: true, .. }) {
                continue;
            }
            rows.attempts.push(attempt_row(outcome, *id, result, version));
            let Some(ticket) = self.tickets.iter().find(|ticket| ticket.id == *id) else { continue };
            // A refusal changes no ticket, but its record takes a version of the key. Attempts are not read when the
            // key wakes; the ticket's image tells it.
            rows.tickets.push(self.ticket_row(ticket, version));
            let TicketOutcome::Redeemed { at, .. } = result else { continue };
            let Some(redemption) = ticket.redemptions.last() else { continue };
            rows.redemptions.push(redemption_row(ticket, redemption, outcome, version));
            let event_id = format!("{}/{}", redemption.session, redemption.request_id);
            rows.audit.push(audit_row(
                ticket.id,
                Some(TicketStatus::Usable),
                ticket.status,
                "redeemed",
                &event_id,
                *at,
                version,
            ));
        }
    }
}

fn price_line_row(line: &PriceLine) -> PriceLineRow {
    PriceLineRow {
        item: u32::from(line.item),
        passenger_type: line.kind.code().to_owned(),
        seat_class: line.class.to_string(),
        count: u32::from(line.count),
        unit_minor: line.unit_minor,
        discount_minor: line.discount_minor,
        total_minor: line.total_minor,
        explanation: line.explanation.to_string(),
    }
}

fn payment_row(payment: &Payment, version: u64) -> PaymentRow {
    let mut row = PaymentRow {
        out_trade_no: payment.number.to_string(),
        order_id: payment.number.order.to_string(),
        version,
        state: String::new(),
        total_minor: payment.total.minor,
        currency: payment.total.currency.code().to_owned(),
        body: payment.body.to_vec(),
        time_expire: payment.time_expire.as_ms(),
        hold_expires_at: payment.hold_expires_at.as_ms(),
        begun_at: payment.begun_at.as_ms(),
        prepay_id: None,
        nonce: None,
        signed_at_seconds: None,
        refusal: None,
        transaction_id: None,
        paid_at: None,
        ended_at: payment.ended_at.map(Timestamp::as_ms),
        first: false,
    };
    let state = match &payment.state {
        PaymentState::Begun => "begun",
        PaymentState::Created { prepay_id, nonce, signed_at_seconds } => {
            row.prepay_id = Some(prepay_id.to_string());
            row.nonce = Some(nonce.to_string());
            row.signed_at_seconds = Some(*signed_at_seconds);
            "created"
        }
        PaymentState::Refused { code } => {
            row.refusal = Some(code.to_string());
            "refused"
        }
        PaymentState::Closed => "closed",
        PaymentState::Paid { transaction_id } => {
            row.transaction_id = Some(transaction_id.to_string());
            "paid"
        }
        PaymentState::PaidLate { transaction_id, paid_at } => {
            row.transaction_id = Some(transaction_id.to_string());
            row.paid_at = paid_at.map(Timestamp::as_ms);
            "paid_late"
        }
    };
    state.clone_into(&mut row.state);
    row
}

fn refund_row(refund: &Refund, version: u64) -> RefundRow {
    let mut row = RefundRow {
        out_refund_no: refund.number.to_string(),
        order_id: refund.number.order.to_string(),
        version,
        out_trade_no: refund.payment.to_string(),
        state: refund.state.code().to_owned(),
        amount_minor: refund.amount.minor,
        currency: refund.amount.currency.code().to_owned(),
        reason: refund.reason.code().to_owned(),
        due_at: refund.due_at.as_ms(),
        begun_at: refund.begun_at.map(Timestamp::as_ms),
        body: refund.body.to_vec(),
        refund_id: None,
        refusal: None,
        succeeded_at: None,
    };
    match &refund.state {
        RefundState::Due | RefundState::Begun => {}
        RefundState::Refused { code } => row.refusal = Some(code.to_string()),
        RefundState::Processing { refund_id }
        | RefundState::Abnormal { refund_id }
        | RefundState::Closed { refund_id } => row.refund_id = Some(refund_id.to_string()),
        RefundState::Succeeded { refund_id, at } => {
            row.refund_id = Some(refund_id.to_string());
            row.succeeded_at = Some(at.as_ms());
        }
    }
    row
}

fn attempt_row(outcome: &ScanOutcome, ticket: TicketId, result: &TicketOutcome, version: u64) -> ScanAttemptRow {
    let gate = &outcome.scan.gate;
    let (result, reason) = match result {
        TicketOutcome::Redeemed { .. } => ("success", None),
        TicketOutcome::Refused { reason, .. } => ("reject", Some(reason.code().to_owned())),
    };
    ScanAttemptRow {
        session_id: gate.session.to_string(),
        request_id: outcome.scan.request_id.to_string(),
        ticket_id: ticket.to_string(),
        attempted_at: outcome.at.as_ms(),
        version,
        operator: gate.operator.to_string(),
        device: gate.device.to_string(),
        location: gate.location.as_ref().map(ToString::to_string),
        entitlement: outcome.scan.entitlement.as_ref().map(ToString::to_string),
        result: result.to_owned(),
        reason,
    }
}

fn redemption_row(ticket: &Ticket, redemption: &Redemption, outcome: &ScanOutcome, version: u64) -> RedemptionRow {
    RedemptionRow {
        ticket_id: ticket.id.to_string(),
        number: ticket.redemptions.len() as u32,
        order_id: ticket.id.order.to_string(),
        version,
        session_id: redemption.session.to_string(),
        request_id: redemption.request_id.to_string(),
        operator: outcome.scan.gate.operator.to_string(),
        device: outcome.scan.gate.device.to_string(),
        location: redemption.location.as_deref().map(str::to_owned),
        merchant: ticket.merchant.to_string(),
        entitlement: ticket.entitlement.to_string(),
        quantity: u32::from(redemption.quantity),
        redeemed_at: redemption.at.as_ms(),
        code_token: redemption.code.map(|token| token.bits().cast_signed()),
    }
}

fn audit_row(
    ticket: TicketId,
    from: Option<TicketStatus>,
    to: TicketStatus,
    event: &str,
    event_id: &str,
    at: Timestamp,
    version: u64,
) -> TicketAuditRow {
    TicketAuditRow {
        ticket_id: ticket.to_string(),
        new_status: to.code().to_owned(),
        event_id: event_id.to_owned(),
        version,
        prev_status: from.map(|status| status.code().to_owned()),
        event: event.to_owned(),
        created_at: at.as_ms(),
    }
}

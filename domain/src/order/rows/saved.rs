//! What an order's rows hold. It changes by the functions below only, and each says which rows it touches: whatever an order
//! becomes, no row of it is forgotten. Two are memory until a record follows, and say so: seats before the order is placed, and
//! the end of a payment before its next state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::touched::{Cause, Reach, Touched};
use crate::announcement::AnnouncementKind;
use crate::ids::{OrderId, OutRefundNo, OutTradeNo, PartnerCode, TicketId, TravellerId};
use crate::money::Money;
use crate::order::claim::Seats;
use crate::order::draft::{before_boarding, within_reservations};
use crate::order::{
    CancelReason, Capture, Draft, FIRST_EPOCH, Item, LedgerEntry, LedgerKind, MovedBy, OrderStatus, Payment,
    PaymentState, Refund, RefundState, ScanOutcome, SeatWish,
};
use crate::package::{EntitlementTerms, PackageTerms};
use crate::ticket::{Redemption, Ticket, TicketStatus};
use crate::time::Timestamp;

/// See the module's documentation. An [`Order`](crate::order::Order) shows all of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Saved {
    pub(super) draft: Arc<Draft>,
    pub(super) items: Vec<Item>,
    pub(super) status: OrderStatus,
    pub(super) created_at: Timestamp,
    /// The end of the first lock; the cap counts from it.
    pub(super) first_lock_expires_at: Timestamp,
    pub(super) lock_expires_at: Timestamp,
    /// Epoch of the order's holds: it counts how often the order has sought its seats.
    pub(super) seat_epoch: u32,
    pub(super) payments: Vec<Payment>,
    pub(super) refunds: Vec<Refund>,
    pub(super) tickets: Vec<Ticket>,
    pub(super) ledger: Vec<LedgerEntry>,
    pub(super) paid_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) cancelled: Option<(Timestamp, CancelReason)>,
    /// Not pending, and something is left to be done all the same: whoever starts an engine has to load it (rule 14).
    pub(super) outstanding: bool,
}

impl Saved {
    pub(in crate::order) fn new(mut draft: Draft, now: Timestamp) -> Saved {
        let lock = now.plus_seconds(i64::from(draft.lock_seconds));
        let lock_expires_at = within_reservations(&draft.items, before_boarding(&draft.items, lock));
        // As the rows tell it.
        draft.lock_seconds = u32::try_from(lock_expires_at.ms_since(now) / 1000).unwrap_or(0);
        Saved {
            items: std::mem::take(&mut draft.items),
            draft: Arc::new(draft),
            status: OrderStatus::Pending,
            created_at: now,
            first_lock_expires_at: lock_expires_at,
            lock_expires_at,
            seat_epoch: FIRST_EPOCH,
            payments: Vec::new(),
            refunds: Vec::new(),
            tickets: Vec::new(),
            ledger: Vec::new(),
            paid_at: None,
            completed_at: None,
            cancelled: None,
            outstanding: false,
        }
    }

    pub fn id(&self) -> OrderId {
        self.draft.id
    }

    /// Who has bought it. `None`: a partner has.
    pub fn traveller(&self) -> Option<TravellerId> {
        self.draft.buyer.traveller()
    }

    /// Who has sold it as its own, with the money. `None`: a traveller has bought it of us.
    pub fn partner(&self) -> Option<&PartnerCode> {
        self.draft.buyer.partner()
    }

    pub fn details(&self) -> &Draft {
        &self.draft
    }

    pub fn items(&self) -> &[Item] {
        &self.items
    }

    pub fn status(&self) -> OrderStatus {
        self.status
    }

    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(in crate::order) fn first_lock_expires_at(&self) -> Timestamp {
        self.first_lock_expires_at
    }

    /// Until when the traveller can pay: `lockExpireAt` on the wire.
    pub fn lock_expires_at(&self) -> Timestamp {
        self.lock_expires_at
    }

    pub(in crate::order) fn seat_epoch(&self) -> u32 {
        self.seat_epoch
    }

    pub fn paid_at(&self) -> Option<Timestamp> {
        self.paid_at
    }

    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at
    }

    pub fn cancelled(&self) -> Option<(Timestamp, CancelReason)> {
        self.cancelled
    }

    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    pub fn tickets(&self) -> &[Ticket] {
        &self.tickets
    }

    pub fn ticket(&self, id: TicketId) -> Option<&Ticket> {
        self.tickets.iter().find(|ticket| ticket.id == id)
    }

    /// What was sold of the entitlement that a ticket gives. `None`: it gives a journey.
    pub fn terms(&self, ticket: &Ticket) -> Option<&EntitlementTerms> {
        terms_of(&self.items, ticket).map(|(_, terms)| terms)
    }

    pub fn refunds(&self) -> &[Refund] {
        &self.refunds
    }

    pub fn ledger(&self) -> &[LedgerEntry] {
        &self.ledger
    }

    pub fn total(&self) -> Money {
        self.draft.price.total
    }

    /// Nothing is to be paid: the order is paid as soon as it is placed (R-PRICE-01).
    pub(in crate::order) fn is_free_of_charge(&self) -> bool {
        self.draft.price.total.minor == 0
    }
}

/// The order and its seats.
impl Saved {
    /// Memory, until the order is placed.
    pub(in crate::order) fn hold_placed(&mut self, item: usize, seats: &Seats) {
        if let Some(leg) = self.items.get_mut(item).and_then(Item::leg_mut) {
            leg.seats.clone_from(seats);
            if let SeatWish::Reserved { .. } = leg.wish {
                leg.wish = SeatWish::Chosen(seats.clone());
            }
        }
    }

    /// The seats are sought again, under the next epoch.
    pub(in crate::order) fn holds_anew(&mut self, touched: &mut Touched) {
        self.seat_epoch += 1;
        touched.order(Reach::Order);
    }

    pub(in crate::order) fn paid(
        &mut self,
        tickets: &[Ticket],
        capture: Option<&(OutTradeNo, Capture)>,
        at: Timestamp,
        touched: &mut Touched,
    ) {
        if let Some((number, capture)) = capture {
            let transaction_id = capture.transaction_id.clone();
            self.set_payment(*number, PaymentState::Paid { transaction_id }, touched);
            self.book(LedgerKind::Captured, MovedBy::Payment(*number), capture.amount, at, touched);
        }
        touched.announce(AnnouncementKind::Paid, at);
        self.issued(tickets, capture.map(|(number, _)| *number), at, touched);
    }

    /// With the seats that late money has found.
    pub(in crate::order) fn revived(
        &mut self,
        number: OutTradeNo,
        seats: &[Seats],
        tickets: &[Ticket],
        at: Timestamp,
        touched: &mut Touched,
    ) {
        for (item, seats) in self.items.iter_mut().zip(seats) {
            let Some(leg) = item.leg_mut() else { continue };
            leg.seats.clone_from(seats);
            if let SeatWish::Chosen(chosen) = &mut leg.wish {
                chosen.clone_from(seats);
            }
        }
        touched.order(Reach::Documents);
        if let Some(payment) = self.payments.iter().find(|payment| payment.number == number)
            && let PaymentState::PaidLate { transaction_id, .. } = &payment.state
        {
            let (transaction_id, total) = (transaction_id.clone(), payment.total);
            self.set_payment(number, PaymentState::Paid { transaction_id }, touched);
            self.book(LedgerKind::RefundDue, MovedBy::Payment(number), total.negated(), at, touched);
        }
        self.cancelled = None;
        touched.announce(AnnouncementKind::Revived, at);
        self.issued(tickets, Some(number), at, touched);
    }

    fn issued(&mut self, tickets: &[Ticket], by: Option<OutTradeNo>, at: Timestamp, touched: &mut Touched) {
        self.tickets = tickets.to_vec();
        touched.issued = Some((by.map_or(Cause::Order(self.id()), Cause::Payment), at));
        self.status = OrderStatus::Paid;
        self.paid_at = Some(at);
        touched.order(Reach::Order);
    }

    pub(in crate::order) fn completed(&mut self, at: Timestamp, touched: &mut Touched) {
        self.status = OrderStatus::Completed;
        self.completed_at = Some(at);
        touched.order(Reach::Order);
        touched.announce(AnnouncementKind::Completed, at);
    }

    /// `still_ending`: a payment that is alive is being ended at WeChat beside this.
    pub(in crate::order) fn cancelled_at(
        &mut self,
        at: Timestamp,
        why: CancelReason,
        still_ending: bool,
        touched: &mut Touched,
    ) {
        for payment in self.payments.iter_mut().filter(|payment| payment.state.is_alive() && !still_ending) {
            payment.set(PaymentState::Closed);
            touched.payment(payment.number);
        }
        self.status = OrderStatus::Cancelled;
        self.cancelled = Some((at, why));
        touched.order(Reach::Order);
        touched.announce(AnnouncementKind::Cancelled, at);
    }

    /// The order exists, and a partner has been paid for it at this instant.
    pub(in crate::order) fn born_paid(
        &mut self,
        tickets: &[Ticket],
        paid_at: Timestamp,
        at: Timestamp,
        touched: &mut Touched,
    ) {
        touched.placed();
        self.book(LedgerKind::PartnerPaid, MovedBy::Partner, self.total(), at, touched);
        touched.units_paid(self.items.len(), at);
        self.issued(tickets, None, at, touched);
        self.paid_at = Some(paid_at);
    }

    /// A partner's customer does not want this item any more, and has used nothing of it.
    pub(in crate::order) fn unit_refunded(&mut self, item: u16, at: Timestamp, touched: &mut Touched) {
        let mut amount = Money::new(0, self.total().currency);
        for ticket in self.tickets.iter_mut().filter(|ticket| ticket.item == item) {
            ticket.set_status(TicketStatus::Refunded);
            amount.minor += ticket.price_minor;
        }
        touched.unit_refunded(item, at);
        self.book(LedgerKind::PartnerRefunded, MovedBy::Partner, amount, at, touched);
        touched.order(Reach::Order);
    }

    /// After every change.
    pub(in crate::order) fn set_outstanding(&mut self, outstanding: bool, touched: &mut Touched) {
        if self.outstanding != outstanding {
            touched.order(Reach::Order);
            self.outstanding = outstanding;
        }
    }
}

fn terms_of<'a>(items: &'a [Item], ticket: &Ticket) -> Option<(&'a PackageTerms, &'a EntitlementTerms)> {
    let package = items.get(usize::from(ticket.item))?.package()?;
    let code = &ticket.entitlement().code;
    package.entitlements.iter().find(|terms| terms.code == *code).map(|terms| (package, terms))
}

/// Money.
impl Saved {
    pub(in crate::order) fn payment_begun(&mut self, payment: Payment, touched: &mut Touched) {
        self.lock_expires_at = payment.time_expire;
        touched.begun = Some(payment.number);
        touched.payment(payment.number);
        touched.order(Reach::Order);
        self.payments.push(payment);
    }

    pub(in crate::order) fn set_payment(&mut self, number: OutTradeNo, state: PaymentState, touched: &mut Touched) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.number == number) {
            payment.set(state);
            touched.payment(number);
        }
    }

    /// From `at` on nobody can pay any more. Written with the state that follows from it.
    pub(in crate::order) fn note_end_of_payments(&mut self, at: Timestamp) {
        for payment in self.payments.iter_mut().filter(|payment| payment.state.is_alive()) {
            payment.ended_at = Some(at);
        }
    }

    pub(in crate::order) fn late_money(
        &mut self,
        number: OutTradeNo,
        capture: &Capture,
        at: Timestamp,
        touched: &mut Touched,
    ) {
        let transaction_id = capture.transaction_id.clone();
        self.set_payment(number, PaymentState::PaidLate { transaction_id, paid_at: capture.paid_at }, touched);
        self.book(LedgerKind::Captured, MovedBy::Payment(number), capture.amount, at, touched);
        self.book(LedgerKind::RefundDue, MovedBy::Payment(number), capture.amount, at, touched);
    }

    pub(in crate::order) fn refund_due(&mut self, refund: &Refund, touched: &mut Touched) {
        self.refunds.push(refund.clone());
        touched.refund(refund.number);
    }

    pub(in crate::order) fn refund_begun(
        &mut self,
        number: OutRefundNo,
        body: &Arc<[u8]>,
        at: Timestamp,
        touched: &mut Touched,
    ) {
        if let Some(refund) = self.refund_mut(number, touched) {
            refund.body = Arc::clone(body);
            refund.begun_at = Some(at);
            refund.state = RefundState::Begun;
        }
    }

    pub(in crate::order) fn refund_moved(&mut self, number: OutRefundNo, state: &RefundState, touched: &mut Touched) {
        let Some(refund) = self.refund_mut(number, touched) else { return };
        refund.state = state.clone();
        // Only what WeChat refused may be called again.
        if !matches!(state, RefundState::Refused { .. }) {
            refund.body = Arc::default();
        }
        let (payment, amount) = (refund.payment, refund.amount);
        if let RefundState::Succeeded { at, .. } = state {
            let by = MovedBy::Refund(payment, number);
            self.book(LedgerKind::RefundDue, by, amount.negated(), *at, touched);
            self.book(LedgerKind::Refunded, by, amount, *at, touched);
        }
    }

    fn refund_mut(&mut self, number: OutRefundNo, touched: &mut Touched) -> Option<&mut Refund> {
        touched.refund(number);
        self.refunds.iter_mut().find(|refund| refund.number == number)
    }

    fn book(&mut self, kind: LedgerKind, moved_by: MovedBy, amount: Money, at: Timestamp, touched: &mut Touched) {
        self.ledger.push(LedgerEntry { kind, moved_by, amount, at });
        touched.ledger = true;
    }
}

#[cfg(test)]
impl Saved {
    pub(in crate::order) fn payments_mut(&mut self) -> &mut [Payment] {
        &mut self.payments
    }

    pub(in crate::order) fn set_paid_at(&mut self, at: Timestamp) {
        self.paid_at = Some(at);
    }

    /// For states that no topic leads to yet.
    pub(in crate::order) fn tickets_mut(&mut self) -> &mut Vec<Ticket> {
        &mut self.tickets
    }
}

/// Tickets.
impl Saved {
    /// What it writes of the tickets follows from the outcome itself.
    pub(in crate::order) fn scanned(&mut self, outcome: &ScanOutcome) {
        let items = &self.items;
        for ticket in &mut self.tickets {
            let Some(remaining) = outcome.leaves(ticket.id) else { continue };
            let first_used = ticket.redemptions.is_empty().then_some(outcome.at);
            let terms = terms_of(items, ticket);
            let entitlement = ticket.entitlement_mut();
            if let (Some(at), Some((package, terms))) = (first_used, terms) {
                entitlement.valid_until = terms.validity.from_first_use(at, entitlement.valid_until, &package.zone);
            }
            let quantity = entitlement.remaining.saturating_sub(remaining);
            entitlement.remaining = remaining;
            if remaining == 0 {
                ticket.set_status(TicketStatus::Used);
            }
            ticket.add_redemption(Redemption {
                session: outcome.scan.gate.session,
                request_id: outcome.scan.request_id.clone(),
                location: outcome.scan.gate.location.as_ref().map(|location| location.as_str().into()),
                quantity,
                at: outcome.at,
                code: outcome.scan.one_time(),
            });
        }
    }
}

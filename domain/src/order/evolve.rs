//! The only place where an order changes. Cannot fail.

use std::sync::Arc;

use super::command::{Event, StepFailure};
use super::{
    AfterClose, CancelReason, Capture, CloseStep, LedgerEntry, LedgerKind, Order, OrderStatus, Payment, PaymentState,
    PaymentTerms, Refund, RefundState, RefundStep, SeatWish, Seats, Stage,
};
use crate::ids::{OutRefundNo, OutTradeNo};
use crate::money::Money;
use crate::ticket::Ticket;
use crate::time::Timestamp;

impl Order {
    pub fn evolve(&mut self, event: &Event) {
        match event {
            // Seats.
            Event::HoldPlaced { item, seats } => self.hold_placed(*item, seats),
            Event::HoldRefused { failure } => self.undo(failure.clone()),
            Event::HoldUndone => self.hold_undone(),
            Event::Placed => self.advance_to(Stage::Open),
            Event::HoldPaying => self.hold_paying(),
            Event::HoldConfirmed => self.hold_confirmed(),
            Event::HoldReleased => self.hold_released(),
            Event::HoldFoundConfirmed => self.hold_found_confirmed(),

            // A payment and its end.
            Event::PaymentBegun { terms, body, at } => self.payment_begun(terms, body, *at),
            Event::CreateCalled { at } => {
                self.create_unsure = self.create_called_at.is_some();
                self.create_called_at = Some(*at);
            }
            Event::PaymentCreated { number, prepay } => {
                self.set_payment(*number, PaymentState::Created(prepay.clone()));
                self.advance_to(Stage::Payable { polls: 0, polling: false });
            }
            Event::PaymentRefused { number, code } => {
                // Should it be paid all the same, its seats were not sold while anybody could know that.
                if let Some(at) = self.create_called_at {
                    self.end_payments(at);
                }
                self.set_payment(*number, PaymentState::Refused { code: code.clone() });
                self.advance_to(Stage::Open);
            }
            Event::QueryCalled { at } => self.query_called_at = Some(*at),
            Event::PollBegun => self.poll_begun(),
            Event::PollEnded => self.poll_ended(),
            Event::ClosingBegun { then } => {
                self.advance_to(Stage::Closing { then: *then, step: CloseStep::QueryFirst });
            }
            Event::CloseStepped { step: next } => {
                if let Stage::Closing { step, .. } = &mut self.stage {
                    *step = *next;
                }
            }
            Event::PaymentEnded { number, at } => {
                self.end_payments(*at);
                self.set_payment(*number, PaymentState::Closed);
                self.finish();
            }

            // The order's way.
            Event::ReleaseBegun { why, at } => self.release_begun(*why, *at),
            Event::SettlingBegun { capture } => {
                self.advance_to(Stage::Settling { capture: capture.clone(), next: 0 });
            }
            Event::Paid { at, capture, tickets } => {
                if let Some((number, capture)) = capture {
                    let transaction_id = capture.transaction_id.clone();
                    self.set_payment(*number, PaymentState::Paid { transaction_id });
                    self.book(LedgerKind::Captured, *number, None, capture.amount, *at);
                }
                self.paid_with(tickets, *at);
            }
            Event::Cancelled { at, why } => self.cancelled_at(*at, *why),
            Event::Scanned(outcome) => self.apply_scan(outcome),
            Event::Completed { at } => {
                self.status = OrderStatus::Completed;
                self.completed_at = Some(*at);
            }

            // Late money.
            Event::LateMoney { number, capture, at } => self.late_money_came(*number, capture, *at),
            Event::SeekingBegun { number, expires_at, payable } => {
                self.seat_epoch += 1;
                let (number, expires_at, payable) = (*number, *expires_at, *payable);
                self.advance_to(Stage::Seeking { number, found: Vec::new(), equal: false, expires_at, payable });
            }
            Event::SeatsFound { seats } => self.seats_found(seats),
            Event::EqualSought { .. } => {
                if let Stage::Seeking { equal, .. } = &mut self.stage {
                    *equal = true;
                }
            }
            Event::GivingBackBegun { confirmed } => self.giving_back_begun(*confirmed),
            Event::SeekingEnded | Event::RefundStepEnded => self.finish(),
            Event::Revived { number, seats, tickets, at } => {
                self.take_seats(seats);
                self.revive_payment(*number, *at);
                self.cancelled = None;
                self.paid_with(tickets, *at);
            }

            // Money on its way back.
            Event::RefundDue { refund } => self.refunds.push(refund.clone()),
            Event::RefundRetried { number } => {
                if let Some(refund) = self.refund_mut(*number) {
                    refund.asked_at = None;
                }
            }
            Event::RefundStepBegun { number, step, at } => self.refund_step_begun(*number, *step, *at),
            Event::RefundBegun { number, body, at } => self.refund_begun(*number, body, *at),
            Event::RefundUnknown { number } => {
                self.advance_to(Stage::Refunding { number: *number, step: RefundStep::Call });
            }
            Event::RefundMoved { number, state } => self.refund_moved(*number, state),

            // Whatever the step is.
            Event::StepFailed { retry_at } => self.step_failed_until(*retry_at),
            Event::RetryDue => self.retry_at = None,
        }
    }

    fn hold_placed(&mut self, item: usize, seats: &Seats) {
        if let Some(held) = self.items.get_mut(item) {
            held.seats.clone_from(seats);
        }
        self.advance_to(Stage::Placing { next: item + 1 });
    }

    fn hold_undone(&mut self) {
        if let Stage::Undoing { left, failure } = &self.stage {
            let (left, failure) = (left.saturating_sub(1), failure.clone());
            self.set_undoing(left, failure);
        }
    }

    fn hold_paying(&mut self) {
        if let Stage::Extending { next } = self.stage {
            let next = next + 1;
            let all = next == self.items.len();
            self.advance_to(if all { Stage::Creating } else { Stage::Extending { next } });
        }
    }

    fn hold_confirmed(&mut self) {
        if let Stage::Settling { next, .. } | Stage::Reviving { next, .. } = &mut self.stage {
            *next += 1;
            self.start_afresh();
        }
    }

    fn hold_released(&mut self) {
        match &mut self.stage {
            Stage::Releasing { next, .. } => *next += 1,
            Stage::GivingBack { found, .. } => drop(found.pop()),
            Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Open
            | Stage::Extending { .. }
            | Stage::Creating
            | Stage::Payable { .. }
            | Stage::Closing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::Refunding { .. }
            | Stage::Done => return,
        }
        self.start_afresh();
    }

    fn hold_found_confirmed(&mut self) {
        match &mut self.stage {
            Stage::Releasing { next, confirmed, .. } => *confirmed = *next + 1,
            Stage::GivingBack { found, confirmed } => *confirmed = found.len(),
            Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Open
            | Stage::Extending { .. }
            | Stage::Creating
            | Stage::Payable { .. }
            | Stage::Closing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::Refunding { .. }
            | Stage::Done => return,
        }
        self.start_afresh();
    }

    fn payment_begun(&mut self, terms: &PaymentTerms, body: &Arc<[u8]>, at: Timestamp) {
        self.payments.push(Payment {
            number: terms.number,
            total: terms.total,
            body: Arc::clone(body),
            time_expire: terms.time_expire,
            hold_expires_at: terms.hold_expires_at,
            begun_at: at,
            ended_at: None,
            state: PaymentState::Begun,
        });
        self.lock_expires_at = terms.time_expire;
        self.create_called_at = None;
        self.query_called_at = None;
        self.create_unsure = false;
        self.advance_to(Stage::Extending { next: 0 });
    }

    fn poll_begun(&mut self) {
        if let Stage::Payable { polls, .. } = self.stage {
            self.stage = Stage::Payable { polls: polls + 1, polling: true };
        }
    }

    fn poll_ended(&mut self) {
        if let Stage::Payable { polls, .. } = self.stage {
            self.advance_to(Stage::Payable { polls, polling: false });
        }
    }

    fn release_begun(&mut self, why: CancelReason, at: Timestamp) {
        let (mut capture, mut confirmed) = (None, 0);
        if let Stage::Settling { capture: settled, next } = &mut self.stage {
            (capture, confirmed) = (settled.take(), *next);
        }
        if capture.is_none() {
            self.end_payments(at);
        }
        self.advance_to(Stage::Releasing { why, next: 0, confirmed, capture });
    }

    fn paid_with(&mut self, tickets: &[Ticket], at: Timestamp) {
        self.tickets = tickets.to_vec();
        self.status = OrderStatus::Paid;
        self.paid_at = Some(at);
        self.finish();
    }

    fn cancelled_at(&mut self, at: Timestamp, why: CancelReason) {
        for payment in self.payments.iter_mut().filter(|payment| payment.state.is_alive()) {
            payment.set(PaymentState::Closed);
        }
        self.status = OrderStatus::Cancelled;
        self.cancelled = Some((at, why));
        self.finish();
    }

    fn late_money_came(&mut self, number: OutTradeNo, capture: &Capture, at: Timestamp) {
        let transaction_id = capture.transaction_id.clone();
        self.set_payment(number, PaymentState::PaidLate { transaction_id, paid_at: capture.paid_at });
        self.book(LedgerKind::Captured, number, None, capture.amount, at);
        self.book(LedgerKind::RefundDue, number, None, capture.amount, at);
        // The payment that was being ended at WeChat has been paid.
        if matches!(self.stage, Stage::Closing { then: AfterClose::Stay, .. }) {
            self.finish();
        }
    }

    fn giving_back_begun(&mut self, confirmed: usize) {
        if let Stage::Seeking { found, .. } | Stage::Reviving { found, .. } = &mut self.stage {
            let found = std::mem::take(found);
            self.advance_to(Stage::GivingBack { found, confirmed });
        }
    }

    fn take_seats(&mut self, seats: &[Seats]) {
        for (item, seats) in self.items.iter_mut().zip(seats) {
            item.seats.clone_from(seats);
            if let SeatWish::Chosen(chosen) = &mut item.wish {
                chosen.clone_from(seats);
            }
        }
    }

    fn refund_step_begun(&mut self, number: OutRefundNo, step: RefundStep, at: Timestamp) {
        if let (RefundStep::Ask, Some(refund)) = (step, self.refund_mut(number)) {
            refund.asked_at = Some(at);
        }
        self.advance_to(Stage::Refunding { number, step });
    }

    fn refund_begun(&mut self, number: OutRefundNo, body: &Arc<[u8]>, at: Timestamp) {
        if let Some(refund) = self.refund_mut(number) {
            refund.body = Arc::clone(body);
            refund.begun_at = Some(at);
            refund.asked_at = Some(at);
            refund.state = RefundState::Begun;
        }
        self.advance_to(Stage::Refunding { number, step: RefundStep::Call });
    }

    fn step_failed_until(&mut self, retry_at: Timestamp) {
        self.retry_at = Some(retry_at);
        self.failures = self.failures.saturating_add(1);
        // Nobody knows whether the call arrived: it is asked about before it is repeated (wechat.md R9).
        if let Stage::Refunding { step: step @ RefundStep::Call, .. } = &mut self.stage {
            *step = RefundStep::Ask;
        }
    }

    /// A new stage starts afresh: nothing of it has failed yet.
    fn advance_to(&mut self, stage: Stage) {
        self.stage = stage;
        self.start_afresh();
    }

    fn start_afresh(&mut self) {
        self.retry_at = None;
        self.failures = 0;
    }

    /// Nothing is left to be done, but that no other payment may be made of a paid order.
    fn finish(&mut self) {
        let other = self.status != OrderStatus::Pending && self.live_payment().is_some();
        let closing = Stage::Closing { then: AfterClose::Stay, step: CloseStep::QueryFirst };
        self.advance_to(if other { closing } else { Stage::Done });
    }

    fn seats_found(&mut self, seats: &Seats) {
        let Stage::Seeking { number, found, expires_at, payable, .. } = &mut self.stage else { return };
        let (number, expires_at, payable, mut found) = (*number, *expires_at, *payable, std::mem::take(found));
        found.push(seats.clone());
        let all = found.len() == self.items.len();
        self.advance_to(if all {
            Stage::Reviving { number, found, next: 0 }
        } else {
            Stage::Seeking { number, found, equal: false, expires_at, payable }
        });
    }

    fn revive_payment(&mut self, number: OutTradeNo, at: Timestamp) {
        let Some(payment) = self.payments.iter_mut().find(|payment| payment.number == number) else { return };
        if let PaymentState::PaidLate { transaction_id, .. } = &payment.state {
            let (transaction_id, total) = (transaction_id.clone(), payment.total);
            payment.set(PaymentState::Paid { transaction_id });
            self.book(LedgerKind::RefundDue, number, None, total.negated(), at);
        }
    }

    fn refund_moved(&mut self, number: OutRefundNo, state: &RefundState) {
        let Some(refund) = self.refund_mut(number) else { return };
        refund.state = state.clone();
        // Only what WeChat refused may be called again.
        if !matches!(state, RefundState::Refused { .. }) {
            refund.body = Arc::default();
        }
        let (payment, amount) = (refund.payment, refund.amount);
        if let RefundState::Succeeded { at, .. } = state {
            self.book(LedgerKind::RefundDue, payment, Some(number), amount.negated(), *at);
            self.book(LedgerKind::Refunded, payment, Some(number), amount, *at);
        }
        if self.is_refunding(number) {
            self.finish();
        }
    }

    fn book(
        &mut self,
        kind: LedgerKind,
        payment: OutTradeNo,
        refund: Option<OutRefundNo>,
        amount: Money,
        at: Timestamp,
    ) {
        self.ledger.push(LedgerEntry { kind, payment, refund, amount, at });
    }

    /// From `at` on nobody can pay any more.
    fn end_payments(&mut self, at: Timestamp) {
        for payment in self.payments.iter_mut().filter(|payment| payment.state.is_alive()) {
            payment.ended_at = Some(at);
        }
    }

    fn refund_mut(&mut self, number: OutRefundNo) -> Option<&mut Refund> {
        self.refunds.iter_mut().find(|refund| refund.number == number)
    }

    fn undo(&mut self, failure: StepFailure) {
        let Stage::Placing { next } = self.stage else { return };
        let left = match failure {
            StepFailure::Refused(_) => next,
            // Nobody knows whether the departure placed the hold: it is given back as well.
            StepFailure::Unavailable => next + 1,
        };
        self.set_undoing(left, failure);
    }

    fn set_undoing(&mut self, left: usize, failure: StepFailure) {
        let stage = if left == 0 { Stage::Refused { failure } } else { Stage::Undoing { left, failure } };
        self.advance_to(stage);
    }

    fn set_payment(&mut self, number: OutTradeNo, state: PaymentState) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.number == number) {
            payment.set(state);
        }
    }
}

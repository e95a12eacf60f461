//! The only place where an order changes. Cannot fail.

use std::sync::Arc;

use super::command::{CloseNext, Event, StepFailure};
use super::{CloseStep, LedgerEntry, LedgerKind, Order, OrderStatus, Payment, PaymentState, Stage};
use crate::ids::OutTradeNo;

impl Order {
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::HoldPlaced { item, seats } => {
                if let Some(held) = self.items.get_mut(*item) {
                    held.seats.clone_from(seats);
                }
                self.advance_to(Stage::Placing { next: item + 1 });
            }
            Event::HoldRefused { failure } => self.undo(failure.clone()),
            Event::HoldUndone => {
                if let Stage::Undoing { left, failure } = &self.stage {
                    let (left, failure) = (left.saturating_sub(1), failure.clone());
                    self.set_undoing(left, failure);
                }
            }
            Event::Placed => self.advance_to(Stage::Open),
            Event::PaymentBegun { terms, body, at } => {
                self.payments.push(Payment {
                    number: terms.number,
                    total: terms.total,
                    body: body.clone(),
                    time_expire: terms.time_expire,
                    hold_expires_at: terms.hold_expires_at,
                    begun_at: *at,
                    state: PaymentState::Begun,
                });
                self.lock_expires_at = terms.time_expire;
                self.create_called_at = None;
                self.create_unsure = false;
                self.advance_to(Stage::Extending { next: 0 });
            }
            Event::HoldPaying => {
                if let Stage::Extending { next } = self.stage {
                    let next = next + 1;
                    let all = next == self.items.len();
                    self.advance_to(if all { Stage::Creating } else { Stage::Extending { next } });
                }
            }
            Event::CreateCalled { at } => {
                self.create_unsure = self.create_called_at.is_some();
                self.create_called_at = Some(*at);
            }
            Event::PaymentCreated { number, prepay_id, nonce, signed_at_seconds } => {
                self.set_payment(
                    *number,
                    PaymentState::Created {
                        prepay_id: prepay_id.clone(),
                        nonce: nonce.clone(),
                        signed_at_seconds: *signed_at_seconds,
                    },
                );
                self.advance_to(Stage::Payable { polls: 0, polling: false });
            }
            Event::PaymentRefused { number, code } => {
                self.set_payment(*number, PaymentState::Refused { code: code.clone() });
                self.advance_to(Stage::Open);
            }
            Event::PollBegun => {
                if let Stage::Payable { polls, .. } = self.stage {
                    self.stage = Stage::Payable { polls: polls + 1, polling: true };
                }
            }
            Event::PollEnded => {
                if let Stage::Payable { polls, .. } = self.stage {
                    self.advance_to(Stage::Payable { polls, polling: false });
                }
            }
            Event::ClosingBegun { why } => {
                self.advance_to(Stage::Closing { why: *why, step: CloseStep::QueryFirst });
            }
            Event::CloseStepped { step } => {
                if let Stage::Closing { why, .. } = self.stage {
                    let step = match step {
                        CloseNext::Close | CloseNext::Restart => CloseStep::Close,
                        CloseNext::QueryAgain => CloseStep::QueryAgain,
                    };
                    self.stage = Stage::Closing { why, step };
                }
            }
            Event::ReleaseBegun { why } => {
                let capture = match &self.stage {
                    Stage::Settling { capture, .. } => capture.clone(),
                    _ => None,
                };
                self.advance_to(Stage::Releasing { why: *why, next: 0, capture });
            }
            Event::HoldReleased => {
                if let Stage::Releasing { why, next, capture } = &self.stage {
                    let (why, next, capture) = (*why, next + 1, capture.clone());
                    self.advance_to(Stage::Releasing { why, next, capture });
                }
            }
            Event::SettlingBegun { capture } => {
                self.advance_to(Stage::Settling { capture: capture.clone(), next: 0 });
            }
            Event::HoldConfirmed => {
                if let Stage::Settling { capture, next } = &self.stage {
                    let (capture, next) = (capture.clone(), next + 1);
                    self.advance_to(Stage::Settling { capture, next });
                }
            }
            Event::Paid { at, capture, tickets } => {
                if let Some((number, capture)) = capture {
                    let transaction_id = capture.transaction_id.clone();
                    self.set_payment(*number, PaymentState::Paid { transaction_id });
                    self.ledger.push(LedgerEntry {
                        kind: LedgerKind::Captured,
                        payment: *number,
                        amount: capture.amount,
                        at: *at,
                    });
                }
                self.tickets.clone_from(tickets);
                self.status = OrderStatus::Paid;
                self.paid_at = Some(*at);
                self.advance_to(Stage::Done);
            }
            Event::Cancelled { at, why } => {
                for payment in self.payments.iter_mut().filter(|payment| payment.state.is_alive()) {
                    payment.reach(PaymentState::Closed);
                }
                self.status = OrderStatus::Cancelled;
                self.cancelled = Some((*at, *why));
                self.advance_to(Stage::Done);
            }
            Event::LateMoney { number, capture, at } => {
                let transaction_id = capture.transaction_id.clone();
                self.set_payment(*number, PaymentState::PaidLate { transaction_id });
                for kind in [LedgerKind::Captured, LedgerKind::RefundDue] {
                    self.ledger.push(LedgerEntry { kind, payment: *number, amount: capture.amount, at: *at });
                }
            }
            Event::StepFailed { retry_at } => {
                self.retry_at = Some(*retry_at);
                self.failures = self.failures.saturating_add(1);
            }
            Event::RetryDue => self.retry_at = None,
            Event::Scanned(outcome) => self.apply_scan(outcome),
            Event::Completed { at } => {
                self.status = OrderStatus::Completed;
                self.completed_at = Some(*at);
            }
        }
    }

    /// A new stage starts afresh: nothing of it has failed yet.
    fn advance_to(&mut self, stage: Stage) {
        self.stage = stage;
        self.retry_at = None;
        self.failures = 0;
    }

    fn undo(&mut self, failure: StepFailure) {
        let left = match (&self.stage, &failure) {
            (Stage::Placing { next }, StepFailure::Refused(_)) => *next,
            // Nobody knows whether the departure placed the hold: it is given back as well.
            (Stage::Placing { next }, StepFailure::Unavailable) => next + 1,
            _ => 0,
        };
        self.set_undoing(left, failure);
    }

    fn set_undoing(&mut self, left: usize, failure: StepFailure) {
        let stage = if left == 0 { Stage::Refused { failure } } else { Stage::Undoing { left, failure } };
        self.advance_to(stage);
    }

    fn set_payment(&mut self, number: OutTradeNo, state: PaymentState) {
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.number == number) {
            payment.reach(state);
        }
    }
}

impl Payment {
    /// Whatever follows on the beginning, the create call is not made again: nobody needs its body, here or in the row.
    fn reach(&mut self, state: PaymentState) {
        self.state = state;
        self.body = Arc::default();
    }
}

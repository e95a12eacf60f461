//! What people are told of an order's money: counted, and logged once where somebody may have to act (R-PAY-04).

use deeptravel_domain::order::{CancelReason, Event, Order, RefundState};

use crate::attention::Attention;

/// Counted when the seats of a traveller who had paid in time went to somebody else. Stays 0.
const RESOLD: &str = "seats_resold_while_payable";

/// Shown as 0 until it happens.
pub fn register() {
    metrics::counter!(RESOLD).increment(0);
}

/// After `events` have happened to `order`.
pub(super) fn report(attention: &Attention, order: &Order, events: &[Event]) {
    let id = order.id();
    if events.iter().any(|event| matches!(event, Event::RefundDue { .. } | Event::RefundMoved { .. })) {
        attention.set_refunds(order);
    }
    for event in events {
        match event {
            Event::LateMoney { number, capture, .. } => {
                metrics::counter!("late_payments_total").increment(1);
                let minor = capture.amount.minor;
                tracing::warn!(
                    order.id = %id,
                    payment = %number,
                    amount_minor = minor,
                    "Payment {number} of {minor} came when order {id} could not simply take it"
                );
            }
            Event::EqualSought { resold: true } => {
                metrics::counter!(RESOLD).increment(1);
                tracing::error!(order.id = %id, "Seats of order {id} were sold again although it had been paid in time");
            }
            Event::Cancelled { why: CancelReason::SeatsLost, .. } => {
                tracing::error!(order.id = %id, "Order {id} is cancelled: a departure no longer had its seats");
            }
            Event::Revived { number, .. } => {
                metrics::counter!("orders_revived_total").increment(1);
                tracing::info!(order.id = %id, payment = %number, "Order {id} is paid after all by {number}");
            }
            Event::RefundDue { refund } => {
                metrics::counter!("refunds_due_total", "reason" => refund.reason.code()).increment(1);
                tracing::warn!(
                    order.id = %id,
                    refund = %refund.number,
                    amount_minor = refund.amount.minor,
                    "Refund {} of order {id} is due",
                    refund.number
                );
            }
            Event::RefundMoved { number, state } => {
                metrics::counter!("refunds_moved_total", "state" => state.code()).increment(1);
                match state {
                    RefundState::Refused { code } => {
                        tracing::error!(order.id = %id, refund = %number, %code, "Refund {number} is refused: {code}");
                    }
                    RefundState::Abnormal { .. } | RefundState::Closed { .. } => {
                        tracing::error!(order.id = %id, refund = %number, "Refund {number} is {}", state.code());
                    }
                    RefundState::Due
                    | RefundState::Begun
                    | RefundState::Processing { .. }
                    | RefundState::Succeeded { .. } => {}
                }
            }
            Event::EqualSought { resold: false }
            | Event::Cancelled {
                why: CancelReason::Traveller | CancelReason::Expired | CancelReason::DepartureCancelled,
                ..
            }
            | Event::HoldPlaced { .. }
            | Event::HoldRefused { .. }
            | Event::HoldUndone
            | Event::Placed
            | Event::PaymentBegun { .. }
            | Event::HoldPaying
            | Event::CreateCalled { .. }
            | Event::PaymentCreated { .. }
            | Event::PaymentRefused { .. }
            | Event::QueryCalled { .. }
            | Event::PollBegun
            | Event::PollEnded
            | Event::ClosingBegun { .. }
            | Event::CloseStepped { .. }
            | Event::PaymentEnded { .. }
            | Event::ReleaseBegun { .. }
            | Event::HoldReleased
            | Event::HoldFoundConfirmed
            | Event::SettlingBegun { .. }
            | Event::HoldConfirmed
            | Event::Paid { .. }
            | Event::SeekingBegun { .. }
            | Event::SeatsFound { .. }
            | Event::GivingBackBegun { .. }
            | Event::SeekingEnded
            | Event::RefundRetried { .. }
            | Event::RefundStepBegun { .. }
            | Event::RefundBegun { .. }
            | Event::RefundUnknown { .. }
            | Event::RefundStepEnded
            | Event::StepFailed { .. }
            | Event::RetryDue
            | Event::Scanned(_)
            | Event::Completed { .. } => {}
        }
    }
}

//! What people are told of an order's money: counted, and logged once where somebody may have to act (R-PAY-04).

use deeptravel_domain::ids::OrderId;
use deeptravel_domain::order::{CancelReason, Event, Order, RefundState, back, sale};

use crate::attention::Attention;

/// Counted when the seats of a traveller who had paid in time went to somebody else. Stays 0.
const RESOLD: &str = "seats_resold_while_payable";

/// Shown as 0 until it happens.
pub fn register() {
    metrics::counter!(RESOLD).increment(0);
}

/// After `events` have happened to `order`.
pub(super) fn report(attention: &Attention, order: &Order, events: &[Event]) {
    let moves_refunds =
        |event: &Event| matches!(event, Event::Back(back::Event::RefundDue { .. } | back::Event::RefundMoved { .. }));
    if events.iter().any(moves_refunds) {
        attention.set_refunds(order);
    }
    for event in events {
        match event {
            Event::Sale(event) => report_sale(order.id(), event),
            Event::Back(event) => report_refund(order.id(), event),
            // What they have to say the order itself says.
            Event::Collect(_)
            | Event::Ticket(_)
            | Event::Partner(_)
            | Event::StepFailed { .. }
            | Event::RetryDue { .. } => {}
        }
    }
}

fn report_sale(id: OrderId, event: &sale::Event) {
    match event {
        sale::Event::LateMoney { number, capture, .. } => {
            metrics::counter!("late_payments_total").increment(1);
            let minor = capture.amount.minor;
            tracing::warn!(
                order.id = %id,
                payment = %number,
                amount_minor = minor,
                "Payment {number} of {minor} came when order {id} could not simply take it"
            );
        }
        sale::Event::EqualSought { resold: true } => {
            metrics::counter!(RESOLD).increment(1);
            tracing::error!(order.id = %id, "Seats of order {id} were sold again although it had been paid in time");
        }
        sale::Event::Cancelled { why: CancelReason::SeatsLost, .. } => {
            tracing::error!(order.id = %id, "Order {id} is cancelled: a departure no longer had its seats");
        }
        sale::Event::Revived { number, .. } => {
            metrics::counter!("orders_revived_total").increment(1);
            tracing::info!(order.id = %id, payment = %number, "Order {id} is paid after all by {number}");
        }
        sale::Event::EqualSought { resold: false }
        | sale::Event::Cancelled {
            why: CancelReason::Traveller | CancelReason::Expired | CancelReason::DepartureCancelled,
            ..
        }
        | sale::Event::HoldPlaced { .. }
        | sale::Event::HoldRefused { .. }
        | sale::Event::Refused
        | sale::Event::Placed
        | sale::Event::SettlingBegun { .. }
        | sale::Event::HoldConfirmed
        | sale::Event::Paid { .. }
        | sale::Event::EndingBegun { .. }
        | sale::Event::SeekingBegun { .. }
        | sale::Event::SeatsFound { .. }
        | sale::Event::ReturningBegun { .. }
        | sale::Event::SeekingEnded => {}
    }
}

fn report_refund(id: OrderId, event: &back::Event) {
    match event {
        back::Event::RefundDue { refund } => {
            metrics::counter!("refunds_due_total", "reason" => refund.reason.code()).increment(1);
            tracing::warn!(
                order.id = %id,
                refund = %refund.number,
                amount_minor = refund.amount.minor,
                "Refund {} of order {id} is due",
                refund.number
            );
        }
        back::Event::RefundMoved { number, state } => {
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
        back::Event::HoldReleased
        | back::Event::HoldFoundConfirmed
        | back::Event::RefundRetried { .. }
        | back::Event::RefundStepBegun { .. }
        | back::Event::RefundBegun { .. }
        | back::Event::RefundUnknown { .. }
        | back::Event::RefundStepEnded => {}
    }
}

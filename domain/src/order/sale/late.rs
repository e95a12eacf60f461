//! Late money (R-PAY-04): a success that the order has no seats for any more is written down, and then climbs a
//! ladder: the same seats, equal seats on the same departure, the money back. All journeys of the order find seats, and
//! its promotions have a use left, or nothing is kept: it is never sold at another price. An order whose departure was
//! cancelled, or whose late money went back before, does not climb it.
//!
//! The money's record comes first, so that the notice can be acknowledged; what is left to do follows from it: a
//! cancelled order with a late payment and no refund of it is still seeking.

use super::{Event, Stage};
use crate::ids::OutTradeNo;
use crate::order::back::{self, Giving};
use crate::order::claim::{HoldAnswer, Seats, StepFailure};
use crate::order::collect;
use crate::order::draft::ItemKind;
use crate::order::part::PartName;
use crate::order::payment::{Capture, Payment, PaymentState};
use crate::order::refund::{Refund, RefundReason};
use crate::order::rows::Touched;
use crate::order::{CancelReason, Event as OrderEvent, Order, OrderStatus};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// Found seats are held this long for the order to confirm them; it does so at once, unless the process ends between.
const FOUND_FOR_SECONDS: i64 = 60 * 60;

impl Order {
    /// What follows from money that the order cannot simply take. `cancelled`: why it then is; `None`: it has been paid.
    pub(in crate::order) fn late_money(
        &self,
        number: OutTradeNo,
        capture: &Capture,
        cancelled: Option<CancelReason>,
        now: Timestamp,
    ) -> Vec<OrderEvent> {
        let mut events = vec![Event::LateMoney { number, capture: capture.clone(), at: now }.into()];
        let refund = |reason| due(self.refund_of(number, capture.amount, reason, now, 0));
        match cancelled {
            None => events.push(refund(RefundReason::Duplicate)),
            Some(_) if self.is_seeking() => {}
            Some(why) if self.may_come_back(why) && self.leaves_after(now) => {
                let expires_at = now.plus_seconds(FOUND_FOR_SECONDS);
                let payable = self.was_payable(number, capture.paid_at);
                events.push(Event::SeekingBegun { number, expires_at, payable }.into());
            }
            Some(_) => events.push(refund(RefundReason::Late)),
        }
        events
    }

    /// Not once late money has gone back: the traveller has been told that nothing came of the order.
    fn may_come_back(&self, why: CancelReason) -> bool {
        let was_refunded = self.refunds().iter().any(|refund| refund.reason == RefundReason::Late);
        match why {
            CancelReason::Traveller | CancelReason::Expired | CancelReason::SeatsLost => !was_refunded,
            // Should it ever run after all, those who still want to go order anew.
            CancelReason::DepartureCancelled => false,
        }
    }

    pub(in crate::order) fn is_seeking(&self) -> bool {
        matches!(self.sale.stage(), Stage::Seeking { .. } | Stage::Reviving { .. } | Stage::Returning)
    }

    fn leaves_after(&self, now: Timestamp) -> bool {
        self.items().iter().all(|item| match &item.kind {
            ItemKind::Journey(leg) => now < leg.departs_at,
            ItemKind::Package(terms) => terms.over_at().is_none_or(|end| now < end),
        })
    }

    /// The traveller paid before WeChat had said that nobody can any more, or without its ever saying so. Seats that are
    /// gone then were resold while payable: never, while the rules hold. WeChat tells the second only.
    fn was_payable(&self, number: OutTradeNo, paid_at: Option<Timestamp>) -> bool {
        let ended_at = self.payment(number).and_then(|payment| payment.ended_at);
        paid_at.is_some_and(|paid_at| ended_at.is_none_or(|ended_at| paid_at.plus_seconds(1) < ended_at))
    }

    /// Payments that came late and have neither seats nor a refund.
    fn undecided(&self) -> impl Iterator<Item = &Payment> {
        self.payments().iter().filter(|payment| {
            let late = matches!(payment.state, PaymentState::PaidLate { .. });
            late && !self.refunds().iter().any(|refund| refund.payment == payment.number)
        })
    }

    /// The stage of a cancelled order whose late money is undecided, as its rows tell it.
    pub(in crate::order) fn seeking_again(&self, now: Timestamp) -> Option<Stage> {
        let payment = self.undecided().next().filter(|_| self.status() == OrderStatus::Cancelled)?;
        let PaymentState::PaidLate { paid_at, .. } = payment.state else { return None };
        Some(Stage::Seeking {
            number: payment.number,
            found: Vec::new(),
            equal: false,
            expires_at: now.plus_seconds(FOUND_FOR_SECONDS),
            payable: self.was_payable(payment.number, paid_at),
        })
    }

    /// The seats that were sought of the next item.
    pub(super) fn seek_answered(&self, answer: &HoldAnswer, now: Timestamp) -> Vec<OrderEvent> {
        let Stage::Seeking { found, equal, payable, .. } = self.sale.stage() else { return vec![] };
        match &answer.result {
            Ok(seats) => vec![Event::SeatsFound { seats: seats.clone() }.into()],
            Err(StepFailure::Unavailable) => vec![self.step_failed(PartName::Sale, now)],
            Err(StepFailure::Refused(_)) if *equal => self.give_back(found, 0, now),
            Err(StepFailure::Refused(why)) => {
                let taken = matches!(
                    why,
                    Rejection::SeatTaken { .. } | Rejection::SoldOut { .. } | Rejection::PromotionExhausted { .. }
                );
                vec![Event::EqualSought { resold: *payable && taken }.into()]
            }
        }
    }

    /// Of all items seats have been found, and those of the next are confirmed, or not.
    pub(super) fn revive_answered(&self, answer: &HoldAnswer, now: Timestamp) -> Vec<OrderEvent> {
        let Stage::Reviving { number, found, next } = self.sale.stage() else { return vec![] };
        match &answer.result {
            Ok(_) => {
                let mut events = vec![Event::HoldConfirmed.into()];
                if self.is_last(*next) && self.leaves_after(now) {
                    events.extend(self.revive(*number, found, now));
                } else if self.is_last(*next) {
                    // A departure has left without the traveller while nobody could go on here.
                    events.push(Event::ReturningBegun { confirmed: found.len() }.into());
                }
                events
            }
            Err(StepFailure::Unavailable) => vec![self.step_failed(PartName::Sale, now)],
            Err(StepFailure::Refused(_)) => self.give_back(found, *next, now),
        }
    }

    fn give_back(&self, found: &[Seats], confirmed: usize, now: Timestamp) -> Vec<OrderEvent> {
        if found.is_empty() { self.return_all(now) } else { vec![Event::ReturningBegun { confirmed }.into()] }
    }

    fn revive(&self, number: OutTradeNo, found: &[Seats], now: Timestamp) -> Vec<OrderEvent> {
        let seats = self.of_items(found);
        let tickets = self.issue(seats.iter().map(Vec::as_slice), now);
        let mut events = vec![Event::Revived { number, seats: seats.to_vec(), tickets, at: now }.into()];
        let others = self.undecided().filter(|payment| payment.number != number);
        events.extend(others.enumerate().map(|(after, payment)| {
            due(self.refund_of(payment.number, payment.total, RefundReason::Duplicate, now, after))
        }));
        events
    }

    pub(super) fn return_all(&self, now: Timestamp) -> Vec<OrderEvent> {
        let refunds = self
            .undecided()
            .enumerate()
            .map(|(after, payment)| due(self.refund_of(payment.number, payment.total, RefundReason::Late, now, after)));
        refunds.chain([Event::SeekingEnded.into()]).collect()
    }

    pub(super) fn late_money_came(
        &mut self,
        number: OutTradeNo,
        capture: &Capture,
        at: Timestamp,
        touched: &mut Touched,
    ) {
        self.saved.late_money(number, capture, at, touched);
        // The payment that was being ended at WeChat has been paid.
        if self.live_payment().is_none() {
            self.collecting.advance_to(collect::Stage::Idle);
        }
    }

    pub(super) fn seats_found(&mut self, seats: &Seats) {
        let claims = self.claims();
        self.sale.step(|stage| {
            let Stage::Seeking { number, found, equal, .. } = stage else { return };
            found.push(seats.clone());
            *equal = false;
            if found.len() == claims {
                *stage = Stage::Reviving { number: *number, found: std::mem::take(found), next: 0 };
            }
        });
    }

    pub(super) fn returning_begun(&mut self, confirmed: usize) {
        if let Stage::Seeking { found, .. } | Stage::Reviving { found, .. } = self.sale.stage() {
            self.giving_back.advance_to(Giving::last_first(found.clone(), confirmed));
            self.sale.advance_to(Stage::Returning);
        }
    }
}

fn due(refund: Refund) -> OrderEvent {
    back::Event::RefundDue { refund }.into()
}

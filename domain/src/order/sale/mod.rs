//! The sale: from the wish to seats that are confirmed. Departures are asked for all seats before the order's first record;
//! once money is there, or none is needed, they confirm them; an order that ends gives them back. Late money seeks them
//! again: see `late`.

mod discount;
mod late;
mod share;
#[cfg(test)]
mod tests;
mod wish;

use serde::{Deserialize, Serialize};

pub(super) use share::by_weight;
pub(crate) use wish::package_line;
pub use wish::{ITEMS_MAX, IncludedWish, ItemWish, JourneyWish, PACKAGE_QUANTITY_MAX, PackageWish, SaleTerms, Wish};

use super::back::Giving;
use super::claim::{Claim, HoldAnswer, HoldStep, Seats, StepFailure};
use super::collect::{self, AfterClose};
use super::draft::{At, SeatWish, before_boarding};
use super::meeting::{Asked, Course};
use super::part::PartName;
use super::payment::Capture;
use super::rows::Touched;
use super::{CancelReason, Effect, Event as OrderEvent, Order, OrderStatus};
use crate::ids::OutTradeNo;
use crate::rejection::Rejection;
use crate::ticket::Ticket;
use crate::time::Timestamp;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// The traveller gives the order up.
    Cancel,
}

/// Those marked *memory* leave no row: they are progress that can be repeated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Memory.
    HoldPlaced {
        claim: usize,
        seats: Seats,
    },
    /// Memory: what is held is given back, and the order never existed.
    HoldRefused {
        failure: StepFailure,
    },
    /// Memory: nothing is held any more.
    Refused,
    /// All seats are held: the order exists.
    Placed,
    /// Memory: money is there (or none is needed) and the seats are being confirmed.
    SettlingBegun {
        capture: Option<(OutTradeNo, Capture)>,
    },
    /// Memory.
    HoldConfirmed,
    Paid {
        at: Timestamp,
        capture: Option<(OutTradeNo, Capture)>,
        tickets: Vec<Ticket>,
    },
    /// Memory, but for `at`, which the order's end records: from then on nobody could pay. The seats are given back.
    EndingBegun {
        why: CancelReason,
        at: Timestamp,
    },
    Cancelled {
        at: Timestamp,
        why: CancelReason,
    },
    /// Money came for an order that cannot simply use it: it is to go back, unless it finds seats again.
    LateMoney {
        number: OutTradeNo,
        capture: Capture,
        at: Timestamp,
    },
    /// The order's seats are sought again, as holds of a new epoch. `payable`: see [`Event::EqualSought`].
    SeekingBegun {
        number: OutTradeNo,
        expires_at: Timestamp,
        payable: bool,
    },
    /// Memory.
    SeatsFound {
        seats: Seats,
    },
    /// Memory: the seats that the order had are gone. `resold`: to somebody else, although the traveller had paid
    /// while WeChat still let him. Never, while the rules hold (`seats_resold_while_payable`).
    EqualSought {
        resold: bool,
    },
    /// Memory: not all claims found seats, or could confirm them. What was found is given back, of which the first
    /// `confirmed` claims are sold already.
    ReturningBegun {
        confirmed: usize,
    },
    /// Memory: no seats, the money goes back.
    SeekingEnded,
    /// The cancelled order is paid after all (R-PAY-04).
    Revived {
        number: OutTradeNo,
        /// Of each item.
        seats: Vec<Seats>,
        tickets: Vec<Ticket>,
        at: Timestamp,
    },
}

/// What the sale is doing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Asking departures for seats; `next` is the claim to ask for, `asked` see [`Draft`](super::Draft). No record exists yet.
    Placing { next: usize, asked: Vec<At> },
    /// The seats are held, until somebody pays or nobody has.
    Open,
    /// Money is there, or none is needed: departures confirm the seats.
    Settling { capture: Option<(OutTradeNo, Capture)>, next: usize },
    /// No payment is alive: the seats are being given back. With a `capture`, money came but a departure refused the seats.
    Ending { why: CancelReason, capture: Option<(OutTradeNo, Capture)> },
    /// Late money seeks seats: those that the order had, or with `equal` any like them. `found` are those of the claims
    /// before the one being asked for.
    Seeking { number: OutTradeNo, found: Vec<Seats>, equal: bool, expires_at: Timestamp, payable: bool },
    /// Late money has found seats for all claims: departures confirm them.
    Reviving { number: OutTradeNo, found: Vec<Seats>, next: usize },
    /// Late money has not found seats for all claims, and what it found is being given back.
    Returning,
    /// Paid, completed or cancelled.
    Over,
    // Never packed, so that a refusal need not be readable. They stand last, because serde counts skipped variants
    // when it writes and not when it reads.
    /// A departure refused: the seats of the claims before it are being given back.
    #[serde(skip)]
    Undoing { failure: StepFailure },
    /// Refused, and nothing is held. The order never existed.
    #[serde(skip)]
    Refused { failure: StepFailure },
}

impl Order {
    /// Whether the first record exists or is about to: the seats are held.
    pub fn is_placed(&self) -> bool {
        !matches!(self.sale.stage(), Stage::Placing { .. } | Stage::Undoing { .. } | Stage::Refused { .. })
    }

    /// Why the order was never made, once everything that was held for it has been given back.
    pub fn refusal(&self) -> Option<&StepFailure> {
        let Stage::Refused { failure } = self.sale.stage() else { return None };
        Some(failure)
    }

    /// Money has come and the departures are confirming the seats.
    pub fn is_settling(&self) -> bool {
        matches!(self.sale.stage(), Stage::Settling { .. })
    }

    /// Money has come that is not in the ledger yet.
    pub fn has_unrecorded_money(&self) -> bool {
        self.money_in_hand().is_some()
    }

    /// Of money that has come and is not in the ledger yet: its payment.
    pub(super) fn money_in_hand(&self) -> Option<OutTradeNo> {
        match self.sale.stage() {
            Stage::Settling { capture, .. } | Stage::Ending { capture, .. } => {
                capture.as_ref().map(|(number, _)| *number)
            }
            Stage::Placing { .. }
            | Stage::Open
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::Returning
            | Stage::Over
            | Stage::Undoing { .. }
            | Stage::Refused { .. } => None,
        }
    }

    /// The order is being given up: its payment is being ended at WeChat, or its seats are being given back.
    pub fn is_ending(&self) -> bool {
        let closing = matches!(self.collecting.stage(), collect::Stage::Closing { then: AfterClose::Cancel(_), .. });
        closing || matches!(self.sale.stage(), Stage::Ending { .. })
    }

    /// A placed order's lock ends, and no payment has made it the payment's.
    pub(super) fn is_open(&self) -> bool {
        *self.sale.stage() == Stage::Open && *self.collecting.stage() == collect::Stage::Idle
    }

    pub(super) fn sale_decides(&self, command: &Command, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        match command {
            Command::Cancel => self.cancel(now),
        }
    }

    fn cancel(&self, now: Timestamp) -> Result<Vec<OrderEvent>, Rejection> {
        Ok(match self.meets(Asked::GiveUp)? {
            Course::Goes => vec![self.end_payment(CancelReason::Traveller, now)],
            Course::Settles | Course::ComesLate | Course::AlreadySo => vec![],
        })
    }

    /// Ends an order that nobody has paid: its payment first, if WeChat can have heard of one.
    pub(super) fn end_payment(&self, why: CancelReason, now: Timestamp) -> OrderEvent {
        if self.live_payment().is_some() && self.calls.created_at.is_some() {
            collect::Event::ClosingBegun { then: AfterClose::Cancel(why) }.into()
        } else {
            Event::EndingBegun { why, at: now }.into()
        }
    }

    /// A departure refuses the seats that are to be kept for a payment.
    pub(super) fn lose_seats(&self, refused: &Rejection, now: Timestamp) -> OrderEvent {
        self.end_payment(lost_by(refused), now)
    }

    /// No payment is alive, or never was: the seats go back, and the order ends.
    pub(super) fn end_at(why: CancelReason, at: Timestamp) -> OrderEvent {
        Event::EndingBegun { why, at }.into()
    }

    /// Money is there: the departures are asked to confirm.
    pub(super) fn settle_with(number: OutTradeNo, capture: Capture) -> OrderEvent {
        Event::SettlingBegun { capture: Some((number, capture)) }.into()
    }

    /// Money is there that was paid when the right to pay had ended: the seats go back, the order ends, and then the money goes
    /// back too.
    pub(super) fn end_with(number: OutTradeNo, capture: Capture, now: Timestamp) -> Vec<OrderEvent> {
        vec![Order::settle_with(number, capture), Order::end_at(CancelReason::Expired, now)]
    }

    /// Whether the right to pay has ended by then, because the party boards.
    pub(super) fn boards_before(&self, at: Timestamp) -> bool {
        before_boarding(self.items(), at) < at
    }

    /// Whether somebody waits for the refusal of an order while its seats are given back.
    pub(super) fn is_being_refused(&self) -> bool {
        matches!(self.sale.stage(), Stage::Undoing { .. })
    }

    /// A departure's answer to a placing or a confirmation.
    pub(super) fn sale_answered(&self, answer: &HoldAnswer, now: Timestamp) -> Vec<OrderEvent> {
        match (self.sale.stage(), answer.step) {
            (Stage::Placing { next, asked }, HoldStep::Place) if *next == answer.claim => {
                self.place_answered(answer, asked)
            }
            (Stage::Settling { next, .. }, HoldStep::Confirm) if *next == answer.claim => match &answer.result {
                Ok(_) => self.confirmed(*next, now),
                // The seats are gone although money came. What is left of them is given back, then the order ends
                // and the money is to go back too.
                Err(StepFailure::Refused(refused)) => {
                    vec![Event::EndingBegun { why: lost_by(refused), at: now }.into()]
                }
                Err(StepFailure::Unavailable) => vec![self.step_failed(PartName::Sale, now)],
            },
            (Stage::Seeking { found, .. }, HoldStep::Place) if found.len() == answer.claim => {
                self.seek_answered(answer, now)
            }
            (Stage::Reviving { next, .. }, HoldStep::Confirm) if *next == answer.claim => {
                self.revive_answered(answer, now)
            }
            // An answer to a step that is no longer wanted.
            (
                Stage::Placing { .. }
                | Stage::Open
                | Stage::Settling { .. }
                | Stage::Ending { .. }
                | Stage::Seeking { .. }
                | Stage::Reviving { .. }
                | Stage::Returning
                | Stage::Over
                | Stage::Undoing { .. }
                | Stage::Refused { .. },
                _,
            ) => vec![],
        }
    }

    fn place_answered(&self, answer: &HoldAnswer, asked: &[At]) -> Vec<OrderEvent> {
        let claim = answer.claim;
        let seats = match &answer.result {
            Ok(seats) => seats.clone(),
            Err(failure) => {
                let at = |item: usize| asked.get(item).copied().unwrap_or(At::Item(item));
                // A use of a promotion is of no item.
                let failure = self.item_of(claim).map_or_else(|| failure.clone(), |item| failure.named(at(item)));
                return vec![Event::HoldRefused { failure }.into()];
            }
        };
        let mut events = vec![Event::HoldPlaced { claim, seats }.into()];
        if self.is_last(claim) {
            events.push(Event::Placed.into());
            if self.is_free_of_charge() {
                events.push(Event::SettlingBegun { capture: None }.into());
            }
        }
        events
    }

    fn confirmed(&self, claim: usize, now: Timestamp) -> Vec<OrderEvent> {
        let mut events = vec![Event::HoldConfirmed.into()];
        if let (true, Stage::Settling { capture, .. }) = (self.is_last(claim), self.sale.stage()) {
            let tickets = self.issue(self.item_seats(), now);
            events.push(Event::Paid { at: now, capture: capture.clone(), tickets }.into());
        }
        events
    }

    /// As rows tell it.
    pub(super) fn sale_at_waking(&self, now: Timestamp) -> Stage {
        match self.status() {
            OrderStatus::Pending if self.is_free_of_charge() => Stage::Settling { capture: None, next: 0 },
            OrderStatus::Pending => Stage::Open,
            OrderStatus::Paid | OrderStatus::Completed | OrderStatus::Cancelled => {
                self.seeking_again(now).unwrap_or(Stage::Over)
            }
        }
    }

    /// All seats have been given back: what they were given back for.
    pub(super) fn seats_are_back(&self, now: Timestamp) -> Vec<OrderEvent> {
        match self.sale.stage() {
            Stage::Undoing { .. } => vec![Event::Refused.into()],
            Stage::Ending { why, capture } => {
                let mut events = vec![Event::Cancelled { at: now, why: *why }.into()];
                if let Some((number, capture)) = capture {
                    events.extend(self.late_money(*number, capture, Some(*why), now));
                }
                events
            }
            Stage::Returning => self.return_all(now),
            Stage::Placing { .. }
            | Stage::Open
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::Over
            | Stage::Refused { .. } => vec![],
        }
    }

    /// The lock has ended, and nobody is paying.
    pub(super) fn sale_wakes(&self, now: Timestamp) -> Option<OrderEvent> {
        let why = CancelReason::Expired;
        (self.is_open() && now >= self.lock_expires_at()).then(|| {
            // Without a payment the departures free the seats at the same instant by themselves.
            if self.payments().is_empty() {
                Event::Cancelled { at: now, why }.into()
            } else {
                Event::EndingBegun { why, at: now }.into()
            }
        })
    }

    pub(super) fn sale_deadline(&self) -> Option<Timestamp> {
        self.sale.retry.at().or_else(|| self.is_open().then(|| self.lock_expires_at()))
    }

    pub(super) fn sale_effect(&self) -> Option<Effect> {
        match self.sale.stage() {
            Stage::Placing { next, .. } => {
                let wish = self.wish_of(*next)?;
                Some(self.place(*next, wish, self.lock_expires_at()))
            }
            Stage::Settling { next, .. } | Stage::Reviving { next, .. } => {
                Some(Effect::ConfirmHold { claim: *next, hold: self.hold(*next), epoch: self.seat_epoch() })
            }
            Stage::Seeking { found, equal, expires_at, .. } => {
                let claim = found.len();
                let wish = match self.claimed(claim)? {
                    Claim::Seats(leg) if !*equal => SeatWish::Chosen(leg.seats.clone()),
                    Claim::Seats(_) | Claim::Units(_) | Claim::Use(_) => SeatWish::Any,
                };
                Some(self.place(claim, wish, *expires_at))
            }
            Stage::Open
            | Stage::Ending { .. }
            | Stage::Returning
            | Stage::Over
            | Stage::Undoing { .. }
            | Stage::Refused { .. } => None,
        }
    }

    pub(super) fn sale_evolves(&mut self, event: &Event, touched: &mut Touched) {
        match event {
            Event::HoldPlaced { claim, seats } => {
                if let Some(item) = self.item_of(*claim) {
                    self.saved.hold_placed(item, seats);
                }
                self.sale.step(|stage| {
                    if let Stage::Placing { next, .. } = stage {
                        *next = claim + 1;
                    }
                });
            }
            Event::HoldRefused { failure } => self.undo(failure),
            Event::Refused => {
                if let Stage::Undoing { failure } = self.sale.stage() {
                    self.sale.advance_to(Stage::Refused { failure: failure.clone() });
                }
            }
            Event::Placed => {
                touched.placed();
                self.sale.advance_to(Stage::Open);
            }
            Event::SettlingBegun { capture } => {
                // Nobody shall pay another attempt.
                self.collect_no_more(capture.as_ref().map(|(number, _)| *number));
                self.giving_back.advance_to(Giving::default());
                self.sale.advance_to(Stage::Settling { capture: capture.clone(), next: 0 });
            }
            Event::HoldConfirmed => self.sale.step(|stage| {
                if let Stage::Settling { next, .. } | Stage::Reviving { next, .. } = stage {
                    *next += 1;
                }
            }),
            Event::Paid { at, capture, tickets } => {
                self.saved.paid(tickets, capture.as_ref(), *at, touched);
                self.sale.advance_to(Stage::Over);
            }
            Event::EndingBegun { why, at } => self.ending_begun(*why, *at),
            Event::Cancelled { at, why } => {
                let ending_at_wechat = *self.collecting.stage() != collect::Stage::Idle;
                self.saved.cancelled_at(*at, *why, ending_at_wechat, touched);
                self.sale.advance_to(Stage::Over);
            }
            Event::LateMoney { number, capture, at } => self.late_money_came(*number, capture, *at, touched),
            Event::SeekingBegun { number, expires_at, payable } => {
                self.saved.holds_anew(touched);
                let (number, expires_at, payable) = (*number, *expires_at, *payable);
                self.sale.advance_to(Stage::Seeking { number, found: Vec::new(), equal: false, expires_at, payable });
            }
            Event::SeatsFound { seats } => self.seats_found(seats),
            Event::EqualSought { .. } => self.sale.note(|stage| {
                if let Stage::Seeking { equal, .. } = stage {
                    *equal = true;
                }
            }),
            Event::ReturningBegun { confirmed } => self.returning_begun(*confirmed),
            Event::SeekingEnded => self.sale.advance_to(Stage::Over),
            Event::Revived { number, seats, tickets, at } => {
                self.saved.revived(*number, seats, tickets, *at, touched);
                self.sale.advance_to(Stage::Over);
            }
        }
    }

    fn undo(&mut self, failure: &StepFailure) {
        let Stage::Placing { next, .. } = *self.sale.stage() else { return };
        let held = match failure {
            StepFailure::Refused(_) => next,
            // Nobody knows whether the departure placed the hold: it is given back as well.
            StepFailure::Unavailable => next + 1,
        };
        let failure = failure.clone();
        if held == 0 {
            self.sale.advance_to(Stage::Refused { failure });
        } else {
            self.giving_back.advance_to(Giving::last_first(vec![Seats::new(); held], 0));
            self.sale.advance_to(Stage::Undoing { failure });
        }
    }

    fn ending_begun(&mut self, why: CancelReason, at: Timestamp) {
        let (mut capture, mut confirmed) = (None, 0);
        if let Stage::Settling { capture: settled, next } = self.sale.stage() {
            (capture, confirmed) = (settled.clone(), *next);
        }
        if capture.is_none() {
            self.saved.note_end_of_payments(at);
            self.collecting.advance_to(collect::Stage::Idle);
        }
        let seats = self.seats().map(<[_]>::to_vec).collect();
        self.giving_back.advance_to(Giving::first_first(seats, confirmed));
        self.sale.advance_to(Stage::Ending { why, capture });
    }

    /// Which seats a claim wants: units and uses are all alike.
    fn wish_of(&self, claim: usize) -> Option<SeatWish> {
        Some(match self.claimed(claim)? {
            Claim::Seats(leg) => leg.wish.clone(),
            Claim::Units(_) | Claim::Use(_) => SeatWish::Any,
        })
    }

    fn place(&self, claim: usize, wish: SeatWish, expires_at: Timestamp) -> Effect {
        Effect::PlaceHold { claim, hold: self.hold(claim), epoch: self.seat_epoch(), wish, expires_at }
    }
}

/// Why an order ends whose departure refuses the seats that were held.
fn lost_by(refused: &Rejection) -> CancelReason {
    let cancelled = *refused == Rejection::DepartureCancelled;
    if cancelled { CancelReason::DepartureCancelled } else { CancelReason::SeatsLost }
}

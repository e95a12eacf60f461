//! All checks of an order. Nothing is changed here. Those of a topic stand in its file: see the module's parts.

use super::command::{CallFailure, Command, Event, HoldAnswer, HoldStep, StepFailure};
use super::{AfterClose, CancelReason, CloseStep, Order, OrderStatus, Stage};
use crate::ids::{EntitlementCode, MerchantCode, OutTradeNo, TicketId};
use crate::rejection::Rejection;
use crate::ticket::{BOARDING, JOURNEY_VALID_AFTER_DEPARTURE_SECONDS, Journey, Ticket, TicketStatus};
use crate::time::Timestamp;

/// A payment without an answer is looked up this many seconds after it was created (wechat.md R7); after the last,
/// the end of payment is waited for.
const POLL_AFTER_SECONDS: [i64; 7] = [5, 30, 60, 180, 300, 600, 1800];

/// First and longest pause before a failed step is repeated; it doubles in between.
const RETRY_FIRST_MS: i64 = 500;
const RETRY_LONGEST_MS: i64 = 30_000;
/// Pause after an answer about something else than the order: somebody has to look first.
const DISTRUST_PAUSE_SECONDS: i64 = 10 * 60;

impl Order {
    /// What follows from `command` at `now`. No events: it is already so, or no longer matters.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::HoldAnswered(answer) => Ok(self.hold_answered(answer, now)),
            Command::BeginPayment { terms, body } => {
                self.check_payable(now)?;
                self.check_terms(terms, now)?;
                Ok(vec![Event::PaymentBegun { terms: *terms, body: body.clone(), at: now }])
            }
            Command::CreateCalled => Ok(only_if(self.live_payment().is_some(), Event::CreateCalled { at: now })),
            Command::QueryCalled => Ok(only_if(self.live_payment().is_some(), Event::QueryCalled { at: now })),
            Command::PaymentCreated { number, prepay } => {
                let waiting = self.stage == Stage::Creating && self.is_live(*number);
                Ok(only_if(waiting, Event::PaymentCreated { number: *number, prepay: prepay.clone() }))
            }
            Command::CreateRefused { number, code, may_exist } => Ok(self.create_refused(*number, code, *may_exist)),
            Command::CloseAnswered { number } => {
                let waiting = matches!(self.stage, Stage::Closing { step: CloseStep::Close, .. });
                Ok(only_if(waiting && self.is_live(*number), Event::CloseStepped { step: CloseStep::QueryAgain }))
            }
            Command::CallFailed { number, why } => {
                let calling = matches!(
                    self.stage,
                    Stage::Creating | Stage::Payable { polling: true, .. } | Stage::Closing { .. }
                );
                Ok(if calling && self.is_live(*number) { vec![self.call_failed(*why, now)] } else { vec![] })
            }
            Command::PaymentFact(fact) => self.payment_fact(fact, now),
            Command::BeginRefund { number, body } => Ok(self.begin_refund(*number, body, now)),
            Command::RefundRefused { number, code } => Ok(self.refund_refused(*number, code)),
            Command::RefundCallFailed { number, why } => Ok(self.refund_call_failed(*number, *why, now)),
            Command::RefundFact(fact) => self.refund_fact(fact, now),
            Command::RetryRefund { number } => self.retry_refund(*number, now),
            Command::Cancel => self.cancel(now),
            Command::Wake => Ok(self.wake(now)),
            Command::Scan(scan) => Ok(self.scan(scan, now)),
        }
    }

    /// When to send [`Command::Wake`]. Nothing depends on its being punctual.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let Some(retry_at) = self.retry_at else { return self.step_deadline() };
        match &self.stage {
            // However the step under way goes, and however long its repetition is put off: a payment's end is its end.
            Stage::Extending { .. } | Stage::Creating | Stage::Payable { .. } => {
                Some(self.live_payment().map_or(retry_at, |payment| retry_at.min(payment.time_expire)))
            }
            Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Open
            | Stage::Closing { .. }
            | Stage::Releasing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::GivingBack { .. }
            | Stage::Refunding { .. }
            | Stage::Done => Some(retry_at),
        }
    }

    fn step_deadline(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Open => Some(self.lock_expires_at),
            Stage::Payable { polls, polling: false } => {
                let payment = self.live_payment()?;
                Some(poll_at(payment.begun_at, *polls).map_or(payment.time_expire, |at| at.min(payment.time_expire)))
            }
            Stage::Extending { .. } | Stage::Creating | Stage::Payable { polling: true, .. } => {
                self.live_payment().map(|payment| payment.time_expire)
            }
            Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Closing { .. }
            | Stage::Releasing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::GivingBack { .. }
            | Stage::Refunding { .. } => None,
            Stage::Done => self.refund_plan().map(|(at, ..)| at),
        }
    }

    fn hold_answered(&self, answer: &HoldAnswer, now: Timestamp) -> Vec<Event> {
        match (&self.stage, answer.step) {
            (Stage::Placing { next }, HoldStep::Place) if *next == answer.item => self.place_answered(answer),
            // Seats that could not be given back expire by themselves; the traveller waits for the refusal.
            (Stage::Undoing { left, .. }, HoldStep::Release) if *left == answer.item + 1 => vec![Event::HoldUndone],
            (Stage::Extending { next }, HoldStep::BeginPaying) if *next == answer.item => match &answer.result {
                Ok(_) => vec![Event::HoldPaying],
                Err(StepFailure::Refused(refused)) => vec![self.end_payment(lost_by(refused), now)],
                Err(StepFailure::Unavailable) => vec![self.step_failed(now)],
            },
            (Stage::Releasing { next, .. }, HoldStep::Release | HoldStep::Free) if *next == answer.item => {
                match &answer.result {
                    _ if answer.found_confirmed() => vec![Event::HoldFoundConfirmed],
                    // A refusal says that there is nothing to give back.
                    Ok(_) | Err(StepFailure::Refused(_)) => self.released(*next, now),
                    Err(StepFailure::Unavailable) => vec![self.step_failed(now)],
                }
            }
            (Stage::Settling { next, .. }, HoldStep::Confirm) if *next == answer.item => match &answer.result {
                Ok(_) => self.confirmed(*next, now),
                // The seats are gone although money came. What is left of them is given back, then the order ends
                // and the money is to go back too.
                Err(StepFailure::Refused(refused)) => vec![Event::ReleaseBegun { why: lost_by(refused), at: now }],
                Err(StepFailure::Unavailable) => vec![self.step_failed(now)],
            },
            (Stage::Seeking { found, .. }, HoldStep::Place) if found.len() == answer.item => {
                self.seek_answered(answer, now)
            }
            (Stage::Reviving { next, .. }, HoldStep::Confirm) if *next == answer.item => {
                self.revive_answered(answer, now)
            }
            (Stage::GivingBack { found, .. }, HoldStep::Release | HoldStep::Free) if found.len() == answer.item + 1 => {
                self.give_back_answered(answer, now)
            }
            // An answer to a step that is no longer wanted.
            (
                Stage::Placing { .. }
                | Stage::Undoing { .. }
                | Stage::Extending { .. }
                | Stage::Releasing { .. }
                | Stage::Settling { .. }
                | Stage::Seeking { .. }
                | Stage::Reviving { .. }
                | Stage::GivingBack { .. }
                | Stage::Refunding { .. }
                | Stage::Refused { .. }
                | Stage::Open
                | Stage::Creating
                | Stage::Payable { .. }
                | Stage::Closing { .. }
                | Stage::Done,
                _,
            ) => vec![],
        }
    }

    fn place_answered(&self, answer: &HoldAnswer) -> Vec<Event> {
        let seats = match &answer.result {
            Ok(seats) => seats.clone(),
            Err(failure) => return vec![Event::HoldRefused { failure: of_item(answer.item, failure) }],
        };
        let mut events = vec![Event::HoldPlaced { item: answer.item, seats }];
        if self.is_last(answer.item) {
            events.push(Event::Placed);
            if self.is_free_of_charge() {
                events.push(Event::SettlingBegun { capture: None });
            }
        }
        events
    }

    fn released(&self, item: usize, now: Timestamp) -> Vec<Event> {
        let mut events = vec![Event::HoldReleased];
        if let (true, Stage::Releasing { why, capture, .. }) = (self.is_last(item), &self.stage) {
            events.push(Event::Cancelled { at: now, why: *why });
            if let Some((number, capture)) = capture {
                events.extend(self.late_money(*number, capture, Some(*why), now));
            }
        }
        events
    }

    fn confirmed(&self, item: usize, now: Timestamp) -> Vec<Event> {
        let mut events = vec![Event::HoldConfirmed];
        if let (true, Stage::Settling { capture, .. }) = (self.is_last(item), &self.stage) {
            let tickets = self.issue(self.items.iter().map(|item| item.seats.as_slice()), now);
            events.push(Event::Paid { at: now, capture: capture.clone(), tickets });
        }
        events
    }

    pub(super) fn is_last(&self, item: usize) -> bool {
        item + 1 == self.items.len()
    }

    fn cancel(&self, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let why = CancelReason::Traveller;
        match (&self.status, &self.stage) {
            (OrderStatus::Paid | OrderStatus::Completed, _) | (OrderStatus::Pending, Stage::Settling { .. }) => {
                Err(Rejection::OrderPaid)
            }
            (OrderStatus::Cancelled, _) => Ok(vec![]),
            (OrderStatus::Pending, Stage::Open) => Ok(vec![Event::ReleaseBegun { why, at: now }]),
            (OrderStatus::Pending, Stage::Extending { .. } | Stage::Creating | Stage::Payable { .. }) => {
                Ok(vec![self.end_payment(why, now)])
            }
            (OrderStatus::Pending, Stage::Closing { .. } | Stage::Releasing { .. }) => Ok(vec![]),
            (
                OrderStatus::Pending,
                Stage::Placing { .. }
                | Stage::Undoing { .. }
                | Stage::Refused { .. }
                | Stage::Seeking { .. }
                | Stage::Reviving { .. }
                | Stage::GivingBack { .. }
                | Stage::Refunding { .. }
                | Stage::Done,
            ) => Err(Rejection::OrderNotFound),
        }
    }

    /// Ends the live payment: at WeChat, if it can have heard of it, else here.
    fn end_payment(&self, why: CancelReason, now: Timestamp) -> Event {
        if self.create_called_at.is_some() {
            Event::ClosingBegun { then: AfterClose::Cancel(why) }
        } else {
            Event::ReleaseBegun { why, at: now }
        }
    }

    fn wake(&self, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        let waiting = self.retry_at.is_some_and(|at| now < at);
        if self.retry_at.is_some() && !waiting {
            events.push(Event::RetryDue);
        }
        match &self.stage {
            Stage::Open if now >= self.lock_expires_at => {
                // Without a payment the departures free the seats at the same instant by themselves.
                if self.payments.is_empty() {
                    events.push(Event::Cancelled { at: now, why: CancelReason::Expired });
                } else {
                    events.push(Event::ReleaseBegun { why: CancelReason::Expired, at: now });
                }
            }
            Stage::Extending { .. } | Stage::Creating | Stage::Payable { .. } if self.payment_is_over(now) => {
                events.push(self.end_payment(CancelReason::Expired, now));
            }
            Stage::Payable { polls, polling: false } if !waiting => {
                let due = self.live_payment().and_then(|payment| poll_at(payment.begun_at, *polls));
                if due.is_some_and(|at| now >= at) {
                    events.push(Event::PollBegun);
                }
            }
            Stage::Done => {
                let due = self.refund_plan().filter(|(at, ..)| now >= *at);
                events.extend(due.map(|(_, number, step)| Event::RefundStepBegun { number, step, at: now }));
            }
            // It is too early, or an answer is waited for.
            Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Open
            | Stage::Extending { .. }
            | Stage::Creating
            | Stage::Payable { .. }
            | Stage::Closing { .. }
            | Stage::Releasing { .. }
            | Stage::Settling { .. }
            | Stage::Seeking { .. }
            | Stage::Reviving { .. }
            | Stage::GivingBack { .. }
            | Stage::Refunding { .. } => {}
        }
        events
    }

    fn payment_is_over(&self, now: Timestamp) -> bool {
        self.live_payment().is_some_and(|payment| now >= payment.time_expire)
    }

    pub(super) fn is_live(&self, number: OutTradeNo) -> bool {
        self.payment(number).is_some_and(|payment| payment.state.is_alive())
    }

    pub(super) fn call_failed(&self, why: CallFailure, now: Timestamp) -> Event {
        match why {
            CallFailure::NoAnswer => self.step_failed(now),
            CallFailure::Distrusted => Event::StepFailed { retry_at: now.plus_seconds(DISTRUST_PAUSE_SECONDS) },
        }
    }

    pub(super) fn step_failed(&self, now: Timestamp) -> Event {
        let pause = RETRY_FIRST_MS << self.failures.min(6);
        Event::StepFailed { retry_at: now.plus_ms(pause.min(RETRY_LONGEST_MS)) }
    }

    /// One ticket per passenger and journey (R-TICKET-01). `seats` are those of each item.
    pub(super) fn issue<'a>(&self, seats: impl Iterator<Item = &'a [Box<str>]>, now: Timestamp) -> Vec<Ticket> {
        let mut tickets = Vec::with_capacity(self.items.len() * self.draft.passengers.len());
        for (item, seats) in self.items.iter().zip(seats) {
            for (passenger, seat) in seats.iter().enumerate() {
                let number = tickets.len() as u16 + 1;
                tickets.push(Ticket {
                    id: TicketId { order: self.id(), number },
                    passenger: passenger as u16,
                    journey: Journey {
                        departure: item.departure.clone(),
                        stretch: item.stretch,
                        seat: seat.clone(),
                        board_port: item.board_port.clone(),
                        departs_at: item.departs_at,
                    },
                    merchant: MerchantCode::from(&item.operator),
                    entitlement: EntitlementCode::constant(BOARDING),
                    total: 1,
                    remaining: 1,
                    status: TicketStatus::Usable,
                    issued_at: now,
                    valid_from: now,
                    valid_until: item.departs_at.plus_seconds(JOURNEY_VALID_AFTER_DEPARTURE_SECONDS).max(now),
                    redemptions: Vec::new(),
                });
            }
        }
        tickets
    }
}

/// A departure knows nothing of items: the field that it names is one of the item that asked.
fn of_item(item: usize, failure: &StepFailure) -> StepFailure {
    match failure {
        StepFailure::Refused(Rejection::Field { field, message }) => {
            StepFailure::Refused(Rejection::field(format!("items[{item}].{field}"), message.clone()))
        }
        other => other.clone(),
    }
}

/// Why an order ends whose departure refuses the seats that were held.
fn lost_by(refused: &Rejection) -> CancelReason {
    let cancelled = *refused == Rejection::DepartureCancelled;
    if cancelled { CancelReason::DepartureCancelled } else { CancelReason::SeatsLost }
}

fn poll_at(begun_at: Timestamp, polls: u32) -> Option<Timestamp> {
    POLL_AFTER_SECONDS.get(polls as usize).map(|seconds| begun_at.plus_seconds(*seconds))
}

/// How many look-ups were due by `now`: those missed while nobody was there are not made up for.
pub(super) fn polls_until(begun_at: Timestamp, now: Timestamp) -> u32 {
    POLL_AFTER_SECONDS.iter().filter(|seconds| now >= begun_at.plus_seconds(**seconds)).count() as u32
}

fn only_if(wanted: bool, event: Event) -> Vec<Event> {
    if wanted { vec![event] } else { vec![] }
}

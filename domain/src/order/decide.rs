//! All checks of an order. Nothing is changed here.

use super::command::{CloseNext, Command, Event, HoldAnswer, StepFailure};
use super::{
    CancelReason, Capture, CloseStep, FactState, Order, OrderStatus, PaymentFact, PaymentState, PaymentTerms, Stage,
};
use crate::departure::Stretch;
use crate::ids::{EntitlementCode, MerchantCode, OutTradeNo, TicketId};
use crate::rejection::Rejection;
use crate::ticket::{BOARDING, JOURNEY_VALID_AFTER_DEPARTURE_SECONDS, Journey, Ticket, TicketStatus};
use crate::time::Timestamp;

/// A payment without an answer is looked up this many seconds after it was created (wechat.md R7); after the last,
/// the end of payment is waited for.
const POLL_AFTER_SECONDS: [i64; 7] = [5, 30, 60, 180, 300, 600, 1800];

/// A create call that was given up can still reach WeChat for this long: twice the client's timeout and change.
const CREATE_WINDOW_SECONDS: i64 = 60;

/// First and longest pause before a failed step is repeated; it doubles in between.
const RETRY_FIRST_MS: i64 = 500;
const RETRY_LONGEST_MS: i64 = 30_000;

impl Order {
    /// What follows from `command` at `now`. No events: it is already so, or no longer matters.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::HoldAnswered(answer) => Ok(self.hold_answered(answer, now)),
            Command::BeginPayment { terms, body } => {
                self.check_payable(now)?;
                self.check_terms(terms)?;
                Ok(vec![Event::PaymentBegun { terms: *terms, body: body.clone(), at: now }])
            }
            Command::CreateCalled => Ok(vec![Event::CreateCalled { at: now }]),
            Command::PaymentCreated { number, prepay_id, nonce, signed_at_seconds } => {
                let waiting = self.stage == Stage::Creating && self.is_live(*number);
                Ok(only_if(
                    waiting,
                    Event::PaymentCreated {
                        number: *number,
                        prepay_id: prepay_id.clone(),
                        nonce: nonce.clone(),
                        signed_at_seconds: *signed_at_seconds,
                    },
                ))
            }
            Command::CreateRefused { number, code, may_exist } => Ok(self.create_refused(*number, code, *may_exist)),
            Command::CloseAnswered { number } => {
                let waiting = matches!(self.stage, Stage::Closing { step: CloseStep::Close, .. });
                Ok(only_if(waiting && self.is_live(*number), Event::CloseStepped { step: CloseNext::QueryAgain }))
            }
            Command::CallFailed { number } => {
                let calling = matches!(
                    self.stage,
                    Stage::Creating | Stage::Payable { polling: true, .. } | Stage::Closing { .. }
                );
                Ok(if calling && self.is_live(*number) { vec![self.step_failed(now)] } else { vec![] })
            }
            Command::PaymentFact(fact) => self.payment_fact(fact, now),
            Command::Cancel => self.cancel(),
            Command::Wake => Ok(self.wake(now)),
            Command::Scan(scan) => Ok(self.scan(scan, now)),
        }
    }

    /// When to send [`Command::Wake`]. Nothing depends on its being punctual.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if let Some(retry_at) = self.retry_at {
            return Some(retry_at);
        }
        match &self.stage {
            Stage::Open => Some(self.lock_expires_at),
            Stage::Payable { polls, polling: false } => {
                let payment = self.live_payment()?;
                Some(poll_at(payment.begun_at, *polls).map_or(payment.time_expire, |at| at.min(payment.time_expire)))
            }
            Stage::Placing { .. }
            | Stage::Undoing { .. }
            | Stage::Refused { .. }
            | Stage::Extending { .. }
            | Stage::Creating
            | Stage::Payable { polling: true, .. }
            | Stage::Closing { .. }
            | Stage::Releasing { .. }
            | Stage::Settling { .. }
            | Stage::Done => None,
        }
    }

    fn hold_answered(&self, answer: &HoldAnswer, now: Timestamp) -> Vec<Event> {
        let last = |next: usize| next + 1 == self.items.len();
        match (&self.stage, &answer.result) {
            (Stage::Placing { next }, Ok(seats)) if *next == answer.item => {
                let mut events = vec![Event::HoldPlaced { item: answer.item, seats: seats.clone() }];
                if last(*next) {
                    events.push(Event::Placed);
                    if self.total().minor == 0 {
                        events.push(Event::SettlingBegun { capture: None });
                    }
                }
                events
            }
            (Stage::Placing { next }, Err(failure)) if *next == answer.item => {
                vec![Event::HoldRefused { failure: failure.clone() }]
            }
            // Giving back is repeated until the departure has answered, whatever it says: an unplaced hold is not there.
            (Stage::Undoing { left, .. }, Ok(_) | Err(StepFailure::Refused(_))) if *left == answer.item + 1 => {
                vec![Event::HoldUndone]
            }
            // Seats that could not be given back expire by themselves; the traveller waits for the refusal.
            (Stage::Undoing { left, .. }, Err(StepFailure::Unavailable)) if *left == answer.item + 1 => {
                vec![Event::HoldUndone]
            }
            (Stage::Extending { next }, Ok(_)) if *next == answer.item => vec![Event::HoldPaying],
            (Stage::Extending { next }, Err(StepFailure::Refused(_))) if *next == answer.item => {
                vec![self.end_payment(CancelReason::SeatsLost)]
            }
            (Stage::Releasing { next, why }, Ok(_) | Err(StepFailure::Refused(_))) if *next == answer.item => {
                let mut events = vec![Event::HoldReleased];
                if last(*next) {
                    events.push(Event::Cancelled { at: now, why: *why });
                }
                events
            }
            (Stage::Settling { next, capture }, Ok(_)) if *next == answer.item => {
                let mut events = vec![Event::HoldConfirmed];
                if last(*next) {
                    events.push(Event::Paid { at: now, capture: capture.clone(), tickets: self.issue(now) });
                }
                events
            }
            // The seats are gone although money came. The order ends and the money is to go back.
            (Stage::Settling { next, capture }, Err(StepFailure::Refused(_))) if *next == answer.item => {
                let mut events = vec![Event::Cancelled { at: now, why: CancelReason::SeatsLost }];
                if let Some((number, capture)) = capture {
                    events.push(Event::LateMoney { number: *number, capture: capture.clone(), at: now });
                }
                events
            }
            (
                Stage::Extending { next } | Stage::Releasing { next, .. } | Stage::Settling { next, .. },
                Err(StepFailure::Unavailable),
            ) if *next == answer.item => {
                vec![self.step_failed(now)]
            }
            // An answer to a step that is no longer wanted.
            (
                Stage::Placing { .. }
                | Stage::Undoing { .. }
                | Stage::Extending { .. }
                | Stage::Releasing { .. }
                | Stage::Settling { .. }
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

    fn check_terms(&self, terms: &PaymentTerms) -> Result<(), Rejection> {
        let expected = OutTradeNo { order: self.id(), attempt: self.payments.len() as u16 + 1 };
        let fits =
            terms.number == expected && terms.total == self.total() && terms.time_expire <= terms.hold_expires_at;
        if fits { Ok(()) } else { Err(Rejection::OrderNotPayable) }
    }

    fn create_refused(&self, number: OutTradeNo, code: &str, may_exist: bool) -> Vec<Event> {
        if self.stage != Stage::Creating || !self.is_live(number) {
            return vec![];
        }
        if may_exist {
            // The number is in use: only a query can tell what became of it.
            return vec![Event::ClosingBegun { why: CancelReason::Expired }];
        }
        vec![Event::PaymentRefused { number, code: code.into() }]
    }

    fn payment_fact(&self, fact: &PaymentFact, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let payment = self.payment(fact.number).ok_or(Rejection::PaymentMismatch("no such payment of this order"))?;
        match &fact.state {
            FactState::Paid(capture) => {
                if capture.amount != payment.total {
                    return Err(Rejection::PaymentMismatch("amount or currency"));
                }
                Ok(self.money_came(fact.number, &payment.state, capture, now))
            }
            FactState::NotPaid => Ok(self.seen_unpaid(fact.number, now)),
            FactState::Closed => Ok(self.seen_closed(fact.number)),
            FactState::NotFound => Ok(self.seen_missing(fact.number, now)),
        }
    }

    /// Success always wins over what we thought (wechat.md R4), once per payment.
    fn money_came(&self, number: OutTradeNo, state: &PaymentState, capture: &Capture, now: Timestamp) -> Vec<Event> {
        if matches!(state, PaymentState::Paid { .. } | PaymentState::PaidLate { .. }) {
            return vec![];
        }
        match (&self.status, &self.stage) {
            (OrderStatus::Pending, Stage::Settling { .. }) => vec![],
            (OrderStatus::Pending, _) => {
                vec![Event::SettlingBegun { capture: Some((number, capture.clone())) }]
            }
            // Money after the cancellation, or a second time: kept in the ledger as due to go back.
            (OrderStatus::Cancelled | OrderStatus::Paid | OrderStatus::Completed, _) => {
                vec![Event::LateMoney { number, capture: capture.clone(), at: now }]
            }
        }
    }

    fn seen_unpaid(&self, number: OutTradeNo, now: Timestamp) -> Vec<Event> {
        if !self.is_live(number) {
            return vec![];
        }
        match &self.stage {
            Stage::Payable { polling: true, .. } => vec![Event::PollEnded],
            Stage::Closing { step: CloseStep::QueryFirst, .. } => vec![Event::CloseStepped { step: CloseNext::Close }],
            // Still open after the close: close again, later.
            Stage::Closing { step: CloseStep::QueryAgain, .. } => {
                vec![Event::CloseStepped { step: CloseNext::Restart }, self.step_failed(now)]
            }
            _ => vec![],
        }
    }

    fn seen_closed(&self, number: OutTradeNo) -> Vec<Event> {
        if !self.is_live(number) {
            return vec![];
        }
        match &self.stage {
            Stage::Closing { why, .. } => vec![Event::ReleaseBegun { why: *why }],
            Stage::Payable { .. } | Stage::Creating => vec![Event::ReleaseBegun { why: CancelReason::Expired }],
            _ => vec![],
        }
    }

    /// WeChat does not know the number. That frees the seats only once no create call can arrive any more.
    fn seen_missing(&self, number: OutTradeNo, now: Timestamp) -> Vec<Event> {
        if !self.is_live(number) {
            return vec![];
        }
        match &self.stage {
            Stage::Payable { polling: true, .. } => vec![Event::PollEnded],
            Stage::Closing { why, .. } if self.create_window_is_over(now) => vec![Event::ReleaseBegun { why: *why }],
            Stage::Closing { .. } => vec![self.step_failed(now)],
            _ => vec![],
        }
    }

    fn create_window_is_over(&self, now: Timestamp) -> bool {
        self.create_called_at.is_none_or(|at| now >= at.plus_seconds(CREATE_WINDOW_SECONDS))
    }

    fn cancel(&self) -> Result<Vec<Event>, Rejection> {
        let why = CancelReason::Traveller;
        match (&self.status, &self.stage) {
            (OrderStatus::Paid | OrderStatus::Completed, _) | (OrderStatus::Pending, Stage::Settling { .. }) => {
                Err(Rejection::OrderPaid)
            }
            (OrderStatus::Cancelled, _) => Ok(vec![]),
            (OrderStatus::Pending, Stage::Open) => Ok(vec![Event::ReleaseBegun { why }]),
            (OrderStatus::Pending, Stage::Extending { .. } | Stage::Creating | Stage::Payable { .. }) => {
                Ok(vec![self.end_payment(why)])
            }
            (OrderStatus::Pending, Stage::Closing { .. } | Stage::Releasing { .. }) => Ok(vec![]),
            (
                OrderStatus::Pending,
                Stage::Placing { .. } | Stage::Undoing { .. } | Stage::Refused { .. } | Stage::Done,
            ) => Err(Rejection::OrderNotFound),
        }
    }

    /// Ends the live payment: at WeChat, if it can have heard of it, else here.
    fn end_payment(&self, why: CancelReason) -> Event {
        if self.create_called_at.is_some() { Event::ClosingBegun { why } } else { Event::ReleaseBegun { why } }
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
                    events.push(Event::ReleaseBegun { why: CancelReason::Expired });
                }
            }
            Stage::Extending { .. } | Stage::Creating | Stage::Payable { .. } if self.payment_is_over(now) => {
                events.push(self.end_payment(CancelReason::Expired));
            }
            Stage::Payable { polls, polling: false } if !waiting => {
                let due = self.live_payment().and_then(|payment| poll_at(payment.begun_at, *polls));
                if due.is_some_and(|at| now >= at) {
                    events.push(Event::PollBegun);
                }
            }
            _ => {}
        }
        events
    }

    fn payment_is_over(&self, now: Timestamp) -> bool {
        self.live_payment().is_some_and(|payment| now >= payment.time_expire)
    }

    fn is_live(&self, number: OutTradeNo) -> bool {
        self.payment(number).is_some_and(|payment| payment.state.is_alive())
    }

    fn step_failed(&self, now: Timestamp) -> Event {
        let pause = RETRY_FIRST_MS << self.failures.min(6);
        Event::StepFailed { retry_at: now.plus_ms(pause.min(RETRY_LONGEST_MS)) }
    }

    /// One ticket per passenger and journey (R-TICKET-01).
    fn issue(&self, now: Timestamp) -> Vec<Ticket> {
        let mut tickets = Vec::with_capacity(self.items.len() * self.draft.passengers.len());
        for item in &self.items {
            let Stretch { board, alight } = item.stretch;
            for (passenger, seat) in item.seats.iter().enumerate() {
                let number = tickets.len() as u16 + 1;
                tickets.push(Ticket {
                    id: TicketId { order: self.id(), number },
                    passenger: passenger as u16,
                    journey: Journey {
                        departure: item.departure.clone(),
                        stretch: Stretch { board, alight },
                        seat: seat.clone(),
                        board_port: item.board_port.clone(),
                        departs_at: item.departs_at,
                    },
                    merchant: merchant_of(item),
                    entitlement: boarding(),
                    total: 1,
                    remaining: 1,
                    status: TicketStatus::Usable,
                    valid_from: now,
                    valid_until: item.departs_at.plus_seconds(JOURNEY_VALID_AFTER_DEPARTURE_SECONDS).max(now),
                    redemptions: Vec::new(),
                });
            }
        }
        tickets
    }
}

fn merchant_of(item: &super::Item) -> MerchantCode {
    MerchantCode::from(&item.operator)
}

fn boarding() -> EntitlementCode {
    EntitlementCode::constant(BOARDING)
}

fn poll_at(begun_at: Timestamp, polls: u32) -> Option<Timestamp> {
    POLL_AFTER_SECONDS.get(polls as usize).map(|seconds| begun_at.plus_seconds(*seconds))
}

fn only_if(wanted: bool, event: Event) -> Vec<Event> {
    if wanted { vec![event] } else { vec![] }
}

//! Stories of orders, with the clock in them; below them, random runs against a world and a naive model.

mod announcing;
mod beside;
mod drafts;
pub(super) mod random;
mod restart;
mod world;

pub(super) use std::collections::{BTreeMap, BTreeSet};
pub(super) use std::sync::Arc;

pub(super) use drafts::{draft, item, leg, seats, with_uses};

pub(super) use super::rows::{LedgerRow, OrderRow, PaymentRow, RefundRow, ScanRow, TicketAuditRow, TicketRow};
pub(super) use super::*;
pub(super) use crate::ids::{OrderId, OutRefundNo, TravellerId};
pub(super) use crate::ids::{SessionId, Shard, TicketId};
pub(super) use crate::money::{Currency, Money};
pub(super) use crate::party::PassengerType;
pub(super) use crate::redeems::Redeems;
pub(super) use crate::rejection::{Rejection, ScanRejection, Sold};
pub(super) use crate::row::{Row as _, Rows, Table};
pub(super) use crate::tables::by_slot;
pub(super) use crate::testing::{Balance, Images};
pub(super) use crate::ticket::{Holder, Journey, Right, TicketStatus};

/// Every story starts here.
pub(super) const START: Timestamp = Timestamp::from_ms(1_764_000_000_000);
pub(super) const LOCK_SECONDS: u32 = 600;
/// The first item's departure, in seconds after the start; each next one leaves an hour later.
pub(super) const DEPARTS: i64 = 7_200;
pub(super) const POLICY: PaymentPolicy = PaymentPolicy { min_seconds: 60, grace_seconds: 90, cap_extra_seconds: 300 };
pub(super) const FARE: i64 = 22_000;

impl Order {
    /// What it wants done first.
    pub(in crate::order) fn effect(&self) -> Option<Effect> {
        self.effects().next()
    }

    /// What the ledger adds up to.
    pub(in crate::order) fn balance(&self) -> Balance {
        Balance::of(self.ledger())
    }
}

impl Balance {
    /// What the order keeps of the money that came.
    pub(in crate::order) const fn kept(self) -> i64 {
        self.captured - self.refund_due - self.refunded
    }
}

pub(super) fn at(seconds: i64) -> Timestamp {
    START.plus_seconds(seconds)
}

pub(super) fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::Cny)
}

pub(super) fn order_id() -> OrderId {
    OrderId::compose(START, Shard::of(3), 0x1234_5678)
}

pub(super) fn number(attempt: u16) -> OutTradeNo {
    OutTradeNo { order: order_id(), attempt }
}

pub(super) fn ticket_id(number: u16) -> TicketId {
    TicketId { order: order_id(), number }
}

/// What Postgres would hold.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub(in crate::order) images: Images,
    /// Rows that no order reads back, in the order in which they were written.
    pub(in crate::order) log: Rows,
}

/// The tables that an owner reads when it wakes.
pub(super) const STATE: [&Table; 5] =
    [OrderRow::TABLE, PaymentRow::TABLE, RefundRow::TABLE, TicketRow::TABLE, LedgerRow::TABLE];

impl Stored {
    pub(in crate::order) fn save(&mut self, rows: &Rows) {
        self.images.keep(rows).unwrap();
        for (slot, image) in rows.images() {
            if STATE.iter().all(|table| table.slot != slot) {
                self.log.put_image(slot, image);
            }
        }
    }

    /// The rows that an owner reads when it wakes: no log rows, but of scans those that redeemed. In no useful order.
    pub(in crate::order) fn rows(&self) -> Rows {
        let mut all = Rows::default();
        self.redemptions().iter().rev().for_each(|row| all.put(row));
        for table in STATE.iter().rev() {
            self.images.of(table).rev().for_each(|image| all.put_image(table.slot, image));
        }
        all
    }

    pub(in crate::order) fn attempts(&self) -> Vec<ScanRow<'_>> {
        self.log.all().unwrap()
    }

    pub(in crate::order) fn redemptions(&self) -> Vec<ScanRow<'_>> {
        self.attempts().into_iter().filter(|row| row.number.is_some()).collect()
    }

    pub(in crate::order) fn audit(&self) -> Vec<TicketAuditRow<'_>> {
        self.log.all().unwrap()
    }
}

/// An order with its clock and its rows, told things by hand.
#[derive(Clone)]
pub(super) struct Story {
    pub(in crate::order) order: Order,
    pub(in crate::order) now: Timestamp,
    pub(in crate::order) version: u64,
    pub(in crate::order) stored: Stored,
}

impl Story {
    /// Nothing is held yet.
    pub(in crate::order) fn drafted(items: usize, passengers: usize, total_minor: i64) -> Story {
        let order = Order::draft(draft(items, passengers, total_minor), START);
        Story { order, now: START, version: 0, stored: Stored::default() }
    }

    /// As drafted, with a use of each of so many promotions.
    pub(in crate::order) fn promoted(items: usize, passengers: usize, uses: usize) -> Story {
        let order = Order::draft(with_uses(draft(items, passengers, FARE), uses), START);
        Story { order, now: START, version: 0, stored: Stored::default() }
    }

    /// As drafted, and its first departure leaves after so many seconds; each next one an hour later.
    pub(in crate::order) fn leaving_after(items: usize, uses: usize, seconds: i64) -> Story {
        let mut draft = with_uses(draft(items, 1, FARE), uses);
        for (index, item) in draft.items.iter_mut().enumerate() {
            item.leg_mut().unwrap().departs_at = at(seconds + 3_600 * index as i64);
        }
        Story { order: Order::draft(draft, START), now: START, version: 0, stored: Stored::default() }
    }

    /// One item, one passenger, seats held at the start.
    pub(in crate::order) fn placed() -> Story {
        Story::placed_with(1, 1)
    }

    pub(in crate::order) fn placed_with(items: usize, passengers: usize) -> Story {
        let mut story = Story::drafted(items, passengers, FARE);
        story.holds_agree();
        assert!(story.order.is_open());
        story
    }

    /// The traveller can pay.
    pub(in crate::order) fn payable() -> Story {
        Story::payable_with(1, 1)
    }

    pub(in crate::order) fn payable_with(items: usize, passengers: usize) -> Story {
        let mut story = Story::placed_with(items, passengers);
        story.begin_payment().unwrap();
        story.holds_agree();
        story.create_succeeds();
        story
    }

    /// WeChat has refused so many attempts, and the traveller can pay the next.
    pub(in crate::order) fn payable_after_refusals(refused: u16) -> Story {
        let mut story = Story::placed();
        (1..=refused).for_each(|attempt| story.create_is_refused(attempt));
        story.begin_payment().unwrap();
        story.holds_agree();
        story.create_succeeds();
        story
    }

    pub(in crate::order) fn paid_with(items: usize, passengers: usize) -> Story {
        let mut story = Story::payable_with(items, passengers);
        story.ok(paid(1));
        story.holds_agree();
        assert_eq!(story.order.status(), OrderStatus::Paid);
        story
    }

    pub(in crate::order) fn tell(&mut self, command: impl Into<Command>) -> Result<Vec<Event>, Rejection> {
        let before = self.order.clone();
        let decided = self.order.decide(&command.into(), self.now);
        assert_eq!(self.order, before, "decide changes nothing");
        let events = decided?;
        self.happens(&events);
        Ok(events)
    }

    /// Whatever decided it.
    pub(in crate::order) fn happens(&mut self, events: &[Event]) {
        let has_room = self.order.wants_room(events);
        let rows = self.order.apply(events, self.version + 1);
        assert!(rows.is_empty() || has_room, "room is asked for before: {events:?}");
        if !rows.is_empty() {
            self.version += 1;
            let newest =
                STATE.iter().flat_map(|table| rows.images_of(table).map(|image| table.version(image).unwrap()));
            assert_eq!(newest.max(), Some(self.version), "state rows tell the key's version");
            let images: Vec<_> =
                rows.images().map(|(slot, image)| (slot, by_slot(slot).unwrap().key(image).unwrap())).collect();
            let distinct: BTreeSet<_> = images.iter().collect();
            assert_eq!(distinct.len(), images.len(), "one image a row");
            self.stored.save(&rows);
        }
    }

    pub(in crate::order) fn ok(&mut self, command: impl Into<Command>) -> Vec<Event> {
        self.tell(command).unwrap()
    }

    /// Told when it can no longer matter.
    pub(in crate::order) fn ignores(&mut self, command: impl Into<Command>) {
        assert_eq!(self.tell(command), Ok(vec![]));
    }

    /// The clock moves on, and the timer fires.
    pub(in crate::order) fn wake_at(&mut self, seconds: i64) -> Vec<Event> {
        self.now = at(seconds);
        self.ok(Command::Wake)
    }

    /// The timer fires at the machine's next deadline.
    pub(in crate::order) fn wake_when_due(&mut self) -> Vec<Event> {
        self.now = self.now.max(self.order.next_deadline().expect("a deadline"));
        self.ok(Command::Wake)
    }

    pub(in crate::order) fn effect(&self) -> Effect {
        self.order.effect().expect("something to do")
    }

    pub(in crate::order) fn hold_answers(&mut self, result: Result<Vec<Box<str>>, StepFailure>) -> Vec<Event> {
        let answer = self.effect().hold_answer(result).expect("a step with a departure");
        self.ok(Command::HoldAnswered(answer))
    }

    /// Departures say yes for as long as the order asks them.
    pub(in crate::order) fn holds_agree(&mut self) {
        while let Some(effect) = self.order.effect() {
            let Some(answer) = effect.hold_answer(Ok(vec![])) else { return };
            let seats = match effect {
                Effect::PlaceHold { claim, .. } => self.seats_of(claim),
                _ => vec![],
            };
            self.ok(Command::HoldAnswered(HoldAnswer { result: Ok(seats), ..answer }));
        }
    }

    /// What the owner of a claim answers when it is placed.
    pub(in crate::order) fn seats_of(&self, claim: usize) -> Vec<Box<str>> {
        self.order.item_of(claim).map_or(vec![], |item| seats(item, self.order.details().passengers.len()))
    }

    pub(in crate::order) fn hold_refuses(&mut self, rejection: Rejection) -> Vec<Event> {
        self.hold_answers(Err(StepFailure::Refused(rejection)))
    }

    pub(in crate::order) fn hold_unavailable(&mut self) -> Vec<Event> {
        self.hold_answers(Err(StepFailure::Unavailable))
    }

    pub(in crate::order) fn begin_payment(&mut self) -> Result<PaymentTerms, Rejection> {
        let terms = self.order.payment_terms(&POLICY, self.now)?;
        self.tell(collect::Command::Begin { terms, body: body(terms.number.attempt) })?;
        Ok(terms)
    }

    /// An attempt to pay, from its beginning to WeChat's refusal.
    pub(in crate::order) fn create_is_refused(&mut self, attempt: u16) {
        self.begin_payment().unwrap();
        self.holds_agree();
        self.ok(collect::Command::CreateCalled);
        self.ok(create_refused(attempt, false));
    }

    pub(in crate::order) fn create_succeeds(&mut self) {
        let Effect::CreatePayment { number, .. } = self.effect() else { panic!("{:?}", self.effect()) };
        self.ok(collect::Command::CreateCalled);
        self.ok(created(number.attempt));
        assert!(matches!(self.order.collecting.stage(), collect::Stage::Payable { .. }));
    }

    /// From a live payment to the first query of its end.
    pub(in crate::order) fn cancel_with_payment(&mut self) {
        self.ok(sale::Command::Cancel);
        assert_eq!(self.effect(), Effect::QueryPayment { number: number(1) });
    }

    pub(in crate::order) fn restart(&mut self) {
        self.order = Order::from_rows(&self.stored.rows(), self.now).unwrap();
    }

    pub(in crate::order) fn ledger(&self) -> Vec<(LedgerKind, u16, i64)> {
        let attempt = |entry: &LedgerEntry| entry.moved_by.payment().map_or(0, |number| number.attempt);
        self.order.ledger().iter().map(|entry| (entry.kind, attempt(entry), entry.amount.minor)).collect()
    }

    pub(in crate::order) fn refund_state(&self, number: u16) -> &RefundState {
        &self.order.refund(refund_number(number)).unwrap().state
    }

    /// Unpaid at its end, and closed at WeChat.
    pub(in crate::order) fn cancelled_with(items: usize, passengers: usize) -> Story {
        let mut story = Story::payable_with(items, passengers);
        story.wake_at(600);
        story.ok(fact(1, FactState::NotPaid));
        story.ok(close_answered(1));
        story.ok(fact(1, FactState::Closed));
        story.holds_agree();
        assert_eq!(story.cancelled_why(), CancelReason::Expired);
        story
    }

    /// Cancelled, paid late, and the seats are gone: a refund is due.
    pub(in crate::order) fn refund_due() -> Story {
        let mut story = Story::cancelled_with(1, 1);
        story.now = at(700);
        story.ok(paid(1));
        story.hold_refuses(Rejection::SeatTaken { seat: "0A".to_owned() });
        story.hold_refuses(Rejection::SoldOut { of: Sold::Seats, wanted: 1, available: 0 });
        assert_eq!(story.refund_state(1), &RefundState::Due);
        story
    }

    /// Its call has been made, and not answered.
    pub(in crate::order) fn refund_called() -> Story {
        let mut story = Story::refund_due();
        story.wake_when_due();
        assert_eq!(story.effect(), Effect::BeginRefund { number: refund_number(1) });
        story.ok(back::Command::BeginRefund { number: refund_number(1), body: refund_body(1) });
        assert_eq!(story.effect(), Effect::CallRefund { number: refund_number(1), body: refund_body(1) });
        story
    }

    pub(in crate::order) fn payment_state(&self, attempt: u16) -> &PaymentState {
        &self.order.payment(number(attempt)).unwrap().state
    }

    pub(in crate::order) fn cancelled_why(&self) -> CancelReason {
        assert_eq!(self.order.status(), OrderStatus::Cancelled);
        assert!(self.order.is_settled());
        self.order.cancelled().unwrap().1
    }
}

pub(super) fn body(attempt: u16) -> Arc<[u8]> {
    format!("the exact body of attempt {attempt}").into_bytes().into()
}

pub(super) fn created(attempt: u16) -> Command {
    let prepay = Prepay { id: "wx20".into(), nonce: "nonce".into(), signed_at_seconds: START.as_seconds() };
    collect::Command::Created { number: number(attempt), prepay }.into()
}

pub(super) fn create_refused(attempt: u16, may_exist: bool) -> Command {
    collect::Command::CreateRefused { number: number(attempt), code: "PARAM_ERROR".into(), may_exist }.into()
}

pub(super) fn call_failed(attempt: u16) -> Command {
    collect::Command::CallFailed { number: number(attempt), why: CallFailure::NoAnswer }.into()
}

pub(super) fn close_answered(attempt: u16) -> Command {
    collect::Command::CloseAnswered { number: number(attempt) }.into()
}

pub(super) fn fact(attempt: u16, state: FactState) -> Command {
    collect::Command::Fact(PaymentFact { number: number(attempt), state }).into()
}

pub(super) fn paid(attempt: u16) -> Command {
    paid_amount(attempt, cny(FARE))
}

pub(super) fn paid_amount(attempt: u16, amount: Money) -> Command {
    fact(attempt, FactState::Paid(Capture { amount, ..capture(attempt) }))
}

pub(super) fn capture(attempt: u16) -> Capture {
    let transaction_id = format!("42000{attempt}").into();
    Capture { transaction_id, amount: cny(FARE), payer: None, paid_at: None }
}

pub(super) fn refund_number(number: u16) -> OutRefundNo {
    OutRefundNo { order: order_id(), number }
}

pub(super) fn refund_body(number: u16) -> Arc<[u8]> {
    format!("the exact body of refund {number}").into_bytes().into()
}

pub(super) fn refund_fact(number: u16, status: RefundStatus) -> Command {
    refund_says(number, RefundFactState::Known(known_refund(number, status)))
}

pub(super) fn known_refund(refund: u16, status: RefundStatus) -> KnownRefund {
    KnownRefund { payment: number(1), refund_id: format!("50000{refund}").into(), amount: cny(FARE), status }
}

pub(super) fn refund_says(number: u16, state: RefundFactState) -> Command {
    back::Command::RefundFact(RefundFact { number: refund_number(number), state }).into()
}

pub(super) fn gate(session: u64) -> Gate {
    gate_at(session, "PORT-0")
}

/// What an operator of one merchant redeems.
pub(super) fn redeems(merchant: &str) -> Arc<Redeems> {
    Arc::new(Redeems { merchant: Some(merchant.parse().unwrap()), ..Redeems::default() })
}

pub(super) fn gate_at(session: u64, port: &str) -> Gate {
    Gate {
        session: SessionId::compose(START, Shard::of(9), session << 2),
        operator: "gate".into(),
        device: format!("device-{session}").into(),
        redeems: redeems("CKS"),
        location: Some(port.parse().unwrap()),
        port: Some(port.parse().unwrap()),
        departure: None,
    }
}

pub(super) fn scan(session: u64, request: &str, target: ScanTarget) -> Scan {
    Scan {
        gate: gate(session),
        request_id: request.into(),
        place: Place::Gate,
        target,
        take: Take::ONE,
        code: None,
        overrides: Box::default(),
    }
}

pub(super) fn refused(reason: ScanRejection) -> TicketOutcome {
    TicketOutcome::Refused { reason, previous: None }
}

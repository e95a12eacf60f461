//! An order in a world that loses, delays, repeats and re-orders messages: departures and stocks with one hold per claim and
//! other buyers for its seats and for its uses of promotions, and WeChat with a traveller who pays whenever it is possible, now and then also when it no
//! longer should be. The order's actor is played by the book: one step under way at a time, a step without an answer is
//! reported as failed, a crash forgets all but rows.

mod ops;
mod seats;
mod wechat;

use ops::{Op, any_op, any_op_while_seeking};
use proptest::prelude::*;
use seats::Seats;
use wechat::Wechat;

use super::*;

struct Request {
    effect: Effect,
    sent_at: Timestamp,
}

#[derive(Clone)]
struct Answer {
    command: Command,
    at: Timestamp,
}

struct World {
    story: Story,
    seats: Seats,
    wechat: Wechat,
    requests: Vec<Request>,
    answers: Vec<Answer>,
    /// The steps that the actor waits for, one of each part.
    outstanding: Vec<Effect>,
    crashed_before_it_was: bool,
    /// The owner ends right after the record with this version.
    crashes_after: Option<u64>,
}

impl World {
    fn new(items: usize, uses: usize) -> World {
        World::leaving_after(items, uses, DEPARTS)
    }

    fn leaving_after(items: usize, uses: usize, seconds: i64) -> World {
        World {
            story: Story::leaving_after(items, uses, seconds),
            seats: Seats::new(items, uses),
            wechat: Wechat::default(),
            requests: Vec::new(),
            answers: Vec::new(),
            outstanding: Vec::new(),
            crashed_before_it_was: false,
            crashes_after: None,
        }
    }

    /// Its seats are held, and a payment has begun.
    fn ready_to_pay(&mut self) {
        for _ in 0..self.seats.claims() {
            self.apply(Op::Go);
        }
        self.apply(Op::Begin);
    }

    /// Cancelled, closed at WeChat, and paid all the same.
    fn paid_late(items: usize, uses: usize) -> World {
        let mut world = World::new(items, uses);
        let claims = world.seats.claims();
        let go = |world: &mut World, steps| (0..steps).for_each(|_| world.apply(Op::Go));
        go(&mut world, claims);
        world.apply(Op::Begin);
        // The seats are kept, and the payment is created.
        go(&mut world, claims + 1);
        world.apply(Op::Cancel);
        // Query, close, query, and the seats are given back.
        go(&mut world, 3 + claims);
        assert_eq!(world.story.order.status(), OrderStatus::Cancelled);
        world.apply(Op::PayAfterAll);
        go(&mut world, 1);
        assert!(world.story.order.is_seeking());
        world
    }

    fn now(&self) -> Timestamp {
        self.story.now
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Go => {
                self.start();
                if !self.requests.is_empty() {
                    self.arrive(self.requests.len() - 1, false, false);
                }
                if let Some(answer) = self.answers.pop() {
                    self.tell(&answer.command);
                }
            }
            Op::Start => self.start(),
            Op::Arrive { pick, again, refused } => self.arrive(pick, again, refused),
            Op::Answer { pick, again } if !self.answers.is_empty() => {
                let pick = pick % self.answers.len();
                let answer = if again { self.answers[pick].clone() } else { self.answers.swap_remove(pick) };
                self.tell(&answer.command);
            }
            Op::LoseRequest { pick } if !self.requests.is_empty() => {
                self.requests.swap_remove(pick % self.requests.len());
            }
            Op::LoseAnswer { pick } if !self.answers.is_empty() => {
                self.answers.swap_remove(pick % self.answers.len());
            }
            Op::Answer { .. } | Op::LoseRequest { .. } | Op::LoseAnswer { .. } => {}
            Op::GiveUp { pick } => self.give_up(pick),
            Op::Begin => {
                if let Ok(terms) = self.story.order.payment_terms(&POLICY, self.now()) {
                    let _ = self.hears(collect::Command::Begin { terms, body: body(terms.number.attempt) });
                }
            }
            Op::Cancel => {
                let _ = self.hears(sale::Command::Cancel);
            }
            Op::Pay => self.pay(false),
            Op::PayAfterAll => self.pay(true),
            Op::Scan { request } => {
                let scan = scan(1, &request.to_string(), ScanTarget::Order);
                let _ = self.hears(ticket::Command::Scan(scan));
            }
            Op::Resell { pick } => self.seats.resell(pick, self.now()),
            Op::Refund { pick, closed } => self.refund_goes_on(pick, closed),
            Op::Pass { seconds } => self.pass(self.now().plus_seconds(seconds)),
            Op::WakeWhenDue => {
                self.pass(self.story.order.next_deadline().unwrap_or(self.now()).max(self.now()));
                self.hears(Command::Wake).unwrap();
            }
            Op::Crash => self.crash(),
        }
        self.check();
    }

    fn pass(&mut self, now: Timestamp) {
        self.story.now = now;
        // A client gives a call up: no older create reaches WeChat, no older answer the order.
        let too_late = |request: &Request| {
            matches!(request.effect, Effect::CreatePayment { .. })
                && now >= request.sent_at.plus_seconds(CALL_TIMEOUT_SECONDS_MAX)
        };
        self.requests.retain(|request| !too_late(request));
        let in_time = |answer: &Answer| match &answer.command {
            Command::Collect(collect::Command::Fact(PaymentFact { state: FactState::NotFound, .. })) => {
                now < answer.at.plus_seconds(CALL_TIMEOUT_SECONDS_MAX)
            }
            _ => true,
        };
        self.answers.retain(in_time);
    }

    fn start(&mut self) {
        while let Some(effect) = self.story.order.effects().find(|effect| !self.outstanding.contains(effect)) {
            if let Effect::BeginRefund { number } = effect {
                self.hears(back::Command::BeginRefund { number, body: refund_body(number.number) }).unwrap();
                continue;
            }
            if let Effect::CreatePayment { .. } = effect {
                self.hears(collect::Command::CreateCalled).unwrap();
            }
            self.requests.push(Request { effect: effect.clone(), sent_at: self.now() });
            // A step that its part no longer wants is not waited for; its request and answer may still be on their way.
            self.outstanding.retain(|other| other.part() != effect.part());
            self.outstanding.push(effect);
        }
    }

    fn give_up(&mut self, pick: usize) {
        if self.outstanding.is_empty() {
            return;
        }
        let effect = self.outstanding.swap_remove(pick % self.outstanding.len());
        let command: Command = match &effect {
            Effect::CreatePayment { number, .. }
            | Effect::QueryPayment { number }
            | Effect::ClosePayment { number } => {
                collect::Command::CallFailed { number: *number, why: CallFailure::NoAnswer }.into()
            }
            Effect::CallRefund { number, .. } | Effect::QueryRefund { number } => {
                back::Command::RefundCallFailed { number: *number, why: CallFailure::NoAnswer }.into()
            }
            _ => Command::HoldAnswered(effect.hold_answer(Err(StepFailure::Unavailable)).unwrap()),
        };
        self.hears(command).unwrap();
    }

    fn hears(&mut self, command: impl Into<Command>) -> Result<Vec<Event>, Rejection> {
        let told = self.story.tell(command);
        if self.crashes_after.is_some_and(|version| self.story.version >= version) {
            self.crashes_after = None;
            self.crash();
        }
        told
    }

    fn tell(&mut self, command: &Command) {
        self.outstanding.retain(|effect| !answers(effect, command));
        // WeChat may speak of an attempt that a crash made us forget: none, since attempts are durable first. It never
        // contradicts itself, but for an answer from before it broke its word.
        if let Err(rejection) = self.hears(command.clone()) {
            assert!(self.wechat.broke_its_word, "{command:?}: {rejection}");
        }
    }

    fn crash(&mut self) {
        self.outstanding.clear();
        self.answers.clear();
        // Departures live in the same process: what had not reached them is gone. WeChat can still be reached.
        self.requests.retain(|request| request.effect.hold_answer(Ok(vec![])).is_none());
        if self.story.version == 0 {
            self.crashed_before_it_was = true;
        } else {
            self.story.restart();
        }
    }

    fn pay(&mut self, after_all: bool) {
        if let Some(attempt) = self.wechat.pay(after_all, self.now()) {
            self.answer(self.wechat.query(attempt));
        }
    }

    /// When the party boards for the first time.
    fn boards_at(&self) -> Timestamp {
        self.story.order.items()[0].leg().unwrap().departs_at
    }

    fn refund_goes_on(&mut self, pick: usize, closed: bool) {
        if let Some(refund) = self.wechat.refund_goes_on(pick, closed) {
            self.answer(self.wechat.query_refund(refund, self.payment_of(refund)));
        }
    }

    fn payment_of(&self, refund: u16) -> OutTradeNo {
        self.story.order.refund(refund_number(refund)).unwrap().payment
    }

    fn arrive(&mut self, pick: usize, again: bool, refused: bool) {
        if self.requests.is_empty() {
            return;
        }
        let pick = pick % self.requests.len();
        let effect = self.requests[pick].effect.clone();
        // A connection delivers a call once; only the order repeats it.
        if !again || matches!(effect, Effect::CreatePayment { .. }) {
            self.requests.swap_remove(pick);
        }
        let now = self.now();
        let answer = match &effect {
            Effect::CreatePayment { number, .. } => {
                let asked = self.story.order.payment(*number).unwrap().time_expire;
                self.wechat.create(number.attempt, asked, refused, now)
            }
            Effect::QueryPayment { number } => self.wechat.query(number.attempt),
            Effect::ClosePayment { number } => self.wechat.close(number.attempt, refused),
            Effect::CallRefund { number, .. } => self.wechat.refund(*number, self.payment_of(number.number), refused),
            Effect::QueryRefund { number } => self.wechat.query_refund(number.number, self.payment_of(number.number)),
            _ => Command::HoldAnswered(effect.hold_answer(self.seats.ask(&effect, refused, now)).unwrap()),
        };
        self.answer(answer);
    }

    fn answer(&mut self, command: Command) {
        self.answers.push(Answer { command, at: self.now() });
    }

    fn check(&self) {
        let order = &self.story.order;
        let payable = self.wechat.payable(self.now());
        self.seats.check(order, payable > 0, self.now());
        assert!(payable <= 1, "two payments can be paid");
        assert!(order.lock_expires_at() < self.boards_at(), "a lock outlives what it is for");
        assert!(order.payments().iter().all(|payment| payment.time_expire < self.boards_at()), "and so does a payment");
        let balance = order.balance();
        let keeps = if matches!(order.status(), OrderStatus::Paid | OrderStatus::Completed) { FARE } else { 0 };
        assert_eq!(balance.kept(), keeps, "{balance:?}");
    }

    /// A payment that the order's ledger does not show.
    fn unheard(&self) -> Option<u16> {
        let payments = || self.story.order.ledger().iter().filter_map(|entry| entry.moved_by.payment());
        let known = |attempt: u16| payments().any(|number| number.attempt == attempt);
        self.wechat.paid().map(|(attempt, _)| attempt).find(|attempt| !known(*attempt))
    }

    /// From here on every message arrives, once and in order, and the clock moves on.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.answers.is_empty() {
                let answer = self.answers.remove(0);
                self.tell(&answer.command);
            } else if !self.requests.is_empty() {
                self.arrive(0, false, false);
            } else if let Some(effect) = self.story.order.effects().next() {
                match self.outstanding.iter().position(|other| *other == effect) {
                    Some(place) => self.give_up(place),
                    None => self.start(),
                }
            } else if self.wechat.is_refunding() {
                self.refund_goes_on(0, false);
            } else if let Some(due) = self.story.order.next_deadline() {
                self.pass(due.max(self.now()));
                self.hears(Command::Wake).unwrap();
            } else if let Some(attempt) = self.unheard() {
                // WeChat repeats its notices until they are acknowledged.
                self.answer(self.wechat.query(attempt));
            } else {
                return;
            }
            self.check();
        }
        panic!("it never ends: {:?}", self.story.order);
    }

    fn audit(&self) {
        let order = &self.story.order;
        assert!(order.status() != OrderStatus::Pending || order.refusal().is_some(), "{:?}", order.sale);
        assert!(!self.wechat.has_open(), "every payment was ended at WeChat");
        assert_eq!(self.unheard(), None, "every payment is in the ledger");
        let paid: Vec<Timestamp> = self.wechat.paid().map(|(_, at)| at).collect();
        assert_eq!(order.balance().captured, paid.len() as i64 * FARE, "and is there once");
        let balance = order.balance();
        assert_eq!(balance.refund_due, 0, "all money that was due is back");
        let back = self.wechat.refunded() as i64 * FARE;
        assert_eq!(balance.refunded, back, "and went back once");
        if !self.wechat.broke_its_word {
            // As long as WeChat keeps its word, money always finds its seats: but for what it lets the traveller pay, having
            // raised the end of the payment, when he should have boarded.
            let late = paid.iter().filter(|at| **at > self.boards_at().plus_seconds(-1)).count();
            assert_eq!(balance.refunded, late as i64 * FARE);
        }
        let rebuilt = Order::from_rows(&self.story.stored.rows(), self.now());
        if order.refusal().is_none() {
            assert_eq!(random::without_volatile(rebuilt.unwrap()), random::without_volatile(order.clone()));
        }
    }
}

fn answers(effect: &Effect, command: &Command) -> bool {
    match (effect, command) {
        (effect, Command::HoldAnswered(answer)) => effect.hold_answer(answer.result.clone()).as_ref() == Some(answer),
        (Effect::CreatePayment { number, .. }, Command::Collect(collect::Command::Created { number: of, .. }))
        | (
            Effect::CreatePayment { number, .. },
            Command::Collect(collect::Command::CreateRefused { number: of, .. }),
        )
        | (Effect::ClosePayment { number }, Command::Collect(collect::Command::CloseAnswered { number: of })) => {
            number == of
        }
        (Effect::QueryPayment { number }, Command::Collect(collect::Command::Fact(fact))) => *number == fact.number,
        (Effect::CallRefund { number, .. }, Command::Back(back::Command::RefundRefused { number: of, .. })) => {
            number == of
        }
        (
            Effect::CallRefund { number, .. } | Effect::QueryRefund { number },
            Command::Back(back::Command::RefundFact(fact)),
        ) => *number == fact.number,
        _ => false,
    }
}

/// How many records it left.
fn play(mut world: World, ops: &[Op]) -> u64 {
    for op in ops {
        world.apply(*op);
        if world.crashed_before_it_was {
            return 0;
        }
    }
    world.settle();
    world.audit();
    world.story.version
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_seat_is_freed_while_it_can_be_paid_and_no_money_is_lost(
        items in 1..3_usize,
        uses in 0..3_usize,
        ops in proptest::collection::vec(any_op(), 1..120),
    ) {
        play(World::new(items, uses), &ops);
    }

    #[test]
    fn the_same_holds_once_a_payment_has_begun(
        items in 1..3_usize,
        uses in 0..3_usize,
        ops in proptest::collection::vec(any_op(), 1..120),
    ) {
        let mut world = World::new(items, uses);
        world.ready_to_pay();
        play(world, &ops);
    }

    #[test]
    fn fault_19_the_same_holds_when_the_party_boards_soon(
        items in 1..3_usize,
        uses in 0..2_usize,
        leaves in 61..800_i64,
        ops in proptest::collection::vec(any_op(), 1..120),
    ) {
        let mut world = World::leaving_after(items, uses, leaves);
        world.ready_to_pay();
        play(world, &ops);
    }

    #[test]
    fn rule_16_an_order_goes_on_from_every_record_of_its_life(
        items in 1..3_usize,
        uses in 0..3_usize,
        ops in proptest::collection::vec(any_op(), 20..60),
    ) {
        let live = |crashes_after| {
            let mut world = World::new(items, uses);
            world.crashes_after = crashes_after;
            world.ready_to_pay();
            play(world, &ops)
        };
        for version in 1..=live(None) {
            live(Some(version));
        }
    }

    #[test]
    fn r_pay_04_the_same_holds_once_money_has_come_late(
        items in 1..4_usize,
        uses in 0..3_usize,
        ops in proptest::collection::vec(any_op_while_seeking(), 1..40),
    ) {
        play(World::paid_late(items, uses), &ops);
    }
}

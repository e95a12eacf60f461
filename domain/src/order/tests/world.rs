//! An order in a world that loses, delays, repeats and re-orders messages: departures with one hold per item and other
//! buyers for its seats, and WeChat with a traveller who pays whenever it is possible, now and then also when it no
//! longer should be. The order's actor is played by the book: one step under way at a time, a step without an answer is
//! reported as failed, a crash forgets all but rows.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hold {
    None,
    Held {
        until: Timestamp,
    },
    Paying,
    Confirmed,
    Released,
    /// Confirmed once, and back on sale.
    Freed,
}

/// A refund at WeChat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Back {
    Processing,
    Success,
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AtWechat {
    Unknown,
    /// It said so.
    Refused,
    Open {
        until: Timestamp,
    },
    Closed,
    Paid {
        at: Timestamp,
    },
}

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
    holds: Vec<Hold>,
    /// Of the hold of each item.
    epochs: Vec<u32>,
    /// Seats of items that somebody else has bought meanwhile.
    resold: Vec<bool>,
    wechat: BTreeMap<u16, AtWechat>,
    refunds: BTreeMap<u16, Back>,
    /// WeChat has let the traveller pay after it had said closed.
    broke_its_word: bool,
    requests: Vec<Request>,
    answers: Vec<Answer>,
    /// The steps that the actor waits for, one of each part.
    outstanding: Vec<Effect>,
    crashed_before_it_was: bool,
    /// The owner ends right after the record with this version.
    crashes_after: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// The next step goes as it should.
    Go,
    /// The actor starts what the order wants.
    Start,
    /// A request arrives; it stays on the way to arrive again if `again`.
    Arrive {
        pick: usize,
        again: bool,
        refused: bool,
    },
    /// An answer arrives, and perhaps again later.
    Answer {
        pick: usize,
        again: bool,
    },
    LoseRequest {
        pick: usize,
    },
    LoseAnswer {
        pick: usize,
    },
    /// The actor no longer waits for a step.
    GiveUp {
        pick: usize,
    },
    Begin,
    Cancel,
    /// The traveller pays; WeChat's callback is on its way.
    Pay,
    /// The same, although WeChat has closed or refused it: somebody was in the middle of it.
    PayAfterAll,
    /// A gate scans the order.
    Scan {
        request: u8,
    },
    /// Free seats of an item go to somebody else.
    Resell {
        pick: usize,
    },
    /// WeChat's refund of a number goes on.
    Refund {
        pick: usize,
        closed: bool,
    },
    Pass {
        seconds: i64,
    },
    WakeWhenDue,
    Crash,
}

fn any_op() -> impl Strategy<Value = Op> {
    let pick = || 0..100_usize;
    let rarely = || proptest::bool::weighted(0.1);
    prop_oneof![
        30 => Just(Op::Go),
        10 => Just(Op::Start),
        10 => (pick(), rarely(), rarely()).prop_map(|(pick, again, refused)| Op::Arrive { pick, again, refused }),
        10 => (pick(), rarely()).prop_map(|(pick, again)| Op::Answer { pick, again }),
        1 => pick().prop_map(|pick| Op::LoseRequest { pick }),
        1 => pick().prop_map(|pick| Op::LoseAnswer { pick }),
        3 => pick().prop_map(|pick| Op::GiveUp { pick }),
        8 => Just(Op::Begin),
        1 => Just(Op::Cancel),
        3 => Just(Op::Pay),
        1 => Just(Op::PayAfterAll),
        2 => (0..4_u8).prop_map(|request| Op::Scan { request }),
        1 => pick().prop_map(|pick| Op::Resell { pick }),
        2 => (pick(), rarely()).prop_map(|(pick, closed)| Op::Refund { pick, closed }),
        3 => prop_oneof![4 => 0..20_i64, 1 => 0..400_i64].prop_map(|seconds| Op::Pass { seconds }),
        3 => Just(Op::WakeWhenDue),
        1 => Just(Op::Crash),
    ]
}

/// Crashes, other buyers and long absences while late money seeks its seats.
fn any_op_while_seeking() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => Just(Op::Go),
        4 => any_op(),
        2 => Just(Op::Crash),
        2 => (0..100_usize).prop_map(|pick| Op::Resell { pick }),
        1 => Just(Op::Pass { seconds: 3_700 }),
    ]
}

impl World {
    fn new(items: usize) -> World {
        World::leaving_after(items, DEPARTS)
    }

    fn leaving_after(items: usize, seconds: i64) -> World {
        World {
            story: Story::leaving_after(items, seconds),
            holds: vec![Hold::None; items],
            epochs: vec![0; items],
            resold: vec![false; items],
            wechat: BTreeMap::new(),
            refunds: BTreeMap::new(),
            broke_its_word: false,
            requests: Vec::new(),
            answers: Vec::new(),
            outstanding: Vec::new(),
            crashed_before_it_was: false,
            crashes_after: None,
        }
    }

    /// Its seats are held, and a payment has begun.
    fn ready_to_pay(&mut self) {
        for _ in 0..self.holds.len() {
            self.apply(Op::Go);
        }
        self.apply(Op::Begin);
    }

    /// Cancelled, closed at WeChat, and paid all the same.
    fn paid_late(items: usize) -> World {
        let mut world = World::new(items);
        let go = |world: &mut World, steps| (0..steps).for_each(|_| world.apply(Op::Go));
        go(&mut world, items);
        world.apply(Op::Begin);
        // The seats are kept, and the payment is created.
        go(&mut world, items + 1);
        world.apply(Op::Cancel);
        // Query, close, query, and the seats are given back.
        go(&mut world, 3 + items);
        assert_eq!(world.story.order.status(), OrderStatus::Cancelled);
        world.apply(Op::PayAfterAll);
        go(&mut world, 1);
        assert!(world.story.order.is_seeking());
        world
    }

    fn now(&self) -> Timestamp {
        self.story.now
    }

    fn at_wechat(&self, attempt: u16) -> AtWechat {
        self.wechat.get(&attempt).copied().unwrap_or(AtWechat::Unknown)
    }

    /// Seats that nobody else can have.
    fn has_seat(&self, item: usize) -> bool {
        match self.holds[item] {
            Hold::Held { until } => self.now() < until,
            Hold::Paying | Hold::Confirmed => true,
            Hold::None | Hold::Released | Hold::Freed => false,
        }
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
            Op::Resell { pick } => {
                let item = pick % self.holds.len();
                self.resold[item] |= !self.has_seat(item);
            }
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
            assert!(self.broke_its_word, "{command:?}: {rejection}");
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
        let payable = self.wechat.iter().find_map(|(attempt, state)| match state {
            AtWechat::Open { until } if self.now() < *until => Some(*attempt),
            AtWechat::Closed | AtWechat::Refused if after_all => Some(*attempt),
            _ => None,
        });
        if let Some(attempt) = payable {
            self.broke_its_word |= !matches!(self.at_wechat(attempt), AtWechat::Open { .. });
            self.wechat.insert(attempt, AtWechat::Paid { at: self.now() });
            self.answer(self.money(attempt));
        }
    }

    /// What WeChat says of an attempt that was paid.
    fn money(&self, attempt: u16) -> Command {
        let AtWechat::Paid { at } = self.at_wechat(attempt) else { panic!("{attempt} was not paid") };
        fact(attempt, FactState::Paid(Capture { paid_at: Some(at), ..capture(attempt) }))
    }

    /// When the party boards for the first time.
    fn boards_at(&self) -> Timestamp {
        let ItemKind::Journey(leg) = &self.story.order.items()[0].kind;
        leg.departs_at
    }

    fn refund_goes_on(&mut self, pick: usize, closed: bool) {
        let under_way: Vec<u16> =
            self.refunds.iter().filter(|(_, state)| **state == Back::Processing).map(|(number, _)| *number).collect();
        if let Some(number) = under_way.get(pick % under_way.len().max(1)) {
            self.refunds.insert(*number, if closed { Back::Closed } else { Back::Success });
            self.answer(self.says_of_refund(*number));
        }
    }

    fn says_of_refund(&self, refund: u16) -> Command {
        let Some(state) = self.refunds.get(&refund) else { return refund_says(refund, RefundFactState::NotFound) };
        let status = match state {
            Back::Processing => RefundStatus::Processing,
            Back::Success => RefundStatus::Success,
            Back::Closed => RefundStatus::Closed,
        };
        let payment = self.story.order.refund(refund_number(refund)).unwrap().payment;
        refund_says(refund, RefundFactState::Known(KnownRefund { payment, ..known_refund(refund, status) }))
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
        let answer = match &effect {
            Effect::CreatePayment { number, .. } => self.create(number.attempt, refused),
            Effect::QueryPayment { number } => fact(
                number.attempt,
                match self.at_wechat(number.attempt) {
                    AtWechat::Unknown | AtWechat::Refused => FactState::NotFound,
                    AtWechat::Open { .. } => FactState::NotPaid,
                    AtWechat::Closed => FactState::Closed,
                    AtWechat::Paid { .. } => {
                        self.answer(self.money(number.attempt));
                        return;
                    }
                },
            ),
            Effect::ClosePayment { number } => {
                let open = matches!(self.at_wechat(number.attempt), AtWechat::Open { .. });
                // Sometimes WeChat says yes and does nothing (wechat.md R3).
                if open && !refused {
                    self.wechat.insert(number.attempt, AtWechat::Closed);
                }
                close_answered(number.attempt)
            }
            Effect::CallRefund { number, .. } if refused && !self.refunds.contains_key(&number.number) => {
                back::Command::RefundRefused { number: *number, code: "NOT_ENOUGH".into() }.into()
            }
            Effect::CallRefund { number, .. } => {
                self.refunds.entry(number.number).or_insert(Back::Processing);
                self.says_of_refund(number.number)
            }
            Effect::QueryRefund { number } => self.says_of_refund(number.number),
            _ => Command::HoldAnswered(effect.hold_answer(self.at_departure(&effect, refused)).unwrap()),
        };
        self.answer(answer);
    }

    fn answer(&mut self, command: Command) {
        self.answers.push(Answer { command, at: self.now() });
    }

    fn create(&mut self, attempt: u16, refused: bool) -> Command {
        match self.at_wechat(attempt) {
            AtWechat::Unknown if refused => {
                self.wechat.insert(attempt, AtWechat::Refused);
                create_refused(attempt, false)
            }
            AtWechat::Refused => create_refused(attempt, false),
            AtWechat::Unknown => {
                let asked = self.story.order.payment(number(attempt)).unwrap().time_expire;
                // WeChat raises an earlier end silently (wechat.md R2).
                let until = asked.max(self.now().plus_seconds(60));
                self.wechat.insert(attempt, AtWechat::Open { until });
                created(attempt)
            }
            // A repetition can be refused although the first was not.
            AtWechat::Open { .. } if refused => create_refused(attempt, false),
            AtWechat::Open { .. } => created(attempt),
            AtWechat::Closed | AtWechat::Paid { .. } => create_refused(attempt, true),
        }
    }

    fn at_departure(&mut self, effect: &Effect, refused: bool) -> Result<Vec<Box<str>>, StepFailure> {
        let no = |rejection| Err(StepFailure::Refused(rejection));
        let now = self.now();
        let (Effect::PlaceHold { claim: item, epoch, .. }
        | Effect::ReleaseHold { claim: item, epoch, .. }
        | Effect::BeginPaying { claim: item, epoch, .. }
        | Effect::ConfirmHold { claim: item, epoch, .. }
        | Effect::FreeSeats { claim: item, epoch, .. }) = effect
        else {
            unreachable!("{effect:?}")
        };
        if *epoch < self.epochs[*item] {
            return no(Rejection::HoldEpochStale);
        }
        let lapsed = matches!(self.holds[*item], Hold::Held { until } if now >= until);
        // A hold placed under a new epoch starts afresh, unless the old one still has its seats.
        if let (Effect::PlaceHold { .. }, true, false) = (effect, *epoch > self.epochs[*item], self.has_seat(*item)) {
            (self.holds[*item], self.epochs[*item]) = (Hold::None, *epoch);
        }
        let hold = self.holds[*item];
        let taken = || Rejection::SeatTaken { seat: "0A".to_owned() };
        let (next, answer) = match (effect, hold) {
            (Effect::PlaceHold { .. }, Hold::None) if refused => (hold, no(Rejection::BookingClosed)),
            (Effect::PlaceHold { .. }, Hold::None) if self.resold[*item] => (hold, no(taken())),
            (Effect::PlaceHold { expires_at, .. }, Hold::None) if now < *expires_at => {
                (Hold::Held { until: *expires_at }, Ok(seats(*item, 1)))
            }
            (Effect::PlaceHold { .. }, Hold::Held { .. }) if !lapsed => (hold, Ok(seats(*item, 1))),
            (Effect::PlaceHold { .. }, Hold::Confirmed) if *epoch == self.epochs[*item] => (hold, Ok(seats(*item, 1))),
            (Effect::PlaceHold { .. }, _) => (hold, no(Rejection::HoldExpired)),
            (Effect::FreeSeats { .. }, Hold::Confirmed | Hold::Freed) => (Hold::Freed, Ok(vec![])),
            (_, Hold::Freed) => (hold, no(Rejection::HoldAlreadyReleased)),
            (Effect::ReleaseHold { .. }, Hold::Confirmed) => (hold, no(Rejection::HoldAlreadyConfirmed)),
            (Effect::ReleaseHold { .. }, Hold::Held { .. } | Hold::Paying) => (Hold::Released, Ok(vec![])),
            (Effect::ReleaseHold { .. }, _) => (hold, Ok(vec![])),
            (_, Hold::Held { .. }) if lapsed => (hold, no(Rejection::HoldExpired)),
            (Effect::BeginPaying { .. }, Hold::Held { .. } | Hold::Paying) => (Hold::Paying, Ok(vec![])),
            (Effect::BeginPaying { .. }, Hold::Confirmed) => (hold, no(Rejection::HoldAlreadyConfirmed)),
            (_, Hold::None | Hold::Released) => (hold, no(Rejection::HoldNotFound)),
            (_, Hold::Held { .. } | Hold::Paying | Hold::Confirmed) => (Hold::Confirmed, Ok(vec![])),
        };
        self.holds[*item] = next;
        answer
    }

    fn check(&self) {
        let order = &self.story.order;
        let items = || 0..self.holds.len();
        let can_pay = |state: &AtWechat| matches!(state, AtWechat::Open { until } if self.now() < *until);
        // The metric `seats_resold_while_payable` stays 0 (R-PAY-04).
        if self.wechat.values().any(can_pay) {
            assert!(items().all(|item| matches!(self.holds[item], Hold::Paying | Hold::Confirmed)), "{:?}", self.holds);
        }
        assert!(self.wechat.values().filter(|state| can_pay(state)).count() <= 1, "two payments can be paid");
        assert!(order.lock_expires_at() < self.boards_at(), "a lock outlives what it is for");
        assert!(order.payments().iter().all(|payment| payment.time_expire < self.boards_at()), "and so does a payment");
        let is_paid = matches!(order.status(), OrderStatus::Paid | OrderStatus::Completed);
        if is_paid {
            assert!(items().all(|item| self.holds[item] == Hold::Confirmed), "a ticket without a seat");
        }
        if order.status() == OrderStatus::Cancelled && !order.is_seeking() {
            assert!(!items().any(|item| self.has_seat(item)), "a cancelled order keeps no seat");
        }
        assert!(!items().any(|item| self.resold[item] && self.has_seat(item)), "sold twice");
        let balance = order.balance();
        let keeps = if is_paid { FARE } else { 0 };
        assert_eq!(balance.kept(), keeps, "{balance:?}");
    }

    /// A payment that the order's ledger does not show.
    fn unheard(&self) -> Option<u16> {
        let known = |attempt: u16| self.story.order.ledger().iter().any(|entry| entry.payment.attempt == attempt);
        let paid = self.wechat.iter().filter(|(_, state)| matches!(state, AtWechat::Paid { .. }));
        paid.map(|(attempt, _)| *attempt).find(|attempt| !known(*attempt))
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
            } else if self.refunds.values().any(|state| *state == Back::Processing) {
                self.refund_goes_on(0, false);
            } else if let Some(due) = self.story.order.next_deadline() {
                self.pass(due.max(self.now()));
                self.hears(Command::Wake).unwrap();
            } else if let Some(attempt) = self.unheard() {
                // WeChat repeats its notices until they are acknowledged.
                self.answer(self.money(attempt));
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
        let open = |state: &AtWechat| matches!(state, AtWechat::Open { .. });
        assert!(!self.wechat.values().any(open), "every payment was ended at WeChat");
        assert_eq!(self.unheard(), None, "every payment is in the ledger");
        let paid: Vec<Timestamp> = self
            .wechat
            .values()
            .filter_map(|state| if let AtWechat::Paid { at } = state { Some(*at) } else { None })
            .collect();
        assert_eq!(order.balance().captured, paid.len() as i64 * FARE, "and is there once");
        let balance = order.balance();
        assert_eq!(balance.refund_due, 0, "all money that was due is back");
        let back = self.refunds.values().filter(|state| **state == Back::Success).count() as i64 * FARE;
        assert_eq!(balance.refunded, back, "and went back once");
        if !self.broke_its_word {
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
        ops in proptest::collection::vec(any_op(), 1..120),
    ) {
        play(World::new(items), &ops);
    }

    #[test]
    fn the_same_holds_once_a_payment_has_begun(
        items in 1..3_usize,
        ops in proptest::collection::vec(any_op(), 1..120),
    ) {
        let mut world = World::new(items);
        world.ready_to_pay();
        play(world, &ops);
    }

    #[test]
    fn fault_19_the_same_holds_when_the_party_boards_soon(
        items in 1..3_usize,
        leaves in 61..800_i64,
        ops in proptest::collection::vec(any_op(), 1..120),
    ) {
        let mut world = World::leaving_after(items, leaves);
        world.ready_to_pay();
        play(world, &ops);
    }

    #[test]
    fn rule_16_an_order_goes_on_from_every_record_of_its_life(
        items in 1..3_usize,
        ops in proptest::collection::vec(any_op(), 20..60),
    ) {
        let live = |crashes_after| {
            let mut world = World::new(items);
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
        ops in proptest::collection::vec(any_op_while_seeking(), 1..40),
    ) {
        play(World::paid_late(items), &ops);
    }
}

//! Anything in any order: stale, repeated and contradictory answers, jumps of time, restarts. A naive model that only
//! notes what it was told says where the money and the status may stand, and when seats may be given back.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::packing;

/// The order as far as its rows tell it.
pub(in crate::order) fn without_volatile(mut order: Order) -> Order {
    order.sale = Part::new(sale::Stage::Over);
    order.collecting = Part::new(collect::Stage::Idle);
    order.giving_back = Part::new(back::Giving::default());
    order.refunding = Part::new(back::Stage::default());
    order.calls = collect::Calls::default();
    for payment in order.saved.payments_mut().iter_mut().filter(|payment| payment.state.is_alive()) {
        payment.ended_at = None;
    }
    order
}

/// A packed order comes back as it was, progress included. One that is being refused cannot be packed.
fn check_packed(order: &Order) {
    let being_refused = matches!(order.sale.stage(), sale::Stage::Undoing { .. } | sale::Stage::Refused { .. });
    match packing::for_order(order.id(), || postcard::to_allocvec(order)) {
        Ok(packed) => {
            let read = packing::for_order(order.id(), || postcard::from_bytes::<Order>(&packed));
            assert_eq!(read.as_ref(), Ok(order));
        }
        Err(error) => assert!(being_refused, "{error}"),
    }
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a story has some dozens")]
enum Op {
    /// The step that the order wants is done, one way or another.
    Step(u8),
    Begin,
    /// Out of the blue.
    Tell(Command),
    Pass {
        seconds: i64,
    },
    WakeWhenDue,
    Restart,
}

fn any_fact() -> impl Strategy<Value = FactState> {
    let paid = |amount| FactState::Paid(Capture { amount: cny(amount), ..capture(1) });
    prop_oneof![
        3 => Just(FactState::NotPaid),
        2 => Just(FactState::Closed),
        2 => Just(FactState::NotFound),
        1 => Just(FactState::Foreign("another merchant")),
        3 => Just(paid(FARE)),
        1 => Just(paid(FARE + 1)),
    ]
}

fn any_hold_answer() -> impl Strategy<Value = HoldAnswer> {
    let step = prop_oneof![
        Just(HoldStep::Place),
        Just(HoldStep::Release),
        Just(HoldStep::BeginPaying),
        Just(HoldStep::Confirm),
        Just(HoldStep::Free)
    ];
    let result = prop_oneof![
        Just(Ok(vec![])),
        Just(Err(StepFailure::Unavailable)),
        Just(Err(StepFailure::Refused(Rejection::HoldExpired)))
    ];
    (0..4_usize, step, result).prop_map(|(claim, step, result)| HoldAnswer { claim, step, result })
}

fn any_refund_status() -> impl Strategy<Value = RefundStatus> {
    use RefundStatus::{Abnormal, Closed, Processing, Success};
    prop_oneof![3 => Just(Success), 3 => Just(Processing), 1 => Just(Closed), 1 => Just(Abnormal)]
}

fn any_refund_command() -> impl Strategy<Value = Command> {
    let number = || 1..4_u16;
    prop_oneof![
        3 => (number(), any_refund_status()).prop_map(|(refund, status)| refund_fact(refund, status)),
        1 => number().prop_map(|refund| refund_says(refund, RefundFactState::NotFound)),
        1 => number().prop_map(|number| back::Command::RefundCallFailed { number: refund_number(number), why: CallFailure::NoAnswer }.into()),
        1 => number().prop_map(|number| back::Command::RetryRefund { number: refund_number(number) }.into()),
    ]
}

fn any_scan() -> impl Strategy<Value = Scan> {
    let target = prop_oneof![Just(ScanTarget::Order), (1..6_u16).prop_map(|n| ScanTarget::Ticket(ticket_id(n)))];
    (1..3_u64, 1..4_u8, target, 0..3_u8).prop_map(|(session, request, target, port)| {
        let mut scan = scan(session, &request.to_string(), target);
        scan.gate.location = Some(format!("PORT-{port}").parse().unwrap()).filter(|_| port < 2);
        scan
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    let attempt = || 1..4_u16;
    prop_oneof![
        // A stale placing brings no seats: only the wanted one is answered with some.
        3 => any_hold_answer()
            .prop_filter("placing is answered by steps", |answer| answer.step != HoldStep::Place)
            .prop_map(Command::HoldAnswered),
        1 => Just(collect::Command::CreateCalled.into()),
        1 => attempt().prop_map(created),
        1 => (attempt(), any::<bool>()).prop_map(|(attempt, may_exist)| create_refused(attempt, may_exist)),
        1 => attempt().prop_map(close_answered),
        1 => attempt().prop_map(call_failed),
        3 => (attempt(), any_fact()).prop_map(|(attempt, state)| fact(attempt, state)),
        2 => any_refund_command(),
        1 => Just(sale::Command::Cancel.into()),
        2 => Just(Command::Wake),
        3 => any_scan().prop_map(|scan| ticket::Command::Scan(scan).into()),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => any::<u8>().prop_map(Op::Step),
        3 => Just(Op::Begin),
        5 => any_command().prop_map(Op::Tell),
        2 => prop_oneof![4 => 0..40_i64, 1 => 0..900_i64].prop_map(|seconds| Op::Pass { seconds }),
        3 => Just(Op::WakeWhenDue),
        1 => Just(Op::Restart),
    ]
}

/// What a person with a notebook knows.
#[derive(Default)]
struct Notebook {
    /// Attempts for which WeChat reported the right money.
    money: BTreeSet<u16>,
    /// When the live attempt's create call was last made, and whether more than one was.
    called: Option<(Timestamp, bool)>,
    /// WeChat may let the traveller pay the live attempt.
    payable: bool,
}

impl Notebook {
    /// Before the order is told.
    fn note(&mut self, story: &Story, command: &Command) {
        let live = story.order.live_payment().map(|payment| payment.number);
        match command {
            Command::Collect(collect::Command::Begin { .. }) if live.is_none() => {
                (self.called, self.payable) = (None, false);
            }
            // A caller makes the call only while it is wanted; saying so again later means nothing.
            Command::Collect(collect::Command::CreateCalled)
                if story.order.effects().any(|effect| creates(&effect)) =>
            {
                self.called = Some((story.now, self.called.is_some()));
                self.payable = true;
            }
            Command::Collect(collect::Command::CreateRefused { number, may_exist: false, .. })
                if live == Some(*number) && self.called.is_none_or(|(_, again)| !again) =>
            {
                self.payable = false;
            }
            Command::Collect(collect::Command::Fact(fact)) if story.order.payment(fact.number).is_some() => {
                match &fact.state {
                    FactState::Paid(capture) if capture.amount == cny(FARE) => {
                        self.money.insert(fact.number.attempt);
                    }
                    FactState::Closed if live == Some(fact.number) => self.payable = false,
                    FactState::NotFound if live == Some(fact.number) => {
                        let over = self.called.is_none_or(|(at, _)| story.now >= at.plus_seconds(60));
                        self.payable &= !over;
                    }
                    FactState::Paid(_)
                    | FactState::NotPaid
                    | FactState::Closed
                    | FactState::NotFound
                    | FactState::Foreign(_) => {}
                }
            }
            _ => {}
        }
    }

    /// Money that was not recorded yet is told again by WeChat; whether a create was made is not known any more.
    fn restart(&mut self, story: &Story) {
        let captured = captured(story);
        self.money.retain(|attempt| captured.contains(attempt));
        self.payable = story.order.live_payment().is_some();
        self.called = self.payable.then_some((story.now, true));
    }

    fn check(&self, story: &Story) {
        let order = &story.order;
        let captured = captured(story);

        // Money: every report counts once; only what is being settled is not in the ledger yet.
        assert!(captured.is_subset(&self.money));
        let missing = self.money.difference(&captured).count();
        assert!(missing <= usize::from(order.status() == OrderStatus::Pending), "{:?} {captured:?}", self.money);
        let balance = order.balance();
        assert_eq!(balance.captured, captured.len() as i64 * FARE);

        // Status: an order keeps money exactly when it has tickets, and then for one payment; all else goes back, each
        // payment by one refund at a time.
        let paid = matches!(order.status(), OrderStatus::Paid | OrderStatus::Completed);
        assert_eq!(balance.kept(), if paid { order.total().minor } else { 0 });
        let settled = |payment: &&Payment| matches!(payment.state, PaymentState::Paid { .. });
        assert_eq!(order.payments().iter().filter(settled).count(), usize::from(balance.kept() > 0));
        for payment in order.payments() {
            let late = matches!(payment.state, PaymentState::PaidLate { .. });
            let of_it = || order.refunds().iter().filter(|refund| refund.payment == payment.number);
            let outstanding = of_it().filter(|refund| refund.state.is_outstanding()).count();
            let returned = of_it().filter(|refund| matches!(refund.state, RefundState::Succeeded { .. })).count();
            assert!(outstanding + returned <= usize::from(late), "{:?}", order.refunds());
            let decided = outstanding + returned == 1 || order.refunds().len() >= REFUNDS_MAX;
            assert!(!late || decided || order.is_seeking(), "{:?}", order.sale);
        }
        let returned = order.refunds().iter().filter(|refund| matches!(refund.state, RefundState::Succeeded { .. }));
        assert_eq!(balance.refunded, returned.count() as i64 * FARE);
        let expected = if paid { order.items().len() * order.details().passengers.len() } else { 0 };
        assert_eq!(order.tickets().len(), expected);
        let used_up = paid && order.tickets().iter().all(|ticket| ticket.status.is_final());
        assert_eq!(order.status() == OrderStatus::Completed, used_up);
        assert_eq!(order.status() == OrderStatus::Cancelled, order.cancelled().is_some());
        for ticket in order.tickets() {
            let used: u16 = ticket.redemptions.iter().map(|redemption| redemption.quantity).sum();
            assert_eq!(used + ticket.entitlement().remaining, ticket.entitlement().total);
        }

        // Payments and seats.
        assert!(order.payments().iter().filter(|payment| payment.state.is_alive()).count() <= 1 || paid);
        let unpaid_end = matches!(order.sale.stage(), sale::Stage::Ending { capture: None, .. });
        if unpaid_end && order.live_payment().is_some() {
            assert!(!self.payable, "seats are freed while the traveller can pay");
        }
        // Whatever happens, somebody is still at it.
        let waiting = order.effect().is_some() || order.next_deadline().is_some();
        assert!(waiting || order.is_settled() || order.refusal().is_some());
    }
}

fn creates(effect: &Effect) -> bool {
    matches!(effect, Effect::CreatePayment { .. })
}

/// The attempts whose money is in the ledger, each once and whole.
fn captured(story: &Story) -> BTreeSet<u16> {
    let entries = story.order.ledger().iter().filter(|entry| entry.kind == LedgerKind::Captured);
    let mut attempts = BTreeSet::new();
    for entry in entries {
        assert_eq!(entry.amount, cny(FARE));
        let payment = entry.moved_by.payment().unwrap();
        assert!(attempts.insert(payment.attempt), "{entry:?} twice");
    }
    attempts
}

/// One way in which the wanted step may end; mostly well.
fn answers(story: &Story, effect: &Effect, dice: u8) -> Vec<Command> {
    let hold = |ok: Vec<Box<str>>| {
        let result = match dice {
            0..=9 => Err(StepFailure::Refused(Rejection::HoldNotFound)),
            10..=40 => Err(StepFailure::Unavailable),
            _ => Ok(ok),
        };
        vec![Command::HoldAnswered(effect.hold_answer(result).unwrap())]
    };
    match effect {
        Effect::PlaceHold { claim, .. } => hold(story.seats_of(*claim)),
        Effect::ReleaseHold { .. } | Effect::BeginPaying { .. } | Effect::ConfirmHold { .. } | Effect::Free { .. } => {
            hold(vec![])
        }
        Effect::CreatePayment { number, .. } => {
            let attempt = number.attempt;
            let answer = match dice {
                0..=30 => create_refused(attempt, false),
                31..=50 => create_refused(attempt, true),
                51..=100 => call_failed(attempt),
                _ => created(attempt),
            };
            vec![collect::Command::CreateCalled.into(), answer]
        }
        Effect::QueryPayment { number } => vec![match dice {
            0..=30 => call_failed(number.attempt),
            31..=60 => fact(number.attempt, FactState::NotFound),
            61..=100 => fact(number.attempt, FactState::Closed),
            101..=130 => paid(number.attempt),
            _ => fact(number.attempt, FactState::NotPaid),
        }],
        Effect::ClosePayment { number } => {
            vec![if dice < 60 { call_failed(number.attempt) } else { close_answered(number.attempt) }]
        }
        Effect::BeginRefund { number } => {
            vec![back::Command::BeginRefund { number: *number, body: refund_body(number.number) }.into()]
        }
        Effect::CallRefund { number, .. } | Effect::QueryRefund { number } => {
            vec![refund_answer(story, effect, *number, dice)]
        }
    }
}

fn refund_answer(story: &Story, effect: &Effect, number: OutRefundNo, dice: u8) -> Command {
    let payment = story.order.refund(number).unwrap().payment;
    let says = |status| {
        let known = KnownRefund { payment, ..known_refund(number.number, status) };
        refund_says(number.number, RefundFactState::Known(known))
    };
    let calls = matches!(effect, Effect::CallRefund { .. });
    match dice {
        0..=50 => back::Command::RefundCallFailed { number, why: CallFailure::NoAnswer }.into(),
        51..=90 if calls => back::Command::RefundRefused { number, code: "NOT_ENOUGH".into() }.into(),
        51..=90 => refund_says(number.number, RefundFactState::NotFound),
        91..=120 => says(RefundStatus::Processing),
        121..=140 => says(RefundStatus::Closed),
        141..=150 => says(RefundStatus::Abnormal),
        _ => says(RefundStatus::Success),
    }
}

fn may_follow(before: OrderStatus, after: OrderStatus) -> bool {
    use OrderStatus::{Cancelled, Completed, Paid, Pending};
    before == after || matches!((before, after), (Pending, Paid | Cancelled) | (Paid, Completed) | (Cancelled, Paid))
}

fn tell(story: &mut Story, notebook: &mut Notebook, command: &Command) {
    let before = story.order.clone();
    notebook.note(story, command);
    let told = story.tell(command.clone());
    if told.is_err() {
        assert_eq!(story.order, before);
    }
    assert!(may_follow(before.status(), story.order.status()), "{:?} → {:?}", before.status(), story.order.status());
    assert!(story.order.ledger().starts_with(before.ledger()), "append-only");
    for (old, new) in before.tickets().iter().zip(story.order.tickets()) {
        assert!(old.status == new.status || old.status.may_become(new.status));
    }
    notebook.check(story);
}

fn run(mut story: Story, ops: &[Op], picks: &[usize]) -> Story {
    let mut notebook = Notebook::default();
    let mut told: Vec<Command> = Vec::new();
    let mut picks = picks.iter();
    for op in ops {
        let commands = match op {
            Op::Step(dice) => {
                let wanted: Vec<Effect> = story.order.effects().collect();
                let pick = wanted.get(usize::from(*dice) % wanted.len().max(1));
                pick.map(|effect| answers(&story, effect, *dice)).unwrap_or_default()
            }
            Op::Begin => match story.order.payment_terms(&POLICY, story.now) {
                Ok(terms) => vec![collect::Command::Begin { terms, body: body(terms.number.attempt) }.into()],
                Err(_) => vec![],
            },
            Op::Tell(command) => vec![command.clone()],
            Op::Pass { seconds } => {
                story.now = story.now.plus_seconds(*seconds);
                vec![]
            }
            Op::WakeWhenDue => {
                story.now = story.order.next_deadline().map_or(story.now, |due| due.max(story.now));
                vec![Command::Wake]
            }
            Op::Restart if story.version > 0 => {
                story.restart();
                notebook.restart(&story);
                vec![]
            }
            Op::Restart => vec![],
        };
        for command in &commands {
            tell(&mut story, &mut notebook, command);
            check_packed(&story.order);
        }
        // Sometimes something said long ago arrives once more.
        told.extend(commands);
        if let (Op::Tell(_), Some(pick)) = (op, picks.next())
            && !told.is_empty()
        {
            let stale = told[pick % told.len()].clone();
            tell(&mut story, &mut notebook, &stale);
        }
        if story.version > 0 {
            let rebuilt = Order::from_rows(&story.stored.rows(), story.now).unwrap();
            assert_eq!(without_volatile(rebuilt), without_volatile(story.order.clone()));
        }
    }
    story
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_order_is_told_its_money_status_tickets_and_rows_agree(
        items in 1..3_usize,
        passengers in 1..4_usize,
        free in proptest::bool::weighted(0.1),
        ops in proptest::collection::vec(any_op(), 1..70),
        picks in proptest::collection::vec(0..1_000_usize, 20),
    ) {
        let total = if free { 0 } else { FARE };
        run(Story::drafted(items, passengers, total), &ops, &picks);
    }

    #[test]
    fn r_price_03_the_same_holds_with_promotions(
        items in 1..3_usize,
        uses in 1..3_usize,
        ops in proptest::collection::vec(any_op(), 1..70),
        picks in proptest::collection::vec(0..1_000_usize, 20),
    ) {
        run(Story::promoted(items, 2, uses), &ops, &picks);
    }

    #[test]
    fn the_same_holds_from_a_payment_that_the_traveller_can_pay(
        items in 1..3_usize,
        ops in proptest::collection::vec(any_op(), 1..50),
        picks in proptest::collection::vec(0..1_000_usize, 20),
    ) {
        // As the notebook has not seen the beginning, it takes it up at a restart.
        let mut ops = ops;
        ops.insert(0, Op::Restart);
        run(Story::payable_with(items, 2), &ops, &picks);
    }
}

//! WeChat Pay in memory: knows payments by their number, and loses answers when a test says so.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use deeptravel_domain::ids::{OutRefundNo, OutTradeNo};
use deeptravel_domain::money::Money;
use deeptravel_domain::order::{
    Capture, FactState, KnownRefund, PaymentFact, PaymentTerms, RefundFact, RefundFactState, RefundStatus, RefundTerms,
};

use crate::ports::{GatewayError, PaymentGateway};

/// How the provider answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Line {
    #[default]
    Good,
    /// There is none: what would be sent cannot be made.
    Missing,
    /// Calls do not arrive.
    Dead,
    /// Calls arrive and have their effect; the answers do not.
    OneWay,
    /// The create call is refused for good.
    Refusing,
    /// Calls arrive, and are answered when the line is another one.
    Slow,
    /// A query says that one fen was paid.
    Misreporting,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Create,
    Query,
    Close,
    Refund,
    QueryRefund,
}

#[derive(Default)]
pub struct MemoryGateway {
    state: Mutex<State>,
    changed: tokio::sync::Notify,
    /// Runs once, in the middle of an order's turn.
    at_refund_body: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for MemoryGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryGateway").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    line: Line,
    payments: BTreeMap<OutTradeNo, Known>,
    refunds: BTreeMap<OutRefundNo, KnownRefund>,
    calls: Vec<(Call, String)>,
}

#[derive(Debug)]
struct Known {
    body: Vec<u8>,
    total: Money,
    state: FactState,
}

impl MemoryGateway {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn set(&self, line: Line) {
        self.state().line = line;
        self.changed.notify_waiters();
    }

    /// What happens while the body of the next refund is made.
    pub fn at_refund_body(&self, happens: impl FnOnce() + Send + 'static) {
        *self.at_refund_body.lock().unwrap() = Some(Box::new(happens));
    }

    /// While the line is slow nothing is answered.
    async fn wait(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state().line != Line::Slow {
                return;
            }
            changed.await;
        }
    }

    /// The traveller pays; the notice that the provider then sends. `None`: it cannot be paid.
    pub fn pay(&self, number: OutTradeNo) -> Option<PaymentFact> {
        let open = self.state().payments.get(&number).is_some_and(|known| known.state == FactState::NotPaid);
        if open { self.pay_after_all(number) } else { None }
    }

    /// The same, although the provider may have closed it.
    pub fn pay_after_all(&self, number: OutTradeNo) -> Option<PaymentFact> {
        let mut state = self.state();
        let known = state.payments.get_mut(&number)?;
        let transaction_id = format!("T{number}").into();
        known.state = FactState::Paid(Capture { transaction_id, amount: known.total, payer: None, paid_at: None });
        Some(PaymentFact { number, state: known.state.clone() })
    }

    /// From then on it says this of a payment.
    pub fn says(&self, number: OutTradeNo, state: FactState) {
        self.state().payments.get_mut(&number).expect("a payment that was created").state = state;
    }

    /// A refund that was accepted goes on; the notice that the provider then sends.
    pub fn refund_moves(&self, number: OutRefundNo, status: RefundStatus) -> Option<RefundFact> {
        let mut state = self.state();
        let known = state.refunds.get_mut(&number)?;
        known.status = status;
        Some(RefundFact { number, state: RefundFactState::Known(known.clone()) })
    }

    pub fn refunds(&self) -> Vec<(OutRefundNo, KnownRefund)> {
        self.state().refunds.iter().map(|(number, known)| (*number, known.clone())).collect()
    }

    pub fn payment(&self, number: OutTradeNo) -> FactState {
        self.state().payments.get(&number).map_or(FactState::NotFound, |known| known.state.clone())
    }

    pub fn calls(&self, kind: Call) -> usize {
        self.state().calls.iter().filter(|(call, _)| *call == kind).count()
    }
}

fn lost() -> GatewayError {
    GatewayError::Unknown("the answer was lost".to_owned())
}

impl State {
    /// Notes a call; an error if it does not even arrive.
    fn arrives(&mut self, call: Call, number: &impl ToString) -> Result<(), GatewayError> {
        self.calls.push((call, number.to_string()));
        if self.line == Line::Dead { Err(lost()) } else { Ok(()) }
    }

    fn answers<T>(&self, answer: Result<T, GatewayError>) -> Result<T, GatewayError> {
        if self.line == Line::OneWay { Err(lost()) } else { answer }
    }

    fn create(&mut self, number: OutTradeNo, total: Money, body: &[u8]) -> Result<String, GatewayError> {
        let refused = |code: &str, may_exist| Err(GatewayError::Refused { code: code.to_owned(), may_exist });
        if self.line == Line::Refusing {
            return refused("NO_AUTH", false);
        }
        let new = || Known { body: body.to_vec(), total, state: FactState::NotPaid };
        let known = self.payments.entry(number).or_insert_with(new);
        if known.body != body {
            return refused("OUT_TRADE_NO_USED", true);
        }
        match known.state {
            FactState::NotPaid => Ok(format!("prepay-{number}")),
            FactState::Paid(_) => refused("ORDER_PAID", true),
            FactState::Closed | FactState::NotFound | FactState::Foreign(_) => refused("ORDER_CLOSED", true),
        }
    }
}

#[async_trait]
impl PaymentGateway for MemoryGateway {
    fn create_body(&self, terms: &PaymentTerms, description: &str, openid: &str) -> Result<Vec<u8>, GatewayError> {
        let PaymentTerms { number, total, time_expire, .. } = terms;
        Ok(format!("{number} {} {time_expire} {description} {openid}", total.minor).into_bytes())
    }

    async fn create(&self, body: &[u8]) -> Result<String, GatewayError> {
        let text = std::str::from_utf8(body).unwrap();
        let mut words = text.split(' ');
        let number: OutTradeNo = words.next().unwrap().parse().unwrap();
        let minor: i64 = words.next().unwrap().parse().unwrap();
        self.state().arrives(Call::Create, &number)?;
        self.wait().await;
        let mut state = self.state();
        let total = Money::new(minor, crate::catalogue::SALE_CURRENCY);
        let answer = state.create(number, total, body);
        state.answers(answer)
    }

    async fn query(&self, number: OutTradeNo) -> Result<FactState, GatewayError> {
        let mut state = self.state();
        state.arrives(Call::Query, &number)?;
        let mut known = state.payments.get(&number).map_or(FactState::NotFound, |known| known.state.clone());
        if let (Line::Misreporting, FactState::Paid(capture)) = (state.line, &mut known) {
            capture.amount.minor = 1;
        }
        state.answers(Ok(known))
    }

    async fn close(&self, number: OutTradeNo) -> Result<(), GatewayError> {
        let mut state = self.state();
        state.arrives(Call::Close, &number)?;
        if let Some(known) = state.payments.get_mut(&number)
            && known.state == FactState::NotPaid
        {
            known.state = FactState::Closed;
        }
        state.answers(Ok(()))
    }

    fn refund_body(&self, terms: &RefundTerms) -> Result<Vec<u8>, GatewayError> {
        if let Some(happens) = self.at_refund_body.lock().unwrap().take() {
            happens();
        }
        if self.state().line == Line::Missing {
            return Err(GatewayError::Unknown("nobody is called here".to_owned()));
        }
        let RefundTerms { number, payment, amount, .. } = terms;
        Ok(format!("{number} {payment} {}", amount.minor).into_bytes())
    }

    async fn refund(&self, body: &[u8]) -> Result<RefundFactState, GatewayError> {
        let text = std::str::from_utf8(body).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let number: OutRefundNo = words[0].parse().unwrap();
        let amount = Money::new(words[2].parse().unwrap(), crate::catalogue::SALE_CURRENCY);
        let mut state = self.state();
        state.arrives(Call::Refund, &number)?;
        if state.line == Line::Refusing {
            return Err(GatewayError::Refused { code: "NOT_ENOUGH".to_owned(), may_exist: false });
        }
        let payment = words[1].parse().unwrap();
        let refund_id = format!("B{number}").into();
        let new = KnownRefund { payment, refund_id, amount, status: RefundStatus::Processing };
        let known = state.refunds.entry(number).or_insert(new).clone();
        state.answers(Ok(RefundFactState::Known(known)))
    }

    async fn query_refund(&self, number: OutRefundNo) -> Result<RefundFactState, GatewayError> {
        let mut state = self.state();
        state.arrives(Call::QueryRefund, &number)?;
        let known = state.refunds.get(&number).cloned();
        state.answers(Ok(known.map_or(RefundFactState::NotFound, RefundFactState::Known)))
    }
}

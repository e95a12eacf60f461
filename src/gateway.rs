//! WeChat Pay behind the orders' port.

use async_trait::async_trait;
use deeptravel_actors::ports::{GatewayError, PaymentGateway};
use deeptravel_domain::ids::OutTradeNo;
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::order::{CALL_TIMEOUT_SECONDS_MAX, Capture, FactState, PaymentTerms};
use deeptravel_wechat::{Advice, CallError, Client, CreateRequest, REQUEST_TIMEOUT, TradeState, Transaction};

/// The orders take a call for over after this time.
const _: () = assert!(REQUEST_TIMEOUT.as_secs() <= CALL_TIMEOUT_SECONDS_MAX as u64);

/// The client as a [`PaymentGateway`].
#[derive(Debug, Clone)]
pub struct WechatGateway {
    client: Client,
}

impl WechatGateway {
    pub fn new(client: Client) -> WechatGateway {
        WechatGateway { client }
    }
}

#[async_trait]
impl PaymentGateway for WechatGateway {
    fn create_body(&self, terms: &PaymentTerms, description: &str, openid: &str) -> Vec<u8> {
        self.client.create_body(&CreateRequest {
            out_trade_no: terms.number.to_string(),
            description: description.to_owned(),
            total_minor: terms.total.minor,
            openid: openid.to_owned(),
            time_expire: terms.time_expire.to_jiff(),
            attach: None,
        })
    }

    async fn create(&self, body: &[u8]) -> Result<String, GatewayError> {
        match self.client.create_jsapi(body).await {
            Ok(prepay_id) => Ok(prepay_id.as_str().to_owned()),
            Err(error) => Err(failure(error)),
        }
    }

    async fn query(&self, number: OutTradeNo) -> Result<FactState, GatewayError> {
        match self.client.query(&number.to_string()).await {
            Ok(transaction) if transaction.mchid != self.client.mchid() => Ok(FactState::Foreign("another merchant")),
            Ok(transaction) if transaction.appid != self.client.appid() => Ok(FactState::Foreign("another appid")),
            Ok(transaction) => fact_state(&transaction).map_err(|why| GatewayError::Unknown(why.to_owned())),
            Err(CallError::NotFound) => Ok(FactState::NotFound),
            Err(error) => Err(failure(error)),
        }
    }

    async fn close(&self, number: OutTradeNo) -> Result<(), GatewayError> {
        self.client.close(&number.to_string()).await.map_err(failure)
    }
}

fn failure(error: CallError) -> GatewayError {
    match error {
        CallError::Refused { code, advice, .. } => {
            GatewayError::Refused { code, may_exist: matches!(advice, Advice::Query | Advice::QueryPaid) }
        }
        CallError::NotFound => GatewayError::Refused { code: "NOT_FOUND".to_owned(), may_exist: false },
        CallError::Unknown { reason } => GatewayError::Unknown(reason.to_string()),
    }
}

/// What a transaction means for an order. Errors: a state or a field that a mini-program payment cannot have.
pub fn fact_state(transaction: &Transaction) -> Result<FactState, &'static str> {
    match &transaction.trade_state {
        // A refunded transaction was paid first (wechat.md R8).
        TradeState::Success | TradeState::Refund => {
            let amount = transaction.amount.as_ref().ok_or("a paid transaction without an amount")?;
            let currency: Currency = amount.currency.parse().map_err(|_| "an unknown currency")?;
            let transaction_id = transaction.sound_id().ok_or("a paid transaction without an id")?;
            Ok(FactState::Paid(Capture {
                transaction_id: transaction_id.into(),
                amount: Money::new(amount.total, currency),
            }))
        }
        TradeState::NotPay => Ok(FactState::NotPaid),
        TradeState::Closed => Ok(FactState::Closed),
        TradeState::Unknown(_) => Err("an unknown trade state"),
    }
}

/// For commands that start the engine without the world: every call ends unknown, so an order that has something
/// outstanding just waits for the server.
#[derive(Debug, Clone, Copy)]
pub struct NoGateway;

#[async_trait]
impl PaymentGateway for NoGateway {
    fn create_body(&self, _: &PaymentTerms, _: &str, _: &str) -> Vec<u8> {
        Vec::new()
    }

    async fn create(&self, _: &[u8]) -> Result<String, GatewayError> {
        Err(no_provider())
    }

    async fn query(&self, _: OutTradeNo) -> Result<FactState, GatewayError> {
        Err(no_provider())
    }

    async fn close(&self, _: OutTradeNo) -> Result<(), GatewayError> {
        Err(no_provider())
    }
}

fn no_provider() -> GatewayError {
    GatewayError::Unknown("this command does not call WeChat".to_owned())
}

#[cfg(test)]
mod tests {
    use deeptravel_wechat::UnknownReason;

    use super::*;

    fn refused(advice: Advice) -> CallError {
        CallError::Refused { status: 403, code: "CODE".into(), message: String::new(), advice }
    }

    #[test]
    fn a_refusal_says_whether_the_number_may_exist() {
        for (advice, expected) in [
            (Advice::Refused, false),
            (Advice::Configuration, false),
            (Advice::TopUp, false),
            (Advice::Query, true),
            (Advice::QueryPaid, true),
        ] {
            let failure = failure(refused(advice));
            assert!(matches!(failure, GatewayError::Refused { may_exist, .. } if may_exist == expected), "{advice:?}");
        }
    }

    #[test]
    fn r11_what_is_not_known_is_never_a_refusal() {
        for reason in [
            UnknownReason::Timeout,
            UnknownReason::Status(429),
            UnknownReason::Status(503),
            UnknownReason::NotAccepted("SIGN_ERROR".into()),
        ] {
            assert!(matches!(failure(reason.into()), GatewayError::Unknown(_)));
        }
    }
}

//! WeChat Pay behind the orders' port.

mod settings;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use deeptravel_actors::ports::{GatewayError, PaymentGateway};
use deeptravel_domain::ids::{OutRefundNo, OutTradeNo, TravellerId};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::order::{
    CALL_TIMEOUT_SECONDS_MAX, Capture, FactState, KnownRefund, PaymentTerms, RefundFactState, RefundReason,
    RefundStatus, RefundTerms,
};
use deeptravel_domain::time::Timestamp;
use deeptravel_wechat::{
    Advice, CallError, Client, CreateRequest, REQUEST_TIMEOUT, Refund, RefundRequest, TradeState, Transaction,
};

pub use settings::WechatSettings;

/// The orders take a call for over after this time.
const _: () = assert!(REQUEST_TIMEOUT.as_secs() <= CALL_TIMEOUT_SECONDS_MAX as u64);

/// The client as a [`PaymentGateway`]. Commands that start the engine without the world have none: every call ends unknown
/// then, so an order that has something outstanding just waits for the server.
#[derive(Debug, Clone)]
pub struct WechatGateway(pub Option<Client>);

impl WechatGateway {
    fn client(&self) -> Result<&Client, GatewayError> {
        self.0.as_ref().ok_or_else(|| unknown("this command does not call WeChat"))
    }
}

#[async_trait]
impl PaymentGateway for WechatGateway {
    fn create_body(&self, terms: &PaymentTerms, description: &str, openid: &str) -> Result<Vec<u8>, GatewayError> {
        let request = CreateRequest {
            out_trade_no: terms.number.to_string(),
            description: description.to_owned(),
            total_minor: terms.total.minor,
            openid: openid.to_owned(),
            time_expire: terms.time_expire.to_jiff(),
            attach: None,
        };
        Ok(self.client()?.create_body(&request))
    }

    async fn create(&self, body: &[u8]) -> Result<String, GatewayError> {
        let prepay_id = self.client()?.create_jsapi(body).await.map_err(failure)?;
        Ok(prepay_id.as_str().to_owned())
    }

    async fn query(&self, number: OutTradeNo) -> Result<FactState, GatewayError> {
        let client = self.client()?;
        match client.query(&number.to_string()).await {
            Ok(transaction) if transaction.mchid != client.mchid() => Ok(FactState::Foreign("another merchant")),
            Ok(transaction) if transaction.appid != client.appid() => Ok(FactState::Foreign("another appid")),
            Ok(transaction) => fact_state(&transaction).map_err(unknown),
            Err(CallError::NotFound) => Ok(FactState::NotFound),
            Err(error) => Err(failure(error)),
        }
    }

    async fn close(&self, number: OutTradeNo) -> Result<(), GatewayError> {
        self.client()?.close(&number.to_string()).await.map_err(failure)
    }

    fn refund_body(&self, terms: &RefundTerms) -> Result<Vec<u8>, GatewayError> {
        let reason = match terms.reason {
            RefundReason::Late => "订单已取消，座位已售",
            RefundReason::Duplicate => "重复付款",
        };
        let request = RefundRequest {
            transaction_id: terms.transaction_id.to_string(),
            out_trade_no: Some(terms.payment.to_string()),
            out_refund_no: terms.number.to_string(),
            reason: Some(reason.to_owned()),
            refund_minor: terms.amount.minor,
            total_minor: terms.total.minor,
        };
        Ok(self.client()?.refund_body(&request))
    }

    async fn refund(&self, body: &[u8]) -> Result<RefundFactState, GatewayError> {
        refund_state(&self.client()?.refund(body).await.map_err(failure)?).map_err(unknown)
    }

    async fn query_refund(&self, number: OutRefundNo) -> Result<RefundFactState, GatewayError> {
        match self.client()?.query_refund(&number.to_string()).await {
            Ok(refund) => refund_state(&refund).map_err(unknown),
            Err(CallError::NotFound) => Ok(RefundFactState::NotFound),
            Err(error) => Err(failure(error)),
        }
    }
}

fn unknown(why: &str) -> GatewayError {
    GatewayError::Unknown(why.to_owned())
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
                payer: transaction.payer.as_ref().map(|payer| traveller_of(&payer.openid)),
                paid_at: transaction.success_time.map(Timestamp::from_jiff),
            }))
        }
        TradeState::NotPay => Ok(FactState::NotPaid),
        TradeState::Closed => Ok(FactState::Closed),
        TradeState::Unknown(_) => Err("an unknown trade state"),
    }
}

/// The traveller behind an openid.
pub fn traveller_of(openid: &str) -> TravellerId {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, openid.as_bytes()).as_ref());
    TravellerId::of_openid_digest(&hash)
}

/// What WeChat says about a refund. Errors: a state or a field that a refund of ours cannot have.
pub fn refund_state(refund: &Refund) -> Result<RefundFactState, &'static str> {
    let currency: Currency = refund.amount.currency.parse().map_err(|_| "an unknown currency")?;
    let status = match &refund.status {
        deeptravel_wechat::RefundStatus::Success => RefundStatus::Success,
        deeptravel_wechat::RefundStatus::Processing => RefundStatus::Processing,
        deeptravel_wechat::RefundStatus::Closed => RefundStatus::Closed,
        deeptravel_wechat::RefundStatus::Abnormal => RefundStatus::Abnormal,
        deeptravel_wechat::RefundStatus::Unknown(_) => return Err("an unknown refund status"),
    };
    // Not one of ours, or not one of these: the order compares it with what it asked for.
    let Ok(payment) = refund.out_trade_no.parse() else {
        return Ok(RefundFactState::Foreign("a refund of another payment"));
    };
    let refund_id = refund.sound_id().ok_or("a refund without an id")?;
    let amount = Money::new(refund.amount.refund, currency);
    Ok(RefundFactState::Known(KnownRefund { payment, refund_id: refund_id.into(), amount, status }))
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

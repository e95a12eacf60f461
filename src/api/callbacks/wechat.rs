//! WeChat's callbacks (R-PAY-02, R-PAY-06): verified over the raw bytes, compared with what we expect, told to the
//! order. What is genuine and fits nothing may be real money: it is put in quarantine and acknowledged, because
//! repeating it cannot help. Whenever nothing could be made durable the answer is 503, so that WeChat repeats.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use deeptravel_actors::outage::{Answer, Outage};
use deeptravel_domain::order::{PaymentFact, RefundFact};
use deeptravel_domain::quarantine::Notice;
use deeptravel_wechat::{Notification, NotificationError, NotificationHeaders, RefundNotice, Resource, Transaction};

use crate::api::frame::{
    Allowed, Answered, Api, BODY_BYTES_MAX, Problem, Public, Routes, no_content, read_body, refusals,
};
use crate::gateway::{fact_state, refund_state};

/// The only event about payments (wechat.md 3).
const PAID: &str = "TRANSACTION.SUCCESS";
/// WeChat waits 5 s; what takes longer is repeated by it.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_500);
/// Longest text of a notice in quarantine, in characters: what fits nothing may be of any length, and an index is not.
const STORED_CHARS_MAX: usize = 128;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_payment_notice, payment_notice).mount(__path_refund_notice, refund_notice);
}

/// WeChat says that something was paid.
#[utoipa::path(
    post, path = "/payments/wechat/notify",
    request_body(content_type = "application/json", description = "WeChat's envelope; signed by the `Wechatpay-*` headers", content = Object),
    responses(
        (status = 204, description = "Understood; also when it was put in quarantine"),
        (status = 400, description = "Genuine and malformed, or the XML of API v2"),
        (status = 401, description = "Bad signature, unknown serial or bad age"),
        (status = 503, description = "To be repeated"),
    )
)]
async fn payment_notice(_: Allowed<Public>, api: Api, request: HttpRequest, body: web::Payload) -> Answered {
    receive(&api, &request, body).await
}

/// WeChat says what became of a refund.
#[utoipa::path(
    post, path = "/payments/wechat/refund-notify",
    request_body(content_type = "application/json", description = "WeChat's envelope; signed by the `Wechatpay-*` headers", content = Object),
    responses(
        (status = 204, description = "Understood; also when it was put in quarantine"),
        (status = 400, description = "Genuine and malformed, or of the old protocol"),
        (status = 401, description = "Bad signature, unknown serial or bad age"),
        (status = 503, description = "To be repeated"),
    )
)]
async fn refund_notice(_: Allowed<Public>, api: Api, request: HttpRequest, body: web::Payload) -> Answered {
    receive(&api, &request, body).await
}

/// Either address takes either kind: which one WeChat calls is what the call named, or what its console says.
async fn receive(api: &Api, request: &HttpRequest, body: web::Payload) -> Answered {
    let raw = read_body(request, &mut body.into_inner(), BODY_BYTES_MAX).await?;
    let verified = api.wechat.verify_notification(&headers(request), &raw, jiff::Timestamp::now());
    let notification = verified.map_err(|error| refused(&error))?;
    let outcome = tokio::time::timeout(ANSWER_WITHIN, accept(api, notification)).await;
    let outcome = outcome.unwrap_or_else(|_| {
        counted("late");
        Err(refusals::OVERLOADED.saying("it could not be recorded in time"))
    });
    outcome.map(|()| no_content())
}

fn headers(request: &HttpRequest) -> NotificationHeaders<'_> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    NotificationHeaders {
        timestamp: header("Wechatpay-Timestamp"),
        nonce: header("Wechatpay-Nonce"),
        signature: header("Wechatpay-Signature"),
        serial: header("Wechatpay-Serial"),
        signature_type: header("Wechatpay-Signature-Type"),
    }
}

fn counted(result: &'static str) {
    metrics::counter!("payment_notices_total", "result" => result).increment(1);
}

fn refused(error: &NotificationError) -> Problem {
    let (result, refusal) = match error {
        NotificationError::Malformed(_) => ("malformed", refusals::MALFORMED_NOTIFICATION),
        NotificationError::OldProtocol => ("old protocol", refusals::MALFORMED_NOTIFICATION),
        NotificationError::SignTest => ("signtest", refusals::INVALID_SIGNATURE),
        NotificationError::Signature
        | NotificationError::UnknownSerial
        | NotificationError::Age
        | NotificationError::MissingHeader(_)
        | NotificationError::SignatureType => ("unverified", refusals::INVALID_SIGNATURE),
    };
    counted(result);
    match error {
        NotificationError::Malformed(_) => tracing::error!(%error, "A genuine notice cannot be read: {error}"),
        NotificationError::OldProtocol => tracing::warn!(%error, "A notice is refused: {error}"),
        // Anybody can send these; the frame logs some of them.
        NotificationError::SignTest
        | NotificationError::Signature
        | NotificationError::UnknownSerial
        | NotificationError::Age
        | NotificationError::MissingHeader(_)
        | NotificationError::SignatureType => {}
    }
    refusal.saying(error.to_string())
}

async fn accept(api: &Api, notification: Notification) -> Result<(), Problem> {
    let Notification { id, event_type, resource } = notification;
    let us = Merchant { appid: api.wechat.appid(), mchid: api.wechat.mchid() };
    let unfit = match resource {
        Resource::Transaction(transaction) if event_type == PAID => {
            let reason = told(payment_fact(&us, &transaction), async |fact| api.engine.learn(fact).await).await?;
            reason.map(|reason| unfit_payment(&id, &transaction, reason))
        }
        Resource::Refund(notice) => {
            let reason = told(refund_fact(&us, &notice), async |fact| api.engine.learn_refund(fact).await).await?;
            reason.map(|reason| unfit_refund(&id, &notice, reason))
        }
        Resource::Transaction(_) | Resource::Other { .. } => {
            counted("ignored");
            return Ok(());
        }
    };
    let result = if unfit.is_some() { "quarantined" } else { "accepted" };
    if let Some(notice) = unfit {
        api.engine.quarantine(notice).await.map_err(outage)?.outcome?;
    }
    counted(result);
    Ok(())
}

/// Tells an order. `Some`: why none can act on it.
async fn told<F>(
    fact: Result<F, &'static str>,
    tell: impl AsyncFnOnce(F) -> Answer<()>,
) -> Result<Option<String>, Problem> {
    match fact {
        Ok(fact) => Ok(tell(fact).await.map_err(outage)?.outcome.err().map(|rejection| rejection.to_string())),
        Err(reason) => Ok(Some(reason.to_owned())),
    }
}

fn outage(outage: Outage) -> Problem {
    counted("outage");
    match outage {
        // Another status than 503 would say that the notice is at fault.
        Outage::Provider => Outage::Rebuilding.into(),
        other => other.into(),
    }
}

/// What a person reads of a payment that fits nothing.
fn unfit_payment(id: &str, transaction: &Transaction, reason: String) -> Notice {
    let said = serde_json::json!({
        "appid": storable(&transaction.appid),
        "mchid": storable(&transaction.mchid),
        "out_trade_no": storable(&transaction.out_trade_no),
        "transaction_id": transaction.transaction_id.as_deref().map(storable),
        "trade_state": storable(&format!("{:?}", transaction.trade_state)),
        "success_time": transaction.success_time.map(|at| at.to_string()),
        "amount": transaction.amount.as_ref().map(|amount| serde_json::json!({
            "total": amount.total,
            "currency": storable(&amount.currency),
        })),
        "payer_openid": transaction.payer.as_ref().map(|payer| storable(&payer.openid)),
    });
    Notice {
        notice_id: storable(id),
        out_trade_no: storable(&transaction.out_trade_no),
        transaction_id: transaction.transaction_id.as_deref().map(storable),
        reason,
        notice: said.to_string(),
        ..Notice::default()
    }
}

/// The same of a refund.
fn unfit_refund(id: &str, RefundNotice { mchid, refund }: &RefundNotice, reason: String) -> Notice {
    let said = serde_json::json!({
        "mchid": storable(mchid),
        "out_trade_no": storable(&refund.out_trade_no),
        "out_refund_no": storable(&refund.out_refund_no),
        "transaction_id": storable(&refund.transaction_id),
        "refund_id": storable(&refund.refund_id),
        "refund_status": storable(&format!("{:?}", refund.status)),
        "amount": {
            "total": refund.amount.total,
            "refund": refund.amount.refund,
            "currency": storable(&refund.amount.currency),
        },
    });
    Notice {
        notice_id: storable(id),
        out_trade_no: storable(&refund.out_trade_no),
        transaction_id: Some(storable(&refund.transaction_id)),
        reason,
        notice: said.to_string(),
        ..Notice::default()
    }
}

/// Postgres cannot store NUL in a text, nor index a long one; refusing a row would stop everything behind it.
fn storable(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(STORED_CHARS_MAX).collect()
}

/// Who we are at WeChat.
struct Merchant<'a> {
    appid: &'a str,
    mchid: &'a str,
}

/// What the notice says about one of our payments, or why it cannot be about one.
fn payment_fact(us: &Merchant<'_>, transaction: &Transaction) -> Result<PaymentFact, &'static str> {
    if transaction.mchid != us.mchid {
        return Err("another merchant");
    }
    if transaction.appid != us.appid {
        return Err("another appid");
    }
    if !transaction.trade_state.is_paid() {
        return Err("a success that is not paid");
    }
    let number = transaction.out_trade_no.parse().map_err(|_| "a number that is not ours")?;
    Ok(PaymentFact { number, state: fact_state(transaction)? })
}

/// The same of a refund. Its notice names no appid.
fn refund_fact(us: &Merchant<'_>, notice: &RefundNotice) -> Result<RefundFact, &'static str> {
    if notice.mchid != us.mchid {
        return Err("another merchant");
    }
    // A refund that somebody made at WeChat has a number that is not ours.
    let number = notice.refund.out_refund_no.parse().map_err(|_| "a number that is not ours")?;
    Ok(RefundFact { number, state: refund_state(&notice.refund)? })
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::ids::{OrderId, OutRefundNo, OutTradeNo, Shard};
    use deeptravel_domain::money::{Currency, Money};
    use deeptravel_domain::order::{FactState, RefundFactState, RefundStatus};
    use deeptravel_domain::time::Timestamp;
    use deeptravel_wechat::TradeState;

    use super::*;
    use crate::gateway::traveller_of;

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);
    const US: Merchant<'_> = Merchant { appid: "wx1", mchid: "1900000001" };

    fn transaction() -> Transaction {
        let order = OrderId::compose(NOW, Shard::of(1), 7);
        serde_json::from_value(serde_json::json!({
            "appid": "wx1",
            "mchid": "1900000001",
            "out_trade_no": OutTradeNo { order, attempt: 1 }.to_string(),
            "transaction_id": "4200000001",
            "trade_state": "SUCCESS",
            "success_time": "2026-11-20T10:00:00+08:00",
            "amount": {"total": 100, "currency": "CNY"},
            "payer": {"openid": "mei"},
        }))
        .unwrap()
    }

    #[test]
    fn a_success_is_a_fact_about_the_number_it_names() {
        let fact = payment_fact(&US, &transaction()).unwrap();
        let FactState::Paid(capture) = fact.state else { panic!("it is paid") };
        assert_eq!(capture.amount, Money::new(100, Currency::Cny));
        assert_eq!(&*capture.transaction_id, "4200000001");
        assert_eq!(capture.payer, Some(traveller_of("mei")));
        assert_eq!(capture.paid_at, Some(Timestamp::from_seconds(1_795_140_000)));
    }

    #[test]
    fn r_pay_06_what_is_not_about_our_money_is_no_fact() {
        type Spoil = fn(&mut Transaction);
        let spoils: [(&str, Spoil); 8] = [
            ("another merchant", |t| t.mchid = "1900000002".into()),
            ("another appid", |t| t.appid = "wx2".into()),
            ("a success that is not paid", |t| t.trade_state = TradeState::NotPay),
            ("a number that is not ours", |t| t.out_trade_no = "1217752501201407033233368018".into()),
            ("a paid transaction without an amount", |t| t.amount = None),
            ("an unknown currency", |t| t.amount.as_mut().unwrap().currency = "USD".into()),
            ("a paid transaction without an id", |t| t.transaction_id = None),
            ("a paid transaction without an id", |t| t.transaction_id = Some("\0".into())),
        ];
        for (reason, spoil) in spoils {
            let mut transaction = transaction();
            spoil(&mut transaction);
            assert_eq!(payment_fact(&US, &transaction), Err(reason));
            assert!(!unfit_payment("id", &transaction, reason.into()).notice.contains("\\u0000"));
        }
    }

    #[test]
    fn r_pay_06_a_notice_in_quarantine_can_be_stored_whatever_it_says() {
        assert_eq!(storable("a\0b"), "ab");
        let long = "深".repeat(70_000);
        assert_eq!(storable(&long).chars().count(), STORED_CHARS_MAX);
        let transaction = Transaction { out_trade_no: long, ..transaction() };
        assert!(unfit_payment("id", &transaction, String::new()).notice.len() < 1_024);
    }

    fn refund() -> RefundNotice {
        let order = OrderId::compose(NOW, Shard::of(1), 7);
        serde_json::from_value(serde_json::json!({
            "mchid": "1900000001",
            "out_trade_no": OutTradeNo { order, attempt: 1 }.to_string(),
            "transaction_id": "4200000001",
            "out_refund_no": OutRefundNo { order, number: 1 }.to_string(),
            "refund_id": "5000000001",
            "refund_status": "SUCCESS",
            "amount": {"total": 100, "refund": 100},
        }))
        .unwrap()
    }

    #[test]
    fn a_refund_notice_is_a_fact_about_the_number_it_names() {
        let fact = refund_fact(&US, &refund()).unwrap();
        let RefundFactState::Known(known) = fact.state else { panic!("it is known") };
        assert_eq!((known.amount, known.status), (Money::new(100, Currency::Cny), RefundStatus::Success));
    }

    #[test]
    fn r_pay_06_what_is_not_about_our_refund_is_no_fact() {
        type Spoil = fn(&mut RefundNotice);
        let spoils: [(&str, Spoil); 4] = [
            ("another merchant", |notice| notice.mchid = "1900000002".into()),
            ("a number that is not ours", |notice| notice.refund.out_refund_no = "by-hand-1".into()),
            ("an unknown currency", |notice| notice.refund.amount.currency = "USD".into()),
            ("a refund without an id", |notice| notice.refund.refund_id = "\0".into()),
        ];
        for (reason, spoil) in spoils {
            let mut notice = refund();
            spoil(&mut notice);
            assert_eq!(refund_fact(&US, &notice), Err(reason));
            assert!(!unfit_refund("id", &notice, reason.into()).notice.contains("\\u0000"));
        }
    }
}

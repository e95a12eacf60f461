//! Paying: the parameters for WeChat's client, and where a payment stands.

use std::time::Duration;

use actix_web::web;
use deeptravel_actors::outage::{Answer, Outage, Reply};
use deeptravel_domain::order::{Order, PaymentState, Prepay};
use deeptravel_domain::rejection::Rejection;
use deeptravel_wechat::{PayParams, PrepayId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Api, Body, Buy, Problem, Routes, ok, refusals};
use crate::api::views::{self, Zoned};

/// A traveller waits this long for WeChat. The order goes on by itself; asking again joins it.
const PROVIDER_WAIT: Duration = Duration::from_secs(8);

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_open_payment, open_payment).mount(__path_payment_status, payment_status);
}

/// Waits for an answer that may depend on WeChat. When it does not come in time, the work goes on.
pub async fn provider_answers<T>(answer: impl Future<Output = Answer<T>>) -> Answer<T> {
    tokio::time::timeout(PROVIDER_WAIT, answer).await.unwrap_or(Err(Outage::Provider))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPaymentSession {
    order_id: String,
}

/// The arguments of `wx.requestPayment`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PaymentSession {
    /// The payment's number at WeChat.
    out_trade_no: String,
    prepay_id: String,
    app_id: String,
    /// Unix seconds, as a string.
    time_stamp: String,
    nonce_str: String,
    #[schema(example = "prepay_id=wx201410272009395522657a690389285100")]
    package: String,
    #[schema(example = "RSA")]
    sign_type: &'static str,
    pay_sign: String,
}

/// Makes an order payable. Asking again gives the same parameters (R-PAY-01).
#[utoipa::path(
    post, path = "/payments/wechat/session", request_body = NewPaymentSession,
    responses(
        (status = 200, body = PaymentSession),
        (status = 404, description = "`ORDER_NOT_FOUND`"),
        (status = 409, description = "`ORDER_NOT_PAYABLE`: paid, cancelled or too late"),
        (status = 502, description = "`PAYMENT_PROVIDER`: ask again"),
    )
)]
async fn open_payment(Allowed(by): Allowed<Buy>, body: Body) -> Answered {
    let request: NewPaymentSession = body.json()?;
    let id = by.own_order(&request.order_id).await?.id();
    let mut answer = provider_answers(by.api.engine.open_payment(id, by.openid().into())).await;
    // The contract has one code for every order that cannot be paid now (`api.md`).
    if let Ok(Reply { outcome: Err(rejection @ Rejection::OrderPaid), .. }) = &mut answer {
        *rejection = Rejection::OrderNotPayable;
    }
    let order = by.shown(answer)?;
    Ok(ok(&parameters(&by.api, &order)?))
}

/// The parameters of the payment that WeChat knows: signed over what was recorded, so always the same.
fn parameters(api: &Api, order: &Order) -> Result<PaymentSession, Problem> {
    let payment = order.live_payment().ok_or(Rejection::OrderNotPayable)?;
    let PaymentState::Created(Prepay { id: prepay_id, nonce, signed_at_seconds }) = &payment.state else {
        return Err(Outage::Provider.into());
    };
    let unusable = |what: &'static str| {
        tracing::error!(payment = %payment.number, "Payment {} cannot be signed: {what}", payment.number);
        Problem::from(refusals::PAYMENT_PROVIDER)
    };
    let prepay = PrepayId::parse(prepay_id).ok_or_else(|| unusable("its prepay id is none"))?;
    let signed = api.wechat.pay_params(&prepay, *signed_at_seconds, nonce);
    let PayParams { app_id, time_stamp, nonce_str, package, sign_type, pay_sign } =
        signed.map_err(|_| unusable("the signature failed"))?;
    let (out_trade_no, prepay_id) = (payment.number.to_string(), prepay_id.to_string());
    Ok(PaymentSession { out_trade_no, prepay_id, app_id, time_stamp, nonce_str, package, sign_type, pay_sign })
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PaymentStatus {
    /// The order's: `pending`, `paid`, `completed` or `cancelled`.
    #[schema(example = "pending")]
    status: &'static str,
    lock_expire_at: Zoned,
}

/// Whether an order is paid, for the page that waits for it.
#[utoipa::path(
    get, path = "/payments/{orderId}/status",
    responses((status = 200, body = PaymentStatus), (status = 404, description = "`ORDER_NOT_FOUND`"))
)]
async fn payment_status(Allowed(by): Allowed<Buy>, id: web::Path<String>) -> Answered {
    let order = by.own_order(&id).await?;
    let lock_expire_at = views::time(order.lock_expires_at());
    Ok(ok(&PaymentStatus { status: order.status().code(), lock_expire_at }))
}

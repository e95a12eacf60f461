//! The control plane under `/_sim/`: the payer's finger, the faults, the clock, and what was delivered. Unsigned; it
//! exists on loopback only. Bodies are JSON objects, unknown fields are errors, an empty body is `{}`.
//!
//! | call | what it does |
//! |---|---|
//! | `GET transactions` | all of them, oldest first, with `prepay_id`, `time_expire`, `create_time` |
//! | `POST transactions/{outTradeNo}/pay` | pays: 200 the transaction, 404, 409 `CLOSED`, `EXPIRED`, `PREPAY_EXPIRED`, `PAID`; body: [`PayBody`] |
//! | `POST transactions/{outTradeNo}/notify` | sends the notification of a paid transaction again, under its old id |
//! | `POST refunds/{outRefundNo}/settle` | `{"status": "SUCCESS"}`, `ABNORMAL` or `CLOSED`: ends a refund now; 200 the refund, 404, 409 `FINAL` |
//! | `POST refunds/{outRefundNo}/notify` | sends the notification of an ended refund again, under its old id |
//! | `GET money` | what was really paid and refunded: sums, and every paid transaction with its refunds |
//! | `POST`, `GET`, `DELETE faults` | adds, lists, clears; body: `{"create": {…}}` with `create`, `query`, `close`, `refund`, `refund_query`, `certificates`, `login`, `token`, `message`, `notify`, `refund_notify`, each a [`super::faults::Fault`] |
//! | `GET deliveries[?out_trade_no=…]` | every attempt: status, latency, headers and body as sent |
//! | `POST clock/advance` | `{"seconds": n}`: business time moves forward |
//! | `POST`, `GET settings` | [`super::settings::Settings`], every field optional |
//! | `GET requests` | the last 2,000 signed requests as they came: method, target, timestamp, nonce, body, signature |
//! | `GET messages` | the subscribe messages that were accepted, oldest first |
//! | `POST tokens/invalidate` | access tokens given out so far are worth nothing any more |
//! | `GET key` | `public_key_id` and `public_key_pem` of the simulator, and its certificates |
//! | `POST certificates` | `{"signs": true}`: one more certificate, which signs from now on if it is to |
//! | `POST certificates/{serial}/sign` | that certificate signs from now on |
//! | `DELETE certificates/{serial}` | no longer listed, unless it signs |
//! | `POST merchant-keys` | `{"serial": …, "public_key_pem": …}`: accepts requests signed with one more key of the merchant |

use std::borrow::Cow;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, ResponseError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Simulator;
use super::faults::NewFaults;
use super::refund::RefundStatus;
use super::refunds::SettleRefusal;
use super::transaction::{PayRefusal, Reported};

/// Most seconds that the clock may be ahead: ten years.
const MAX_OFFSET_SECONDS: i64 = 10 * 365 * 86_400;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/transactions", web::get().to(transactions))
        .route("/transactions/{number}/pay", web::post().to(pay))
        .route("/transactions/{number}/notify", web::post().to(notify))
        .route("/refunds/{number}/settle", web::post().to(settle))
        .route("/refunds/{number}/notify", web::post().to(notify_refund))
        .route("/money", web::get().to(money))
        .service(
            web::resource("/faults")
                .route(web::post().to(add_faults))
                .route(web::get().to(show_faults))
                .route(web::delete().to(clear_faults)),
        )
        .route("/deliveries", web::get().to(deliveries))
        .route("/clock/advance", web::post().to(advance))
        .service(web::resource("/settings").route(web::post().to(settings)).route(web::get().to(show_settings)))
        .route("/requests", web::get().to(requests))
        .route("/messages", web::get().to(messages))
        .route("/tokens/invalidate", web::post().to(invalidate_tokens));
}

async fn transactions(simulator: Data<Simulator>) -> HttpResponse {
    let all = simulator.state().list(simulator.now());
    HttpResponse::Ok().json(all)
}

/// What the payment reports instead of the truth, in notifications and in queries alike.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PayBody {
    openid: Option<String>,
    total: Option<i64>,
    currency: Option<String>,
    appid: Option<String>,
    mchid: Option<String>,
    /// Pay although it is closed or expired: the payer who was quicker than the close, and money that comes late.
    force: bool,
}

/// The payer pays: 200 with the transaction; 404 unknown; 409 closed, expired or paid. The notification follows.
async fn pay(simulator: Data<Simulator>, number: Path<String>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let given: PayBody = read(&body)?;
    let now = simulator.now();
    let paid = simulator.state().pay(&number, given.force, now, |order| {
        let honest = Reported::honest(order);
        Reported {
            appid: given.appid.unwrap_or(honest.appid),
            mchid: given.mchid.unwrap_or(honest.mchid),
            openid: given.openid.unwrap_or(honest.openid),
            total: given.total.unwrap_or(honest.total),
            currency: given.currency.unwrap_or(honest.currency),
        }
    });
    simulator.wake.notify_one();
    let transaction = paid.map_err(|refusal| match refusal {
        PayRefusal::Unknown => unknown("no such transaction"),
        PayRefusal::Closed => conflict("CLOSED", "the transaction is closed"),
        PayRefusal::Paid => conflict("PAID", "the transaction is paid already"),
        PayRefusal::Expired => conflict("EXPIRED", "time_expire has passed"),
        PayRefusal::PrepayExpired => conflict("PREPAY_EXPIRED", "the prepay id is older than two hours"),
    })?;
    Ok(HttpResponse::Ok().json(transaction))
}

/// Sends a paid transaction's notification again, as if WeChat had not heard that it was accepted.
async fn notify(simulator: Data<Simulator>, number: Path<String>) -> Result<HttpResponse, Refusal> {
    if !simulator.state().notify_payment(&number, simulator.now()) {
        return Err(unknown("no such transaction, or it is not paid"));
    }
    simulator.wake.notify_one();
    Ok(HttpResponse::Accepted().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    status: RefundStatus,
}

/// Ends a refund: 200 with it, 404, 409. The notification follows if it changed.
async fn settle(simulator: Data<Simulator>, number: Path<String>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let Settle { status } = read(&body)?;
    let settled = simulator.state().settle_by_hand(&number, status, simulator.now());
    let refund = settled.map_err(|refusal| match refusal {
        SettleRefusal::Unknown => unknown("no such refund"),
        SettleRefusal::Final => conflict("FINAL", "the refund has ended otherwise"),
    })?;
    simulator.wake.notify_one();
    Ok(HttpResponse::Ok().json(refund))
}

/// Sends an ended refund's notification again.
async fn notify_refund(simulator: Data<Simulator>, number: Path<String>) -> Result<HttpResponse, Refusal> {
    if !simulator.state().notify_refund(&number, simulator.now()) {
        return Err(unknown("no such refund, or it has not ended, or it has no notify_url"));
    }
    simulator.wake.notify_one();
    Ok(HttpResponse::Accepted().finish())
}

/// For an auditor: what really happened to money, whatever was reported.
async fn money(simulator: Data<Simulator>) -> HttpResponse {
    let money = simulator.state().money();
    HttpResponse::Ok().json(money)
}

async fn add_faults(simulator: Data<Simulator>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let new: NewFaults = read(&body)?;
    let mut faults = simulator.faults();
    faults.add(new).map_err(bad_request)?;
    Ok(HttpResponse::Ok().json(&*faults))
}

async fn show_faults(simulator: Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(&*simulator.faults())
}

async fn clear_faults(simulator: Data<Simulator>) -> HttpResponse {
    *simulator.faults() = super::Faults::default();
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
struct DeliveryFilter {
    out_trade_no: Option<String>,
}

/// Every attempt, oldest first; with `?out_trade_no=…` those of one transaction.
async fn deliveries(simulator: Data<Simulator>, filter: Query<DeliveryFilter>) -> HttpResponse {
    let attempts = simulator.state().attempts(filter.out_trade_no.as_deref());
    HttpResponse::Ok().json(attempts)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: i64,
}

/// Business time goes forward; it never goes back.
async fn advance(simulator: Data<Simulator>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let Advance { seconds } = read(&body)?;
    let offset = simulator.offset_seconds.load(Ordering::Relaxed).saturating_add(seconds);
    if seconds < 0 || offset > MAX_OFFSET_SECONDS {
        return Err(bad_request("seconds must not be negative, nor the clock more than ten years ahead"));
    }
    let before = simulator.offset_seconds.fetch_add(seconds, Ordering::Relaxed);
    // At once, so that whoever asks next sees what the time has brought.
    simulator.state().run_due(simulator.now());
    simulator.wake.notify_one();
    Ok(HttpResponse::Ok().json(json!({ "now": simulator.now(), "offset_seconds": before + seconds })))
}

/// Changes settings; answers all of them.
async fn settings(simulator: Data<Simulator>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let changes = read(&body)?;
    let mut settings = simulator.settings.lock().unwrap_or_else(PoisonError::into_inner);
    *settings = settings.with(changes).map_err(bad_request)?;
    Ok(HttpResponse::Ok().json(*settings))
}

async fn show_settings(simulator: Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(simulator.settings())
}

async fn requests(simulator: Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(simulator.last_requests())
}

async fn messages(simulator: Data<Simulator>) -> HttpResponse {
    HttpResponse::Ok().json(simulator.mini().messages())
}

async fn invalidate_tokens(simulator: Data<Simulator>) -> HttpResponse {
    simulator.mini().invalidate();
    HttpResponse::NoContent().finish()
}

/// Reads a JSON object; an empty body is `{}`. Objects only: serde would take an empty array for one, too.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    let object: Map<String, Value> = serde_json::from_slice(body).map_err(|error| bad_request(error.to_string()))?;
    T::deserialize(Value::Object(object)).map_err(|error| bad_request(error.to_string()))
}

/// What the control plane does not do: `{"code", "message"}`.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, code: "BAD_REQUEST", message: message.into() }
}

fn conflict(code: &'static str, message: &'static str) -> Refusal {
    Refusal { status: StatusCode::CONFLICT, code, message: message.into() }
}

pub(super) fn unknown(message: &'static str) -> Refusal {
    Refusal { status: StatusCode::NOT_FOUND, code: "UNKNOWN", message: message.into() }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::build(self.status).json(json!({ "code": self.code, "message": self.message }))
    }
}

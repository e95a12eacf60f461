//! WeChat's own addresses: create, query, close, and its certificates.

use std::net::IpAddr;

use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Simulator;
use super::api_error::ApiError;
use super::compose::{apply, seal};
use super::exchange::{self, Answer, Call};
use super::faults::{Endpoint, Fault};
use super::jobs::Job;
use super::time::{duration, later};
use super::transaction::Order;
use super::wire::rfc3339;
use crate::crypto::CryptoFailure;

pub(super) fn routes(config: &mut ServiceConfig) {
    // Resources, not bare routes: a wrong method is 405 and not 404.
    let by_number = "/v3/pay/transactions/out-trade-no/{number}";
    config
        .service(web::resource("/v3/pay/transactions/jsapi").route(web::post().to(create)))
        .service(web::resource(by_number).route(web::get().to(query)))
        .service(web::resource("/v3/pay/transactions/id/{number}").route(web::get().to(query_by_id)))
        .service(web::resource(format!("{by_number}/close")).route(web::post().to(close)))
        .service(web::resource("/v3/certificates").route(web::get().to(certificates)));
}

async fn create(simulator: Data<Simulator>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let number = parsed["out_trade_no"].as_str().unwrap_or_default().to_owned();
    let call = Call { endpoint: Endpoint::Create, request: &request, body: &body, numbers: &[&number] };
    exchange::serve(&simulator, call, |fault| {
        let order = read_order(&simulator, parsed)?;
        let now = simulator.now();
        let mut state = simulator.state();
        let settings = simulator.settings();
        let prepay_id = state.create(order, &settings, now)?;
        if settings.payer.is_on() {
            simulator.wake.notify_one();
        }
        if fault.pay_first && state.pay_honestly(&number, false, now).is_ok() {
            simulator.wake.notify_one();
        }
        Ok(Answer::Json(json!({ "prepay_id": prepay_id })))
    })
    .await
}

#[derive(Deserialize)]
struct MerchantQuery {
    mchid: Option<String>,
}

async fn query(
    simulator: Data<Simulator>,
    request: HttpRequest,
    number: Path<String>,
    merchant: Query<MerchantQuery>,
    body: Bytes,
) -> HttpResponse {
    answer_query(&simulator, &request, &body, &number, merchant.mchid.as_deref()).await
}

async fn query_by_id(
    simulator: Data<Simulator>,
    request: HttpRequest,
    id: Path<String>,
    merchant: Query<MerchantQuery>,
    body: Bytes,
) -> HttpResponse {
    // Of an unknown id nothing is known under the id itself either: they are not alike.
    let number = simulator.state().number_of(&id).unwrap_or_else(|_| id.into_inner());
    answer_query(&simulator, &request, &body, &number, merchant.mchid.as_deref()).await
}

async fn answer_query(
    simulator: &Simulator,
    request: &HttpRequest,
    body: &Bytes,
    number: &str,
    mchid: Option<&str>,
) -> HttpResponse {
    let call = Call { endpoint: Endpoint::Query, request, body, numbers: &[number] };
    exchange::serve(simulator, call, |fault| {
        check_mchid(simulator, mchid, "mchid", "query")?;
        let mut answer = simulator.state().query(number, fault.lag_seconds, simulator.now())?;
        if let Some(tamper) = &fault.tamper {
            apply(tamper, &mut answer);
        }
        Ok(Answer::Json(answer))
    })
    .await
}

async fn close(simulator: Data<Simulator>, request: HttpRequest, number: Path<String>, body: Bytes) -> HttpResponse {
    let call = Call { endpoint: Endpoint::Close, request: &request, body: &body, numbers: &[&number] };
    exchange::serve(&simulator, call, |fault| {
        let body = read_json(&body)?;
        check_mchid(&simulator, body["mchid"].as_str(), "/body/mchid", "body")?;
        close_under(&simulator, &number, fault)?;
        Ok(Answer::NoContent)
    })
    .await
}

/// Closes, while the payer does what the fault says.
fn close_under(simulator: &Simulator, number: &str, fault: &Fault) -> Result<(), ApiError> {
    let now = simulator.now();
    let mut state = simulator.state();
    if fault.pay_during
        && let Err(refusal) = state.pay_honestly(number, false, now)
    {
        tracing::debug!(wechat.out_trade_no = number, ?refusal, "The payer could not pay during the close");
    }
    // Whatever the close is answered, there may be something to send or to wait for.
    simulator.wake.notify_one();
    if !fault.no_effect {
        state.close(number, &simulator.settings(), now)?;
    }
    if let Some(seconds) = fault.paid_later_seconds {
        let job = Job::Pay { out_trade_no: number.to_owned(), force: true };
        state.jobs.push(later(now, duration(seconds)), job);
    }
    Ok(())
}

/// The certificates that verify what we sign, encrypted under the API v3 key.
async fn certificates(simulator: Data<Simulator>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let call = Call { endpoint: Endpoint::Certificates, request: &request, body: &body, numbers: &[] };
    exchange::serve(&simulator, call, |fault| {
        if !simulator.settings().certificates {
            return Err(ApiError::new(
                404,
                "RESOURCE_NOT_EXISTS",
                "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥",
            ));
        }
        let (all, _) = simulator.platform.certificates();
        let data: Result<Vec<Value>, CryptoFailure> = all
            .iter()
            .map(|certificate| {
                Ok(json!({
                    "serial_no": certificate.serial,
                    "effective_time": rfc3339(certificate.effective),
                    "expire_time": rfc3339(certificate.expires),
                    "encrypt_certificate": seal(&simulator, "certificate", certificate.pem.as_bytes(), fault)?,
                }))
            })
            .collect();
        let data = data.map_err(|_| ApiError::new(500, "SYSTEM_ERROR", "系统异常，请稍后重试"))?;
        Ok(Answer::Json(json!({ "data": data })))
    })
    .await
}

pub(super) fn read_json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).ok().ok_or_else(not_json).and_then(object)
}

pub(super) fn object(body: Value) -> Result<Value, ApiError> {
    if body.is_object() { Ok(body) } else { Err(not_json()) }
}

fn not_json() -> ApiError {
    ApiError::new(400, "PARAM_ERROR", "请求内容不是合法的JSON对象")
}

/// The merchant must be named where the operation wants it and be the one that signed.
fn check_mchid(
    simulator: &Simulator,
    given: Option<&str>,
    field: &'static str,
    location: &'static str,
) -> Result<(), ApiError> {
    if given == Some(simulator.merchant.mchid.as_str()) {
        return Ok(());
    }
    Err(param_error(field, location, &given.into(), "商户号与签名商户号不一致"))
}

pub(super) fn param_error(field: &str, location: &str, value: &Value, issue: &str) -> ApiError {
    let message = format!("输入源“{field}”规则校验失败，{issue}");
    ApiError::new(400, "PARAM_ERROR", message)
        .with_detail(json!({ "field": field, "value": value, "issue": issue, "location": location }))
}

/// The create body with every rule of WeChat's table that we know.
fn read_order(simulator: &Simulator, body: Value) -> Result<Order, ApiError> {
    let body = object(body)?;
    let fields = Fields(&body);
    let appid = fields.required("/appid", 32)?;
    let mchid = fields.required("/mchid", 32)?;
    check_mchid(simulator, Some(&mchid), "/body/mchid", "body")?;
    if appid != simulator.merchant.appid {
        return Err(ApiError::new(400, "APPID_MCHID_NOT_MATCH", "appid和mchid不匹配"));
    }
    fields.required("/description", 127)?;
    let out_trade_no = fields.required("/out_trade_no", 32)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*".contains(&byte);
    if out_trade_no.len() < 6 || !out_trade_no.bytes().all(allowed) {
        return Err(fields.error("/out_trade_no", "须为6至32个数字、字母或_-|*"));
    }
    let notify_url = fields.required("/notify_url", 255)?;
    if !acceptable_notify_url(&notify_url) {
        return Err(fields.error("/notify_url", "须为不带参数的https地址（IP地址可用http）"));
    }
    let total = body.pointer("/amount/total").and_then(Value::as_i64).filter(|total| *total >= 1);
    let total = total.ok_or_else(|| fields.error("/amount/total", "值低于最小值 1"))?;
    if fields.optional("/amount/currency", 16)?.is_some_and(|currency| currency != "CNY") {
        return Err(fields.error("/amount/currency", "境内商户号仅支持CNY"));
    }
    let openid = fields.required("/payer/openid", 128)?;
    let attach = fields.optional("/attach", 128)?;
    fields.optional("/goods_tag", 32)?;
    if body.get("support_fapiao").is_some_and(|value| !value.is_boolean()) {
        return Err(fields.error("/support_fapiao", "须为布尔值"));
    }
    let time_expire = match fields.optional("/time_expire", 64)? {
        None => None,
        Some(text) => {
            let time: Option<Timestamp> = text.parse().ok();
            Some(time.ok_or_else(|| fields.error("/time_expire", "须为rfc3339格式"))?)
        }
    };
    Ok(Order { appid, mchid, out_trade_no, notify_url, attach, total, openid, time_expire, body })
}

/// https, a full path and no query string. For a server under development, which has no name and no certificate, also
/// http to an address; WeChat takes neither.
pub(super) fn acceptable_notify_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        let address = host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && address);
        scheme && url.query().is_none() && url.fragment().is_none()
    })
}

/// Reads text fields by JSON pointer; errors name the field as WeChat does.
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl Fields<'_> {
    pub(super) fn required(&self, pointer: &str, most: usize) -> Result<String, ApiError> {
        self.optional(pointer, most)?.ok_or_else(|| self.error(pointer, "必填"))
    }

    /// At most `most` characters, none of them outside the basic plane.
    pub(super) fn optional(&self, pointer: &str, most: usize) -> Result<Option<String>, ApiError> {
        let Some(value) = self.0.pointer(pointer) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| self.error(pointer, "须为字符串"))?;
        let fits = !text.is_empty() && text.chars().count() <= most;
        if !fits || text.chars().any(|c| c.len_utf8() > 3) {
            return Err(self.error(pointer, "字符串长度或内容不合法"));
        }
        Ok(Some(text.to_owned()))
    }

    pub(super) fn error(&self, pointer: &str, issue: &str) -> ApiError {
        let value = self.0.pointer(pointer).unwrap_or(&Value::Null);
        param_error(&format!("/body{pointer}"), "body", value, issue)
    }
}

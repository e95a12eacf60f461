//! WeChat's addresses for refunds: create, query, and another card for one that could not arrive.

use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::Simulator;
use super::api_error::ApiError;
use super::compose::apply;
use super::endpoints::{Fields, acceptable_notify_url, object, read_json};
use super::exchange::{self, Answer, Call};
use super::faults::Endpoint;
use super::refund::{RefundOrder, RefundStatus};
use super::refunds::no_resource;

pub(super) fn routes(config: &mut ServiceConfig) {
    let refunds = "/v3/refund/domestic/refunds";
    config
        .service(web::resource(refunds).route(web::post().to(create)))
        .service(web::resource(format!("{refunds}/{{number}}")).route(web::get().to(query)))
        .service(
            web::resource(format!("{refunds}/{{id}}/apply-abnormal-refund")).route(web::post().to(apply_abnormal)),
        );
}

async fn create(simulator: Data<Simulator>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |field: &str| parsed[field].as_str().unwrap_or_default().to_owned();
    let (refund, order) = (text("out_refund_no"), text("out_trade_no"));
    let call = Call { endpoint: Endpoint::Refund, request: &request, body: &body, numbers: &[&refund, &order] };
    exchange::serve(&simulator, call, |fault| {
        let order = read_refund(&simulator, parsed)?;
        let becomes = fault.refund_becomes.unwrap_or(RefundStatus::Success);
        let settings = simulator.settings();
        let refund = simulator.state().refund(order, becomes, &settings, simulator.now())?;
        simulator.wake.notify_one();
        Ok(Answer::Json(refund))
    })
    .await
}

async fn query(simulator: Data<Simulator>, request: HttpRequest, number: Path<String>, body: Bytes) -> HttpResponse {
    let call = Call { endpoint: Endpoint::RefundQuery, request: &request, body: &body, numbers: &[&number] };
    exchange::serve(&simulator, call, |fault| {
        let mut answer = simulator.state().query_refund(&number)?;
        if let Some(tamper) = &fault.tamper {
            apply(tamper, &mut answer);
        }
        Ok(Answer::Json(answer))
    })
    .await
}

async fn apply_abnormal(
    simulator: Data<Simulator>,
    request: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> HttpResponse {
    let call = Call { endpoint: Endpoint::Refund, request: &request, body: &body, numbers: &[&id] };
    exchange::serve(&simulator, call, |_| {
        let body = read_json(&body)?;
        let fields = Fields(&body);
        let number = fields.required("/out_refund_no", 64)?;
        let kind = fields.required("/type", 32)?;
        if kind == "USER_BANK_CARD" {
            // Encrypted for us; what they say does not matter here.
            for field in ["/bank_type", "/bank_account", "/real_name"] {
                fields.required(field, 1024)?;
            }
        } else if kind != "MERCHANT_BANK_CARD" {
            return Err(fields.error("/type", "取值不合法"));
        }
        let settings = simulator.settings();
        let refund = simulator.state().apply_abnormal(&id, &number, &settings, simulator.now())?;
        simulator.wake.notify_one();
        Ok(Answer::Json(refund))
    })
    .await
}

/// The refund body with every rule of WeChat's table that we know.
fn read_refund(simulator: &Simulator, body: Value) -> Result<RefundOrder, ApiError> {
    let body = object(body)?;
    let fields = Fields(&body);
    let out_refund_no = fields.required("/out_refund_no", 64)?;
    if !out_refund_no.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte)) {
        return Err(fields.error("/out_refund_no", "须为数字、字母或_-|*@"));
    }
    let transaction_id = fields.optional("/transaction_id", 32)?;
    let out_trade_no = fields.optional("/out_trade_no", 32)?;
    fields.optional("/reason", 80)?;
    let notify_url = fields.optional("/notify_url", 256)?;
    if notify_url.as_deref().is_some_and(|url| !acceptable_notify_url(url)) {
        return Err(fields.error("/notify_url", "须为不带参数的https地址（IP地址可用http）"));
    }
    let amount = |pointer: &str| {
        let value = body.pointer(pointer).and_then(Value::as_i64).filter(|amount| *amount >= 1);
        value.ok_or_else(|| fields.error(pointer, "值低于最小值 1"))
    };
    let (refund, total) = (amount("/amount/refund")?, amount("/amount/total")?);
    if fields.required("/amount/currency", 16)? != "CNY" {
        return Err(fields.error("/amount/currency", "境内商户号仅支持CNY"));
    }
    if refund > total {
        return Err(fields.error("/amount/refund", "退款金额不能大于订单金额"));
    }
    let out_trade_no = match (transaction_id, out_trade_no) {
        (Some(id), _) => simulator.state().number_of(&id).map_err(|_| no_resource())?,
        (None, Some(number)) => number,
        (None, None) => return Err(fields.error("/out_trade_no", "transaction_id和out_trade_no必填其一")),
    };
    let mchid = simulator.merchant.mchid.clone();
    Ok(RefundOrder { mchid, out_refund_no, out_trade_no, notify_url, refund, total, body })
}

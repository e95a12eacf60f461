//! Everybody's refunds, for the desk that sees to those that do not go on by themselves (R-PAY-04, R-ADMIN-07).

use actix_web::http::StatusCode;
use actix_web::web;
use deeptravel_actors::ports::ListCursor;
use deeptravel_domain::ids::OutRefundNo;
use deeptravel_domain::order::{Refund, RefundState};
use deeptravel_domain::rejection::Rejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Page, Paging, Problem, Routes, SeeMoney, SettleMoney, json, ok};
use crate::api::views::refund::cursor;
use crate::api::views::{self, MoneyView, Zoned};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_refunds, list_refunds).mount(__path_retry_refund, retry_refund);
}

/// A refund with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AdminRefund {
    /// `out_refund_no` at WeChat.
    refund_id: String,
    order_id: String,
    /// The payment that goes back.
    out_trade_no: String,
    amount: MoneyView,
    /// `due`: not begun; `begun`: its call is under way or without an answer; `refused`: WeChat refused it, nothing moved, a
    /// person has to look; `processing`: accepted; `abnormal`: the payer's account cannot take it, a person has to look;
    /// `succeeded`; `closed`: WeChat gave it up, and the order's next refund took its place.
    #[schema(pattern = "^(due|begun|refused|processing|abnormal|succeeded|closed)$")]
    status: &'static str,
    /// What the traveller sees: `due`, `processing`, `delayed`, `succeeded` or `failed`.
    shown_status: &'static str,
    /// `late` or `duplicate`.
    reason: &'static str,
    /// WeChat's code, when it has refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// WeChat's own id, when it has accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_refund_id: Option<String>,
    created_at: Zoned,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Zoned>,
}

impl From<&Refund> for AdminRefund {
    fn from(refund: &Refund) -> AdminRefund {
        let (refusal, provider_refund_id, completed_at) = match &refund.state {
            RefundState::Due | RefundState::Begun => (None, None, None),
            RefundState::Refused { code } => (Some(code.to_string()), None, None),
            RefundState::Processing { refund_id }
            | RefundState::Abnormal { refund_id }
            | RefundState::Closed { refund_id } => (None, Some(refund_id.to_string()), None),
            RefundState::Succeeded { refund_id, at } => (None, Some(refund_id.to_string()), Some(views::time(*at))),
        };
        AdminRefund {
            refund_id: refund.number.to_string(),
            order_id: refund.number.order.to_string(),
            out_trade_no: refund.payment.to_string(),
            amount: refund.amount.into(),
            status: refund.state.code(),
            shown_status: refund.state.progress().code(),
            reason: refund.reason.code(),
            refusal,
            provider_refund_id,
            created_at: views::time(refund.due_at),
            begun_at: refund.begun_at.map(views::time),
            completed_at,
        }
    }
}

/// The states that a status stands for.
fn states(status: &str) -> Result<Vec<&'static str>, Problem> {
    match status {
        "stuck" => Some(RefundState::STUCK.to_vec()),
        "outstanding" => Some(RefundState::OUTSTANDING.to_vec()),
        one => RefundState::CODES.into_iter().find(|code| *code == one).map(|code| vec![code]),
    }
    .ok_or_else(|| Problem::field("status", "is no status of a refund"))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RefundsFilter {
    /// A status; or `stuck`: those that wait for a person; or `outstanding`: all that have not ended.
    #[param(pattern = "^(due|begun|refused|processing|abnormal|succeeded|closed|stuck|outstanding)$")]
    status: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AdminRefundList {
    /// The newest first.
    refunds: Vec<AdminRefund>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Everybody's refunds. For finance, operations, audit and administration.
#[utoipa::path(
    get, path = "/admin/refunds", operation_id = "list_all_refunds", params(RefundsFilter, Paging),
    responses((status = 200, body = AdminRefundList), (status = 503, description = "`STORAGE_UNAVAILABLE`"))
)]
async fn list_refunds(Allowed(by): Allowed<SeeMoney>, page: Page<ListCursor, RefundsFilter>) -> Answered {
    let states = page.filter.status.as_deref().map(states).transpose()?;
    let mut refunds =
        page.read(&by, |lists, before, count| async move { lists.refunds(states, before, count).await }).await?;
    let next_cursor = page.cut(&mut refunds, cursor);
    Ok(ok(&AdminRefundList { refunds: refunds.iter().map(AdminRefund::from).collect(), next_cursor }))
}

/// Has a refund that waits for a person tried again now: WeChat is asked what became of it, and if it knows nothing, the same
/// call is made again under the same number. What comes of it shows in the list. For finance and administration.
#[utoipa::path(
    post, path = "/admin/refunds/{refundId}/retry",
    responses(
        (status = 202, description = "The refund as it was when the attempt began", body = AdminRefund),
        (status = 404, description = "`REFUND_NOT_FOUND`"),
        (status = 409, description = "`REFUND_NOT_STUCK`"),
    )
)]
async fn retry_refund(Allowed(by): Allowed<SettleMoney>, id: web::Path<String>) -> Answered {
    let number: OutRefundNo = id.parse().map_err(|_| no_such_refund())?;
    let answer = by.api.engine.retry_refund(number).await?;
    if matches!(answer.outcome, Err(Rejection::OrderNotFound | Rejection::RefundNotFound)) {
        return Err(no_such_refund());
    }
    by.shown(Ok(answer))?;
    tracing::info!(refund = %number, staff = %by.who.username, "Refund {number} is tried again by hand");
    let order = by.shown(by.api.engine.order(number.order).await)?;
    let refund = order.refund(number).ok_or_else(no_such_refund)?;
    Ok(json(StatusCode::ACCEPTED, &AdminRefund::from(refund)))
}

fn no_such_refund() -> Problem {
    Problem::from(Rejection::RefundNotFound).naming("refundId", "is no refund")
}

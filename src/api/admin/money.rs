//! Money in trouble, for the desk that sees to it: notices that fit nothing, and refunds that do not go on by themselves
//! (R-PAY-04, R-PAY-06, R-ADMIN-07).

use std::str::FromStr;

use actix_web::web;
use deeptravel_actors::outage::Reply;
use deeptravel_actors::payment::Resolution;
use deeptravel_actors::ports::ListCursor;
use deeptravel_actors::rows::QuarantineRow;
use deeptravel_domain::ids::{OutRefundNo, OutTradeNo};
use deeptravel_domain::order::{Refund, RefundState};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::extract::Body;
use crate::api::frame::permission::{Allowed, SeeMoney, SettleMoney};
use crate::api::frame::query::{NoStatus, Page, Parameters};
use crate::api::frame::{Api, Problem, Routes};
use crate::api::views::refund::{cursor, stored};
use crate::api::views::{self, MoneyView, Time};

/// Longest note, in characters.
const NOTE_CHARS_MAX: usize = 500;
/// Longest id of a notice, in bytes: 128 characters are kept of what WeChat says.
const NOTICE_ID_MAX: usize = 512;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_quarantine, list_quarantine)
        .mount(__path_resolve_notice, resolve_notice)
        .mount(__path_list_refunds, list_refunds)
        .mount(__path_retry_refund, retry_refund);
}

/// A notice that WeChat signed and that fits no order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QuarantinedNotice)]
struct NoticeView {
    /// WeChat's id; of what a query brought, `query/` and the number that was asked about.
    notice_id: String,
    /// The number that it names, whosever it is.
    out_trade_no: String,
    /// The order of that number, if the number is one of ours. The order need not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    /// Why it fits nothing.
    reason: String,
    /// What WeChat said.
    #[schema(value_type = Object)]
    notice: serde_json::Value,
    #[schema(value_type = String, format = DateTime)]
    received_at: Time,
    /// Once somebody has seen to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Time>,
    /// User name of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl From<QuarantineRow> for NoticeView {
    fn from(row: QuarantineRow) -> NoticeView {
        let time = |ms| views::time(Timestamp::from_ms(ms));
        let payment = row.out_trade_no.parse().map(|number: OutTradeNo| number.order);
        let order = payment.or_else(|_| row.out_trade_no.parse().map(|number: OutRefundNo| number.order));
        NoticeView {
            order_id: order.ok().map(|order| order.to_string()),
            notice: serde_json::from_str(&row.notice).unwrap_or(serde_json::Value::String(row.notice)),
            notice_id: row.notice_id,
            out_trade_no: row.out_trade_no,
            transaction_id: row.transaction_id,
            reason: row.reason,
            received_at: time(row.received_at),
            resolved_at: row.resolved_at.map(time),
            resolved_by: row.resolved_by,
            note: row.note,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuarantineQuery {
    /// `true`: those that somebody has seen to; `false`: the others. Without it, all.
    resolved: Option<bool>,
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Quarantine {
    /// The newest first.
    notices: Vec<NoticeView>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What WeChat said and no order could use: it may be real money. For finance, operations, audit and administration.
#[utoipa::path(
    get,
    path = "/admin/quarantine",
    tag = "administration",
    params(QuarantineQuery),
    responses(
        (status = 200, body = Quarantine),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_quarantine(
    Allowed(by): Allowed<SeeMoney>,
    api: Api,
    Parameters(query): Parameters<QuarantineQuery>,
) -> Result<web::Json<Quarantine>, Problem> {
    let page: Page<ListCursor, NoStatus> = Page::of(query.limit, query.cursor.as_deref(), None, "")?;
    let (lists, resolved, count) = (api.lists.clone(), query.resolved, page.to_read());
    let before = page.before.clone();
    let read = async move { lists.quarantine(resolved, before, count).await };
    let mut rows = api.list(by.token(), read).await?;
    let place = |row: &QuarantineRow| ListCursor { at_ms: row.received_at, id: row.notice_id.clone() };
    let next_cursor = page.cut(&mut rows, place);
    Ok(web::Json(Quarantine { notices: rows.into_iter().map(NoticeView::from).collect(), next_cursor }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolveNotice {
    /// What was done about it.
    #[schema(example = "given back by hand, see ticket 4711", min_length = 1, max_length = 500)]
    note: String,
}

/// Says that a notice has been seen to. The first one to say so is kept; saying it again changes nothing. For finance
/// and administration.
#[utoipa::path(
    post,
    path = "/admin/quarantine/{noticeId}/resolve",
    tag = "administration",
    params(("noticeId" = String, Path, description = "With `/` written as `%2F`")),
    request_body = ResolveNotice,
    responses(
        (status = 200, body = NoticeView),
        (status = 404, description = "`NOTICE_NOT_FOUND`"),
    )
)]
async fn resolve_notice(
    Allowed(by): Allowed<SettleMoney>,
    api: Api,
    id: web::Path<String>,
    Body(request): Body<ResolveNotice>,
) -> Result<web::Json<NoticeView>, Problem> {
    let (id, note) = (id.into_inner(), request.note.trim().to_owned());
    if note.is_empty() || note.chars().count() > NOTE_CHARS_MAX || note.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Problem::field("note", "is not 1 to 500 characters without control characters"));
    }
    if id.len() > NOTICE_ID_MAX || id.contains('\0') {
        return Err(no_such_notice());
    }
    let resolution = Resolution { notice: id, by: by.account.username.to_string(), note };
    let row = api.shown(by.token(), api.engine.resolve_notice(resolution).await).await?;
    row.map(|row| web::Json(NoticeView::from(row))).ok_or_else(no_such_notice)
}

fn no_such_notice() -> Problem {
    let status = actix_web::http::StatusCode::NOT_FOUND;
    Problem::new(status, "NOTICE_NOT_FOUND", "there is no such notice in quarantine").naming("noticeId", "is no notice")
}

/// A refund with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AdminRefund)]
struct AdminRefundView {
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
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    begun_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Time>,
}

impl From<&Refund> for AdminRefundView {
    fn from(refund: &Refund) -> AdminRefundView {
        let (mut refusal, mut provider_refund_id, mut completed_at) = (None, None, None);
        match &refund.state {
            RefundState::Due | RefundState::Begun => {}
            RefundState::Refused { code } => refusal = Some(code.to_string()),
            RefundState::Processing { refund_id }
            | RefundState::Abnormal { refund_id }
            | RefundState::Closed { refund_id } => provider_refund_id = Some(refund_id.to_string()),
            RefundState::Succeeded { refund_id, at } => {
                provider_refund_id = Some(refund_id.to_string());
                completed_at = Some(views::time(*at));
            }
        }
        AdminRefundView {
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

/// Which refunds are wanted: the states.
#[derive(Clone, Debug)]
struct Wanted(Vec<&'static str>);

impl FromStr for Wanted {
    type Err = ();

    fn from_str(text: &str) -> Result<Wanted, ()> {
        match text {
            "stuck" => Ok(Wanted(RefundState::STUCK.to_vec())),
            "outstanding" => Ok(Wanted(RefundState::OUTSTANDING.to_vec())),
            one => RefundState::CODES.into_iter().find(|code| *code == one).map(|code| Wanted(vec![code])).ok_or(()),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AdminRefundsQuery {
    /// A status; or `stuck`: those that wait for a person; or `outstanding`: all that have not ended.
    #[param(pattern = "^(due|begun|refused|processing|abnormal|succeeded|closed|stuck|outstanding)$")]
    status: Option<String>,
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AdminRefundList {
    /// The newest first.
    refunds: Vec<AdminRefundView>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Everybody's refunds. For finance, operations, audit and administration.
#[utoipa::path(
    get,
    path = "/admin/refunds",
    tag = "administration",
    operation_id = "list_all_refunds",
    params(AdminRefundsQuery),
    responses(
        (status = 200, body = AdminRefundList),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_refunds(
    Allowed(by): Allowed<SeeMoney>,
    api: Api,
    Parameters(query): Parameters<AdminRefundsQuery>,
) -> Result<web::Json<AdminRefundList>, Problem> {
    let page: Page<ListCursor, Wanted> =
        Page::of(query.limit, query.cursor.as_deref(), query.status.as_deref(), "is no status of a refund")?;
    let (lists, count) = (api.lists.clone(), page.to_read());
    let (states, before) = (page.status.clone().map(|wanted| wanted.0), page.before.clone());
    let mut rows = api.list(by.token(), async move { lists.refunds(states, before, count).await }).await?;
    let next_cursor = page.cut(&mut rows, cursor);
    let refunds = rows.into_iter().map(stored).collect::<Result<Vec<Refund>, Problem>>()?;
    Ok(web::Json(AdminRefundList { refunds: refunds.iter().map(AdminRefundView::from).collect(), next_cursor }))
}

/// Has a refund that waits for a person tried again now: WeChat is asked what became of it, and if it knows nothing, the same
/// call is made again under the same number. What comes of it shows in the list. For finance and administration.
#[utoipa::path(
    post,
    path = "/admin/refunds/{refundId}/retry",
    tag = "administration",
    params(("refundId" = String, Path)),
    responses(
        (status = 202, description = "The refund as it was when the attempt began", body = AdminRefundView),
        (status = 404, description = "`REFUND_NOT_FOUND`"),
        (status = 409, description = "`REFUND_NOT_STUCK`"),
    )
)]
async fn retry_refund(
    Allowed(by): Allowed<SettleMoney>,
    api: Api,
    id: web::Path<String>,
) -> Result<actix_web::HttpResponse, Problem> {
    let number: OutRefundNo = id.parse().map_err(|_| no_such_refund())?;
    let Reply { outcome, position } = api.engine.retry_refund(number).await?;
    if matches!(outcome, Err(Rejection::OrderNotFound | Rejection::RefundNotFound)) {
        return Err(no_such_refund());
    }
    api.shown(by.token(), Ok(Reply { outcome, position })).await?;
    tracing::info!(refund = %number, staff = %by.account.username, "Refund {number} is tried again by hand");
    let order = api.shown(by.token(), api.engine.order(number.order).await).await?;
    let refund = order.refund(number).ok_or_else(no_such_refund)?;
    Ok(actix_web::HttpResponse::Accepted().json(AdminRefundView::from(refund)))
}

fn no_such_refund() -> Problem {
    Problem::from(Rejection::RefundNotFound).naming("refundId", "is no refund")
}

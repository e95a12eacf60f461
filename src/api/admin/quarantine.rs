//! Notices of money that fit nothing, for the desk that sees to them (R-PAY-06, R-ADMIN-07).

use actix_web::web;
use deeptravel_actors::ports::ListCursor;
use deeptravel_domain::ids::{OutRefundNo, OutTradeNo};
use deeptravel_domain::quarantine::Notice;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Body, Page, Paging, Problem, Routes, SeeMoney, SettleMoney, ok};
use crate::api::views::{self, Zoned};

/// Longest note, in characters.
const NOTE_CHARS_MAX: usize = 500;
/// Longest id of a notice, in bytes: 128 characters are kept of what WeChat says.
const NOTICE_ID_MAX: usize = 512;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_quarantine, list_quarantine).mount(__path_resolve_notice, resolve_notice);
}

/// A notice that WeChat signed and that fits no order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QuarantinedNotice {
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
    received_at: Zoned,
    /// Once somebody has seen to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<Zoned>,
    /// User name of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl From<&Notice> for QuarantinedNotice {
    fn from(notice: &Notice) -> QuarantinedNotice {
        let payment = notice.out_trade_no.parse().map(|number: OutTradeNo| number.order);
        let order = payment.or_else(|_| notice.out_trade_no.parse().map(|number: OutRefundNo| number.order));
        QuarantinedNotice {
            order_id: order.ok().map(|order| order.to_string()),
            notice: serde_json::from_str(&notice.notice)
                .unwrap_or_else(|_| serde_json::Value::String(notice.notice.clone())),
            notice_id: notice.notice_id.clone(),
            out_trade_no: notice.out_trade_no.clone(),
            transaction_id: notice.transaction_id.clone(),
            reason: notice.reason.clone(),
            received_at: views::time(notice.received_at),
            resolved_at: notice.resolved_at.map(views::time),
            resolved_by: notice.resolved_by.clone(),
            note: notice.note.clone(),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuarantineFilter {
    /// `true`: those that somebody has seen to; `false`: the others. Without it, all.
    resolved: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Quarantine {
    /// The newest first.
    notices: Vec<QuarantinedNotice>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What WeChat said and no order could use: it may be real money. For finance, operations, audit and administration.
#[utoipa::path(
    get, path = "/admin/quarantine", params(QuarantineFilter, Paging),
    responses((status = 200, body = Quarantine), (status = 503, description = "`STORAGE_UNAVAILABLE`"))
)]
async fn list_quarantine(Allowed(by): Allowed<SeeMoney>, page: Page<ListCursor, QuarantineFilter>) -> Answered {
    let resolved = page.filter.resolved;
    let mut rows =
        page.read(&by, |lists, before, count| async move { lists.quarantine(resolved, before, count).await }).await?;
    let place = |notice: &Notice| ListCursor { at_ms: notice.received_at.as_ms(), id: notice.notice_id.clone() };
    let next_cursor = page.cut(&mut rows, place);
    Ok(ok(&Quarantine { notices: rows.iter().map(QuarantinedNotice::from).collect(), next_cursor }))
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
    post, path = "/admin/quarantine/{noticeId}/resolve",
    params(("noticeId" = String, Path, description = "With `/` written as `%2F`")), request_body = ResolveNotice,
    responses((status = 200, body = QuarantinedNotice), (status = 404, description = "`NOTICE_NOT_FOUND`"))
)]
async fn resolve_notice(Allowed(by): Allowed<SettleMoney>, id: web::Path<String>, body: Body) -> Answered {
    let request: ResolveNotice = body.json()?;
    let (id, note) = (id.into_inner(), request.note.trim().to_owned());
    check_note(&note)?;
    if id.len() > NOTICE_ID_MAX || id.contains('\0') {
        return Err(no_such_notice());
    }
    let answer = by.api.engine.resolve_notice(id, by.who.username.to_string(), note).await?;
    if answer.outcome == Err(Rejection::NoticeNotFound) {
        return Err(no_such_notice());
    }
    Ok(ok(&QuarantinedNotice::from(&*by.shown(Ok(answer))?)))
}

/// In a person's words, on one line or several.
fn check_note(note: &str) -> Result<(), Problem> {
    let fits = !text::is_blank(note) && note.chars().count() <= NOTE_CHARS_MAX;
    let clean = !note.split('\n').any(text::has_controls);
    Problem::unless(fits && clean, "note", "is not 1 to 500 characters without control characters")
}

fn no_such_notice() -> Problem {
    Problem::from(Rejection::NoticeNotFound).naming("noticeId", "is no notice")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_17_a_note_says_something_that_can_be_read() {
        for note in ["given back by hand", "看過了\n\n退回", &"x".repeat(NOTE_CHARS_MAX)] {
            assert!(check_note(note).is_ok(), "{note:?}");
        }
        for note in ["", "\u{200b}", "\u{2060}\n\u{feff}", "by \u{202e}dnah", "a\r\nb", &"x".repeat(NOTE_CHARS_MAX + 1)]
        {
            assert!(check_note(note).is_err(), "{note:?}");
        }
    }
}

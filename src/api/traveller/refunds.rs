//! Refunds of a traveller.

use actix_web::web;
use deeptravel_actors::ports::ListCursor;
use deeptravel_domain::order::Refund;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::permission::{Allowed, Buy};
use crate::api::frame::query::{NoStatus, Page, Parameters};
use crate::api::frame::{Api, Problem, Routes};
use crate::api::views::refund::{self, RefundView, cursor, stored};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_refunds, list_refunds);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RefundsQuery {
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RefundList {
    /// The newest first.
    refunds: Vec<RefundView>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// `false` while the database is away: the first page then shows what is in memory.
    complete: bool,
}

/// What comes back to oneself.
#[utoipa::path(
    get,
    path = "/my/refunds",
    tag = "travellers",
    params(RefundsQuery),
    responses(
        (status = 200, body = RefundList),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_refunds(
    Allowed(by): Allowed<Buy>,
    api: Api,
    Parameters(query): Parameters<RefundsQuery>,
) -> Result<web::Json<RefundList>, Problem> {
    let page: Page<ListCursor, NoStatus> = Page::of(query.limit, query.cursor.as_deref(), None, "")?;
    let is_first = page.before.is_none();
    let (lists, traveller, count) = (api.lists.clone(), by.id, page.to_read());
    let before = page.before.clone();
    let read = async move { lists.refunds_of(traveller, before, count).await };
    let mut rows = match api.list(by.token(), read).await {
        Err(problem) if is_first && api.is_without_database(&problem) => {
            let orders = api.orders_in_memory(&by).await?;
            let mut refunds: Vec<&Refund> = orders.iter().flat_map(|order| order.shown_refunds()).collect();
            refunds.sort_by_key(|refund| std::cmp::Reverse((refund.due_at, refund.number)));
            let refunds = refunds.into_iter().take(page.limit).map(refund::view).collect();
            return Ok(web::Json(RefundList { refunds, next_cursor: None, complete: false }));
        }
        rows => rows?,
    };
    let next_cursor = page.cut(&mut rows, cursor);
    let refunds = rows.into_iter().map(stored).collect::<Result<Vec<Refund>, Problem>>()?;
    let refunds = refunds.iter().map(refund::view).collect();
    Ok(web::Json(RefundList { refunds, next_cursor, complete: true }))
}

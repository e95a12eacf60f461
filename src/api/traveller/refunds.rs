//! Refunds of a traveller.

use deeptravel_actors::ports::ListCursor;
use deeptravel_domain::order::Refund;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Buy, Own, Page, Paging, Routes, ok};
use crate::api::views::refund::{self, RefundView, cursor};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_refunds, list_refunds);
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
    get, path = "/my/refunds", params(Paging),
    responses((status = 200, body = RefundList), (status = 503, description = "`STORAGE_UNAVAILABLE`"))
)]
async fn list_refunds(Allowed(by): Allowed<Buy>, page: Page<ListCursor>) -> Answered {
    let read =
        page.read_own(&by, |lists, before, count| async move { lists.refunds_of(by.who, before, count).await }).await?;
    match read {
        Own::Stored(mut refunds) => {
            let next_cursor = page.cut(&mut refunds, cursor);
            let refunds = refunds.iter().map(refund::view).collect();
            Ok(ok(&RefundList { refunds, next_cursor, complete: true }))
        }
        Own::InMemory(orders) => {
            let mut refunds: Vec<&Refund> = orders.iter().flat_map(|order| order.shown_refunds()).collect();
            refunds.sort_by_key(|refund| std::cmp::Reverse((refund.due_at, refund.number)));
            let refunds = refunds.into_iter().take(page.limit).map(refund::view).collect();
            Ok(ok(&RefundList { refunds, next_cursor: None, complete: false }))
        }
    }
}

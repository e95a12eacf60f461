//! Refunds of a traveller.

use deeptravel_actors::ports::ListCursor;
use deeptravel_domain::order::Refund;

use crate::api::frame::{Allowed, Answered, Buy, List, Listed, Own, Page, Paging, Routes, Shape};
use crate::api::views::refund::{self, RefundView, cursor};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_refunds, list_refunds);
}

impl Listed for RefundView {
    const SHAPE: Shape = Shape { schema: "RefundList", field: "refunds", order: "The newest first.", is_own: true };
}

type RefundList = List<RefundView>;

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
            Ok(RefundList::answer(refunds.iter().map(refund::view), next_cursor))
        }
        Own::InMemory(orders) => {
            let mut refunds: Vec<&Refund> = orders.iter().flat_map(|order| order.shown_refunds()).collect();
            refunds.sort_by_key(|refund| std::cmp::Reverse((refund.due_at, refund.number)));
            Ok(RefundList::incomplete(refunds.into_iter().take(page.limit).map(refund::view)))
        }
    }
}

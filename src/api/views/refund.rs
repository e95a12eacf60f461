//! A refund on the wire.

use deeptravel_actors::ports::ListCursor;
use deeptravel_domain::ids::{OrderId, OutRefundNo};
use deeptravel_domain::order::{Refund, RefundState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::{self, MoneyView, Zoned};

/// Money on its way back to the traveller, to where it came from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Refund)]
pub struct RefundView {
    /// When WeChat gives a refund up, the money goes back under a new id, and the old one is no longer shown.
    #[schema(value_type = String)]
    pub refund_id: OutRefundNo,
    #[schema(value_type = String)]
    pub order_id: OrderId,
    pub amount: MoneyView,
    /// `due`: not accepted by WeChat yet; `processing`: accepted; `delayed`: we are seeing to it; `succeeded`: the money
    /// is back; `failed`: to be settled in another way.
    #[schema(example = "processing", pattern = "^(due|processing|delayed|succeeded|failed)$")]
    pub status: &'static str,
    /// `late`: paid after the order had ended, and its seats were gone; `duplicate`: paid more than once.
    #[schema(example = "late")]
    pub reason: &'static str,
    /// Since when the money is to go back.
    pub created_at: Zoned,
    /// When it had gone back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Zoned>,
}

/// A refund as its traveller sees it.
pub fn view(refund: &Refund) -> RefundView {
    let completed_at = if let RefundState::Succeeded { at, .. } = refund.state { Some(views::time(at)) } else { None };
    RefundView {
        refund_id: refund.number,
        order_id: refund.number.order,
        amount: refund.amount.into(),
        status: refund.state.progress().code(),
        reason: refund.reason.code(),
        created_at: views::time(refund.due_at),
        completed_at,
    }
}

/// The place of a refund in a list.
pub fn cursor(refund: &Refund) -> ListCursor {
    ListCursor { at_ms: refund.due_at.as_ms(), id: refund.number.to_string() }
}

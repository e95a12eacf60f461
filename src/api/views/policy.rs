//! What rules for refunds and changes say, as the document has it. On the wire it is the domain's.

use utoipa::ToSchema;

use super::MoneyView;

/// What comes back until then. It has one of the two ends.
#[derive(ToSchema)]
#[schema(as = RefundWindow, rename_all = "camelCase")]
#[allow(dead_code)]
pub struct RefundWindowView {
    /// So long before the departure, or what the rule's anchor is. Falls from window to window.
    #[schema(maximum = 1_052_640)]
    until_minutes_before: Option<u32>,
    /// So long after the sale. Rises, and comes first.
    #[schema(minimum = 1, maximum = 1_052_640)]
    until_minutes_after_sale: Option<u32>,
    /// Of the price, that comes back.
    #[schema(minimum = 0, maximum = 100)]
    percent: u8,
    /// Kept of what comes back, in the currency of sale.
    fee: Option<MoneyView>,
}

/// How tickets are changed for others.
#[derive(ToSchema)]
#[schema(as = ChangeRule, rename_all = "camelCase")]
#[allow(dead_code)]
pub struct ChangeView {
    allowed: bool,
    /// How often; without it, as often as one likes.
    #[schema(minimum = 1, maximum = 100)]
    max: Option<u16>,
    /// Until so long before the departure; negative: after it. Has to be there if changes are allowed.
    #[schema(minimum = -1_052_640, maximum = 1_052_640)]
    until_minutes_before: Option<i32>,
    /// Of each change, in the currency of sale.
    fee: Option<MoneyView>,
    /// A lower price is paid back. A higher one is always paid.
    refund_difference: Option<bool>,
    /// To another departure of the same day only.
    #[schema(required = false)]
    same_day: bool,
    /// `same_route`, or the codes of routes.
    scope: Option<ScopeView>,
}

#[derive(ToSchema)]
#[schema(as = ChangeScope)]
#[allow(dead_code)]
#[serde(untagged)]
enum ScopeView {
    SameRoute(String),
    Routes(Vec<String>),
}

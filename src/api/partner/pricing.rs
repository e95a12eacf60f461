//! What a unit costs, as partners see it: of a product on sale, and as it was frozen when something was sold (R-OTA-10).

use deeptravel_domain::catalogue::{Tier, UnitPrice, unit_prices};
use deeptravel_domain::package::PackageTerms;
use deeptravel_domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::Language;
use crate::api::views::{self, MoneyView, Zoned};

/// What a ticket costs, whichever size the party has: a ticket is one unit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitPriceView {
    /// `adult`, `child` or `senior`.
    customer_type: &'static str,
    /// `weekday` or `weekend_or_holiday`, by the visit date; `any` where it does not matter.
    day_type: &'static str,
    price: MoneyView,
}

impl From<UnitPrice> for UnitPriceView {
    fn from(of: UnitPrice) -> UnitPriceView {
        let UnitPrice { passenger_type, day_type, price } = of;
        UnitPriceView { customer_type: passenger_type.code(), day_type: day_type.code(), price: price.into() }
    }
}

/// The prices of a product.
pub fn of(tiers: &[Tier]) -> Vec<UnitPriceView> {
    unit_prices(tiers).into_iter().map(UnitPriceView::from).collect()
}

/// The price table as it was at an instant: what is sold later costs this, by its visit date and customer type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PricingSnapshot<'a> {
    /// The product, if its package has such a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<u32>,
    pub template_id: &'a str,
    pub version: u32,
    pub name: &'a str,
    pub pricing: Vec<UnitPriceView>,
    pub locked_at: Zoned,
}

impl<'a> PricingSnapshot<'a> {
    pub fn of(
        language: Language,
        terms: &'a PackageTerms,
        tiers: &[Tier],
        locked_at: Timestamp,
    ) -> PricingSnapshot<'a> {
        PricingSnapshot {
            product_id: terms.product,
            template_id: terms.template.as_str(),
            version: terms.version,
            name: language.of(&terms.names),
            pricing: of(tiers),
            locked_at: views::time(locked_at),
        }
    }
}

//! What partners sell: products with their prices, and what is left of each for the partner that asks (R-OTA-05, R-OTA-10). All
//! of it is read in memory: no call waits for Postgres.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::HttpRequest;
use deeptravel_domain::catalogue::{Catalogue, Template};
use deeptravel_domain::fare::DayType;
use deeptravel_domain::party::PassengerType;
use deeptravel_domain::register::Entry;
use deeptravel_domain::stock::StockId;
use deeptravel_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pricing::{self, UnitPriceView};
use crate::api::frame::{Allowed, Answered, Language, Partner, Problem, Resell, Routes, ok, parse_query, refusals};
use crate::api::views::package::{self, PackageView};

/// Most products that one call names.
const NAMED_MAX: usize = 200;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_products, list_products).mount(__path_show_inventory, show_inventory);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProductQuery {
    /// Only these, divided by commas.
    #[param(example = "106,107", pattern = "^[0-9]{1,9}(,[0-9]{1,9})*$")]
    product_ids: Option<String>,
}

/// A package, as partners sell it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProductView<'a> {
    #[serde(flatten)]
    package: PackageView<'a>,
    pricing: Vec<UnitPriceView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Products<'a> {
    /// By number. `available` is what the partner can still sell.
    products: Vec<ProductView<'a>>,
    total_count: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartnerInventory<'a> {
    /// Units that the partner can still sell, by product; one that nothing limits is not named.
    available_quantities: BTreeMap<u32, u32>,
    pricing_context: PricingContext,
    /// By product.
    product_info: BTreeMap<u32, ProductInfo<'a>>,
}

/// In what terms the prices are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PricingContext {
    #[schema(example = "CNY")]
    currency: &'static str,
    customer_types: [&'static str; PassengerType::ALL.len()],
    day_types: [&'static str; DayType::ALL.len()],
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProductInfo<'a> {
    template_id: &'a str,
    version: u32,
    name: &'a str,
    pricing: Vec<UnitPriceView>,
}

/// The products on sale, with their prices and what is left for the partner.
#[utoipa::path(
    get, path = "/api/ota/products", params(ProductQuery),
    responses((status = 200, body = Products), (status = 422, description = "`INVALID_PARAMETER`"))
)]
async fn list_products(Allowed(by): Allowed<Resell>, language: Language, request: HttpRequest) -> Answered {
    let catalogue = by.api.engine.services().catalogue.load();
    let asked = wanted(&catalogue, &request, by.api.engine.now())?;
    let products = asked.values().map(|entry| ProductView {
        package: PackageView { available: left(&by, entry), ..package::view(&catalogue, language, entry) },
        pricing: pricing::of(&entry.content.tiers),
    });
    let products: Vec<ProductView<'_>> = products.collect();
    Ok(ok(&Products { total_count: products.len(), products }))
}

/// What is left for the partner, of what is set aside for it.
#[utoipa::path(
    get, path = "/api/ota/inventory", params(ProductQuery),
    responses((status = 200, body = PartnerInventory), (status = 422, description = "`INVALID_PARAMETER`"))
)]
async fn show_inventory(Allowed(by): Allowed<Resell>, language: Language, request: HttpRequest) -> Answered {
    let catalogue = by.api.engine.services().catalogue.load();
    let asked = wanted(&catalogue, &request, by.api.engine.now())?;
    let info = asked.iter().map(|(product, entry)| {
        let (template_id, name) = (entry.content.id.as_str(), language.of(&entry.content.names));
        (
            *product,
            ProductInfo { template_id, version: entry.revision, name, pricing: pricing::of(&entry.content.tiers) },
        )
    });
    let product_info = info.collect();
    let available = asked.iter().filter_map(|(product, entry)| Some((*product, left(&by, entry)?)));
    let pricing_context = PricingContext {
        currency: catalogue.sale_currency().code(),
        customer_types: PassengerType::ALL.map(PassengerType::code),
        day_types: DayType::ALL.map(DayType::code),
    };
    Ok(ok(&PartnerInventory { available_quantities: available.collect(), pricing_context, product_info }))
}

/// The products that are asked for, by number. Errors name those that are not on sale.
fn wanted<'a>(
    catalogue: &'a Catalogue,
    request: &HttpRequest,
    now: Timestamp,
) -> Result<BTreeMap<u32, &'a Arc<Entry<Template>>>, Problem> {
    let is_sold = |entry: &&Arc<Entry<Template>>| entry.sold_until().is_none_or(|until| now < until);
    let sold = catalogue.packages().filter(is_sold).filter_map(|entry| Some((entry.product?, entry)));
    let mut products: BTreeMap<u32, _> = sold.collect();
    let query: ProductQuery = parse_query(request.query_string())?;
    let Some(named) = query.product_ids.as_deref().map(numbers).transpose()? else { return Ok(products) };
    if let Some(unknown) = named.iter().find(|product| !products.contains_key(product)) {
        return Err(invalid(format!("has {unknown}, which is not on sale")));
    }
    products.retain(|product, _| named.contains(product));
    Ok(products)
}

fn numbers(text: &str) -> Result<BTreeSet<u32>, Problem> {
    let is_plain = |number: &str| (1..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| text.parse().ok().filter(|_| is_plain(text));
    if text.split(',').nth(NAMED_MAX).is_some() {
        return Err(invalid(format!("has more than {NAMED_MAX} numbers")));
    }
    let named: Option<BTreeSet<u32>> = text.split(',').map(number).collect();
    named.ok_or_else(|| invalid("is not numbers of products, divided by commas"))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::from(refusals::INVALID_PARAMETER).naming("productIds", message)
}

/// Units that the partner can still sell; `None`: nothing limits them.
fn left(by: &Partner, entry: &Entry<Template>) -> Option<u32> {
    match by.api.engine.services().stock_board.get(&StockId::Package(entry.content.id.clone())) {
        Some(shown) => shown.left(None, &by.channel()),
        // Nobody has taken of it, and nothing is set aside.
        None => entry.stock.total.map(|_| 0),
    }
}

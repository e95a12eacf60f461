//! What a template must be like. Every refusal names the field as it is called on the wire.

use std::collections::BTreeSet;

use super::{IncludedJourney, StockLimits, Template};
use crate::catalogue::checks::{self, dates, known, line};
use crate::catalogue::{Catalogue, Zone};
use crate::fare::{DayType, PRICE_MINOR_MAX};
use crate::package::{EntitlementTerms, Validity};
use crate::party::{PARTY_MAX, PassengerType};
use crate::rejection::{Rejection, ensure};
use crate::text;

/// A service date lies at most so many days ahead.
pub const SOLD_AHEAD_DAYS_MAX: u16 = 366;

/// A ticket for each of them and each passenger: an order stays a record of modest size.
const ENTITLEMENTS_MAX: usize = 32;
/// Each is an item of the order, which has as many at most.
const JOURNEYS_MAX: usize = 4;
/// One for every type of passenger, size of a party and kind of day.
const TIERS_MAX: usize = PassengerType::ALL.len() * PARTY_MAX as usize * DayType::ALL.len();
const PLACES_MAX: usize = 64;
const LOCATIONS_MAX: usize = 64;
/// Uses of one entitlement: ten units for each of ten passengers still fit the 16 bits of a ticket.
const QUANTITY_MAX: u16 = 500;
const WEIGHT_MAX: u32 = 1_000_000;
/// Longest validity: three years.
const DAYS_MAX: u16 = 1_095;
/// A package takes at most a month.
const DAY_OFFSET_MAX: u8 = 31;
/// Of a stock: more than anybody sells, and sums of it fit 32 bits.
const UNITS_MAX: u32 = 10_000_000;
/// What SQL has as `integer` holds it.
const PRODUCT_MAX: u32 = 999_999_999;
/// Longest description, in bytes of each language.
const DESCRIPTION_LEN_MAX: usize = 4_000;
/// Codes of what administrators name (`api.md`).
const CODE_LEN_MAX: usize = 32;
/// Newest versions are kept in memory, a few kilobytes each.
const TEMPLATES_MAX: usize = 5_000;
/// Of each version memory keeps its name, some hundred bytes.
const VERSIONS_MAX: usize = 10_000;

pub fn check(template: &Template, catalogue: &Catalogue) -> Result<(), Rejection> {
    checks::names("name", &template.names)?;
    let versions = &catalogue.index.versions;
    let of_it = versions.of(&template.id).len();
    ensure(
        of_it > 0 || versions.templates() < TEMPLATES_MAX,
        "name",
        "is one more than the templates that there may be",
    )?;
    ensure(of_it < VERSIONS_MAX, "versionToken", "is one more than the versions that a template may have")?;
    for (field, text) in
        template.description.iter().flat_map(|names| [("description.zh", &names.zh), ("description.en", &names.en)])
    {
        check_description(field, text)?;
    }
    check_product(template, catalogue)?;
    check_places(template, catalogue)?;
    check_journeys(&template.journeys, catalogue)?;
    let gives_something = !template.entitlements.is_empty() || !template.journeys.is_empty();
    ensure(gives_something, "entitlements", "are missing, and so are journeys")?;
    check_entitlements(&template.entitlements, &template.zone(), catalogue)?;
    check_tiers(template, catalogue)?;
    check_stock(template.stock)?;
    dates("blackoutDates", template.blackout.iter().copied())?;
    template.refund_rules.check(catalogue)
}

fn check_description(field: &str, description: &str) -> Result<(), Rejection> {
    ensure(!text::is_blank(description), field, "is empty")?;
    ensure(description.len() <= DESCRIPTION_LEN_MAX, field, "is too long")?;
    let has_controls = description.split('\n').any(text::has_controls);
    ensure(!has_controls, field, "has control characters other than line breaks")
}

fn check_product(template: &Template, catalogue: &Catalogue) -> Result<(), Rejection> {
    let known_as = catalogue.template(template.id.as_str()).and_then(|known| known.product);
    let of_partner =
        known_as.filter(|known| template.product != Some(*known)).and_then(|known| catalogue.partner_of(known));
    let stays = of_partner.is_none();
    let partner = of_partner.map(ToString::to_string).unwrap_or_default();
    ensure(stays, "productId", format_args!("is another one: of the earlier one units are set aside for {partner}"))?;
    let Some(product) = template.product else { return Ok(()) };
    ensure((1..=PRODUCT_MAX).contains(&product), "productId", format_args!("is not between 1 and {PRODUCT_MAX}"))?;
    let taken = catalogue.template_that(|other| other.product == Some(product) && other.id != template.id);
    ensure(taken.is_none(), "productId", format_args!("is that of {}", taken.as_deref().unwrap_or_default()))
}

fn check_places(template: &Template, catalogue: &Catalogue) -> Result<(), Rejection> {
    ensure(template.places.len() <= PLACES_MAX, "places", "are too many")?;
    let mut seen = BTreeSet::new();
    for (index, place) in template.places.iter().enumerate() {
        let field = format!("places[{index}]");
        known(catalogue.registers.places.get(place), &field, place)?;
        ensure(seen.insert(place), &field, "is there twice")?;
    }
    Ok(())
}

fn check_journeys(journeys: &[IncludedJourney], catalogue: &Catalogue) -> Result<(), Rejection> {
    ensure(journeys.len() <= JOURNEYS_MAX, "journeys", format_args!("are more than {JOURNEYS_MAX}"))?;
    for (index, journey) in journeys.iter().enumerate() {
        let field = |name: &str| format!("journeys[{index}].{name}");
        let route = known(catalogue.route(journey.route.as_str()), field("routeCode"), &journey.route)?;
        let vehicle = catalogue.vehicle(route.vehicle.as_str());
        let class = vehicle.and_then(|vehicle| vehicle.seat_map.class(&journey.class));
        known(class, field("seatClass"), &journey.class)?;
        let fits = journey.stretch.is_none_or(|stretch| route.stretch(stretch.board, stretch.alight).is_some());
        ensure(fits, field("toStop"), "is not a stop of the route")?;
        let in_time = journey.day_offset <= DAY_OFFSET_MAX;
        ensure(in_time, field("dayOffset"), format_args!("is more than {DAY_OFFSET_MAX}"))?;
    }
    Ok(())
}

fn check_entitlements(entitlements: &[EntitlementTerms], zone: &Zone, catalogue: &Catalogue) -> Result<(), Rejection> {
    let few = entitlements.len() <= ENTITLEMENTS_MAX;
    ensure(few, "entitlements", format_args!("are more than {ENTITLEMENTS_MAX}"))?;
    let mut codes = BTreeSet::new();
    for (index, entitlement) in entitlements.iter().enumerate() {
        let field = |name: &str| format!("entitlements[{index}].{name}");
        ensure(entitlement.code.as_str().len() <= CODE_LEN_MAX, field("code"), "is too long")?;
        ensure(codes.insert(&entitlement.code), field("code"), "is there twice")?;
        line(&field("name.zh"), &entitlement.names.zh)?;
        line(&field("name.en"), &entitlement.names.en)?;
        let enough = (1..=QUANTITY_MAX).contains(&entitlement.quantity);
        ensure(enough, field("quantity"), format_args!("is not between 1 and {QUANTITY_MAX}"))?;
        let light = entitlement.weight <= WEIGHT_MAX;
        ensure(light, field("shareWeight"), format_args!("is more than {WEIGHT_MAX}"))?;
        check_redeemers(entitlement, field, catalogue)?;
        check_validity(&entitlement.validity, field, zone)?;
    }
    Ok(())
}

/// Whether there is who redeems it, and where. A carrier is the merchant of its own code, and a port everybody's location.
fn check_redeemers(
    entitlement: &EntitlementTerms,
    field: impl Fn(&str) -> String,
    catalogue: &Catalogue,
) -> Result<(), Rejection> {
    let EntitlementTerms { merchant, locations, .. } = entitlement;
    if let Some(merchant) = merchant {
        let code = merchant.as_str();
        let is_known = catalogue.merchant(code).is_some() || catalogue.operator(code).is_some();
        known(is_known.then_some(()), field("merchantId"), merchant)?;
    }
    ensure(locations.len() <= LOCATIONS_MAX, field("locationIds"), "are too many")?;
    let mut seen = BTreeSet::new();
    for (index, location) in locations.iter().enumerate() {
        let field = field(&format!("locationIds[{index}]"));
        ensure(seen.insert(location), &field, "is there twice")?;
        known(catalogue.has_location(location).then_some(()), &field, location)?;
        let of = catalogue.merchant_of(location).or(merchant.as_ref());
        ensure(of == merchant.as_ref() || merchant.is_none(), &field, "is another merchant's")?;
    }
    Ok(())
}

fn check_validity(validity: &Validity, field: impl Fn(&str) -> String, zone: &Zone) -> Result<(), Rejection> {
    match *validity {
        Validity::Absolute { from, until } => {
            ensure(from.begins(zone) < until.ends(zone), field("validity.until"), "is not after the beginning")
        }
        Validity::Relative { days, .. } => {
            let fits = (1..=DAYS_MAX).contains(&days);
            ensure(fits, field("validity.days"), format_args!("is not between 1 and {DAYS_MAX}"))
        }
    }
}

fn check_tiers(template: &Template, catalogue: &Catalogue) -> Result<(), Rejection> {
    ensure(template.tiers.len() <= TIERS_MAX, "tiers", format_args!("are more than {TIERS_MAX}"))?;
    let mut seen = BTreeSet::new();
    for (index, tier) in template.tiers.iter().enumerate() {
        let field = |name: &str| format!("tiers[{index}].{name}");
        let fits = (1..=PARTY_MAX).contains(&tier.min_party);
        ensure(fits, field("minParty"), format_args!("is not between 1 and {PARTY_MAX}"))?;
        let is_new = seen.insert((tier.passenger_type, tier.min_party, tier.day_type));
        ensure(is_new, field("minParty"), "is there twice for this type of passenger and day")?;
        let (sold_in, of) = (catalogue.sale_currency(), tier.price.currency);
        ensure(of == sold_in, field("price.currency"), format_args!("prices are in {sold_in}, not {of}"))?;
        let payable = (0..=PRICE_MINOR_MAX).contains(&tier.price.minor);
        ensure(payable, field("price.amount"), format_args!("is not between 0 and {PRICE_MINOR_MAX}"))?;
    }
    let has_adults = template.tiers.iter().any(|tier| tier.passenger_type == PassengerType::Adult);
    ensure(has_adults, "tiers", "have no price for adults")
}

fn check_stock(stock: StockLimits) -> Result<(), Rejection> {
    for (field, units) in [("stock.total", stock.total), ("stock.perDate", stock.per_date)] {
        let fits = units.is_none_or(|units| units <= UNITS_MAX);
        ensure(fits, field, format_args!("is more than {UNITS_MAX}"))?;
    }
    Ok(())
}

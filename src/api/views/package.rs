//! A package on the wire: as an offer to a party, or as the catalogue shows it.

use std::borrow::Cow;

use deeptravel_actors::board::Board;
use deeptravel_actors::stock_board::StockBoard;
use deeptravel_domain::catalogue::{Catalogue, IncludedJourney, Template, Tier, Trip};
use deeptravel_domain::departure::{Channel, Stretch};
use deeptravel_domain::ids::{DepartureId, LocationCode};
use deeptravel_domain::package::{Bound, EntitlementTerms, Validity};
use deeptravel_domain::register::Entry;
use deeptravel_domain::stock::StockId;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::departure;
use crate::api::frame::Language;
use crate::api::views::{self, MoneyView, Named, PromotedView, Zoned};

/// What is sold once and made of entitlements and journeys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PackageOffer)]
pub struct PackageView<'a> {
    #[schema(example = "pkg-2f0e7b61c7a4d35e90ab")]
    pub template_id: &'a str,
    /// Of the template. An order keeps what its version promised.
    pub version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 106)]
    pub product_id: Option<u32>,
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// For the searched party; only in a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<MoneyView>,
    /// What lowers this price by itself, if an order has nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotedView>,
    /// For each type of passenger and size of the party, for one unit.
    pub tiers: Vec<PackageTierView>,
    pub entitlements: Vec<PackageEntitlementView<'a>>,
    /// What it includes; each is held and ticketed like any other journey.
    pub journeys: Vec<PackageJourneyView<'a>>,
    /// Whether an order has to name a `serviceDate`.
    pub needs_service_date: bool,
    /// Service dates that are not sold.
    #[schema(value_type = Vec<Date>)]
    pub blackout_dates: Vec<Date>,
    /// Units left now; with journeys, no more than seats on the best departures. Absent where nothing limits them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u32>,
    pub refund_summary: Cow<'a, str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PackageTier)]
pub struct PackageTierView {
    /// `adult`, `child` or `senior`.
    pub passenger_type: &'static str,
    /// From this size of the party on.
    pub min_party: u16,
    /// `any`, `weekday` or `weekend_or_holiday`, by the service date.
    pub day_type: &'static str,
    pub price: MoneyView,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PackageEntitlement)]
pub struct PackageEntitlementView<'a> {
    pub code: &'a str,
    pub name: &'a str,
    /// Uses, for each passenger; of a shared one for all together.
    pub quantity: u16,
    /// The party uses it up together.
    pub shared: bool,
    pub requires_identity: bool,
    /// `gate`, `counter` or `any`.
    pub redemption_channel: &'static str,
    pub validity: ValidityView,
    /// Who redeems it. Absent: whoever may redeem the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<Named<'a>>,
    /// Where; none: at all of the merchant's.
    #[schema(value_type = Vec<String>)]
    pub location_ids: &'a [LocationCode],
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Validity)]
pub struct ValidityView {
    /// `absolute` or `relative`.
    pub kind: &'static str,
    /// A local day or an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Bound>,
    /// A local day, which is part of it, or an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub until: Option<Bound>,
    /// Until the end of so many local days after what it starts at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// `payment` or `first_use`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PackageJourney)]
pub struct PackageJourneyView<'a> {
    pub route_code: &'a str,
    /// `coach` or `ferry`.
    pub mode: &'static str,
    pub seat_class: &'a str,
    pub origin: Named<'a>,
    pub destination: Named<'a>,
    /// So many days after the service date it is boarded.
    pub day_offset: u8,
    /// Those of the service date that are sold; only where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departures: Option<Vec<IncludedDepartureView>>,
}

/// A departure that may be chosen for an included journey.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IncludedDeparture)]
pub struct IncludedDepartureView {
    #[schema(value_type = String)]
    pub departure_id: DepartureId,
    pub departs_at: Zoned,
    pub arrives_at: Zoned,
    /// Seats of its class that are free, now.
    pub available: u16,
}

/// A package without its price and what is left of it.
pub fn view<'a>(catalogue: &'a Catalogue, language: Language, entry: &'a Entry<Template>) -> PackageView<'a> {
    let template = &*entry.content;
    PackageView {
        template_id: template.id.as_str(),
        version: entry.revision,
        product_id: template.product,
        name: language.of(&template.names),
        description: template.description.as_ref().map(|names| language.of(names)),
        price: None,
        promotion: None,
        tiers: template.tiers.iter().map(tier).collect(),
        entitlements: template.entitlements.iter().map(|terms| entitlement(catalogue, language, terms)).collect(),
        journeys: template.journeys.iter().filter_map(|included| journey(catalogue, language, included)).collect(),
        needs_service_date: template.needs_service_date(),
        blackout_dates: template.blackout.iter().copied().collect(),
        available: None,
        refund_summary: views::refund_summary(catalogue, language, &template.refund_rules),
    }
}

fn tier(tier: &Tier) -> PackageTierView {
    PackageTierView {
        passenger_type: tier.passenger_type.code(),
        min_party: tier.min_party,
        day_type: tier.day_type.code(),
        price: tier.price.into(),
    }
}

fn entitlement<'a>(
    catalogue: &'a Catalogue,
    language: Language,
    terms: &'a EntitlementTerms,
) -> PackageEntitlementView<'a> {
    PackageEntitlementView {
        code: terms.code.as_str(),
        name: language.of(&terms.names),
        quantity: terms.quantity,
        shared: terms.shared,
        requires_identity: terms.requires_identity,
        redemption_channel: terms.channel.code(),
        validity: validity(&terms.validity),
        merchant: terms.merchant.as_ref().map(|merchant| views::merchant(catalogue, language, merchant)),
        location_ids: &terms.locations,
    }
}

pub fn validity(validity: &Validity) -> ValidityView {
    let kind = validity.kind().code();
    match *validity {
        Validity::Absolute { from, until } => {
            ValidityView { kind, from: Some(from), until: Some(until), days: None, starts_at: None }
        }
        Validity::Relative { days, starts, until } => {
            ValidityView { kind, from: None, until, days: Some(days), starts_at: Some(starts.code()) }
        }
    }
}

/// `None`: its route has gone, which a template that names it does not allow.
fn journey<'a>(
    catalogue: &'a Catalogue,
    language: Language,
    included: &'a IncludedJourney,
) -> Option<PackageJourneyView<'a>> {
    let route = catalogue.route(included.route.as_str())?;
    let Stretch { board, alight } = included.stretch.unwrap_or_else(|| route.whole());
    Some(PackageJourneyView {
        route_code: included.route.as_str(),
        mode: route.mode.code(),
        seat_class: included.class.as_str(),
        origin: views::stop(catalogue, language, route, board),
        destination: views::stop(catalogue, language, route, alight),
        day_offset: included.day_offset,
        departures: None,
    })
}

/// Units left for direct sale; `None`: as many as anybody wants.
pub fn units_left(stocks: &StockBoard, template: &Template, service_date: Option<Date>) -> Option<u32> {
    match stocks.get(&StockId::Package(template.id.clone())) {
        Some(shown) => shown.left(service_date, &Channel::Direct),
        // Nobody has taken of it.
        None => template.stock.total.into_iter().chain(service_date.and(template.stock.per_date)).min(),
    }
}

/// The departures of a day that are sold now, journey by journey, with the free seats of the journey's class.
pub fn departures(
    catalogue: &Catalogue,
    board: &Board,
    template: &Template,
    service_date: Date,
    now: Timestamp,
) -> Vec<Vec<IncludedDepartureView>> {
    let choices = catalogue.journeys_of(template, service_date);
    let sold = |(included, trips): (&IncludedJourney, Vec<Trip<'_>>)| {
        let trips = trips.into_iter().filter(|trip| catalogue.sellable(trip, now).is_ok());
        let shown = trips.filter_map(|trip| {
            let born = board.get(&trip.departure_id());
            let seat_map = departure::seat_map(catalogue, &trip, born.as_deref())?;
            let class = usize::from(seat_map.class(&included.class)?);
            Some(IncludedDepartureView {
                departure_id: trip.departure_id(),
                departs_at: views::route_time(Some(trip.route), trip.departs_at),
                arrives_at: views::route_time(Some(trip.route), trip.arrives_at),
                available: departure::availability(born.as_deref(), &trip, &seat_map).get(class).copied()?,
            })
        });
        shown.collect()
    };
    template.journeys.iter().zip(choices).map(sold).collect()
}

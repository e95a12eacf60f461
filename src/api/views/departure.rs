//! A departure on the wire, for one stretch: as an offer to a party, or with its seat map.

use std::borrow::Cow;
use std::sync::Arc;

use deeptravel_actors::board::Occupancy;
use deeptravel_domain::catalogue::{Catalogue, Trip};
use deeptravel_domain::departure::{SeatClass, SeatMap};
use deeptravel_domain::ids::SeatClassCode;
use deeptravel_domain::promotion::Quoted;
use deeptravel_domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::frame::Language;
use crate::api::views::{self, MoneyView, Named, PromotedView, Zoned};

/// A departure, from the stop where the party boards to the one where it leaves.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Departure)]
pub struct DepartureView<'a> {
    #[schema(example = "GZ-HKA-0830.20261224")]
    pub departure_id: String,
    pub route_code: String,
    /// `coach` or `ferry`.
    #[schema(example = "ferry")]
    pub mode: &'static str,
    pub operator: Named<'a>,
    /// Where the party boards.
    pub origin: Named<'a>,
    /// Where the party leaves.
    pub destination: Named<'a>,
    /// To be given as `boardStop` in an order.
    pub board_stop: u8,
    /// To be given as `alightStop` in an order.
    pub alight_stop: u8,
    #[schema(example = "2026-12-24T08:30:00+08:00")]
    pub departs_at: Zoned,
    pub arrives_at: Zoned,
    /// All stops of the departure.
    pub stops: Vec<StopView<'a>>,
    pub seat_classes: Vec<SeatClassView>,
    /// Only on the departure itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_map: Option<Vec<SeatView>>,
    /// What bigger parties of adults pay, promotions aside.
    pub tiers: Vec<TierView>,
    /// Under which rule we sell it.
    pub refund_summary: Cow<'a, str>,
    pub booking_closes_at: Zoned,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Stop)]
pub struct StopView<'a> {
    pub index: u8,
    pub code: &'a str,
    pub name: &'a str,
    /// Not at the first stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrives_at: Option<Zoned>,
    /// Not at the last stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departs_at: Option<Zoned>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SeatClass)]
pub struct SeatClassView {
    #[schema(example = "standard")]
    pub code: String,
    pub name: String,
    /// Seats free all along the stretch, now.
    pub available: u16,
    /// For the searched party; on the departure itself for one adult, and absent without a fare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<MoneyView>,
    /// What lowers this price by itself, if an order has nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotedView>,
}

impl SeatClassView {
    pub fn new(language: Language, class: &SeatClass, available: u16, quoted: Option<Quoted>) -> SeatClassView {
        SeatClassView {
            code: class.code.to_string(),
            name: language.of(&class.names).to_owned(),
            available,
            promotion: quoted.as_ref().and_then(PromotedView::of),
            price: quoted.map(|quoted| quoted.total.into()),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartyTierPrice)]
pub struct TierView {
    pub seat_class: String,
    pub min_party: u16,
    pub discount_percent: u8,
    /// For `minParty` adults together.
    pub price: MoneyView,
    /// For one adult of such a party.
    pub per_adult: MoneyView,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Seat)]
pub struct SeatView {
    #[schema(example = "07A")]
    pub seat_number: String,
    pub seat_class: String,
    /// From the front.
    pub row: u16,
    /// From the left; a gap is an aisle.
    pub column: u8,
    /// Free all along the stretch.
    pub free: bool,
}

/// The seats that a departure has: those it was born with or was given since, else those of its vehicle.
pub fn seat_map(catalogue: &Catalogue, trip: &Trip<'_>, born: Option<&Occupancy>) -> Option<Arc<SeatMap>> {
    born.and_then(Occupancy::seat_map).or_else(|| catalogue.seat_map(trip)).cloned()
}

/// Seats free for direct sale along a trip, class by class in the order of the seat map. A departure that nobody has
/// bought from yet has all its seats.
pub fn availability(born: Option<&Occupancy>, trip: &Trip<'_>, seat_map: &SeatMap) -> Vec<u16> {
    match born {
        Some(born) if !born.rides(trip.stretch, trip.ride()) => vec![0; seat_map.classes.len()],
        Some(born) => seat_map.classes.iter().map(|class| born.available(&class.code, trip.stretch)).collect(),
        None => class_sizes(seat_map),
    }
}

/// All seats, class by class.
pub fn class_sizes(seat_map: &SeatMap) -> Vec<u16> {
    let mut counts = vec![0_u16; seat_map.classes.len()];
    for seat in &seat_map.seats {
        if let Some(count) = counts.get_mut(usize::from(seat.class)) {
            *count += 1;
        }
    }
    counts
}

/// The seat map of a trip with what is free.
pub fn seats(born: Option<&Occupancy>, trip: &Trip<'_>, seat_map: &SeatMap) -> Vec<SeatView> {
    let free: Vec<bool> = match born {
        Some(born) if !born.rides(trip.stretch, trip.ride()) => vec![false; seat_map.seats.len()],
        Some(born) => born.seats(trip.stretch).collect(),
        None => vec![true; seat_map.seats.len()],
    };
    let class = |index: u8| seat_map.classes.get(usize::from(index)).map(|class| class.code.to_string());
    seat_map
        .seats
        .iter()
        .zip(free)
        .map(|(seat, free)| SeatView {
            seat_number: seat.label.clone(),
            seat_class: class(seat.class).unwrap_or_default(),
            row: seat.row,
            column: seat.column,
            free,
        })
        .collect()
}

/// A departure without its seat map.
pub fn view<'a>(
    catalogue: &'a Catalogue,
    language: Language,
    trip: &Trip<'a>,
    classes: impl IntoIterator<Item = SeatClassView>,
) -> DepartureView<'a> {
    let route = trip.route;
    let seat_classes: Vec<SeatClassView> = classes.into_iter().collect();
    DepartureView {
        departure_id: trip.departure_id().to_string(),
        route_code: route.code.to_string(),
        mode: route.mode.code(),
        operator: views::operator(catalogue, language, &route.operator),
        origin: views::stop(catalogue, language, route, trip.stretch.board),
        destination: views::stop(catalogue, language, route, trip.stretch.alight),
        board_stop: trip.stretch.board,
        alight_stop: trip.stretch.alight,
        departs_at: views::route_time(Some(route), trip.departs_at),
        arrives_at: views::route_time(Some(route), trip.arrives_at),
        stops: stops(catalogue, language, trip),
        tiers: tiers(catalogue, trip, &seat_classes),
        seat_classes,
        seat_map: None,
        refund_summary: views::refund_summary(catalogue, language, &route.refund_rules),
        booking_closes_at: views::route_time(Some(route), trip.booking_closes_at()),
    }
}

fn stops<'a>(catalogue: &'a Catalogue, language: Language, trip: &Trip<'a>) -> Vec<StopView<'a>> {
    let route = trip.route;
    let last = route.stops.len().saturating_sub(1);
    route
        .stops
        .iter()
        .zip(0_u8..)
        .map(|(stop, index)| {
            let Named { code, name } = views::port(catalogue, language, &stop.port);
            let call = trip.call(index);
            let at = |at: Timestamp| views::route_time(Some(route), at);
            let arrives_at = call.filter(|_| index > 0).map(|call| at(call.arrives_at));
            let departs_at = call.filter(|_| usize::from(index) < last).map(|call| at(call.departs_at));
            StopView { index, code, name, arrives_at, departs_at }
        })
        .collect()
}

/// Classes without a fare for adults have no tiers to show.
pub fn tiers(catalogue: &Catalogue, trip: &Trip<'_>, classes: &[SeatClassView]) -> Vec<TierView> {
    let quotes = |class: &SeatClassView| {
        let code: SeatClassCode = class.code.parse().ok()?;
        catalogue.tier_quotes(trip, &code).ok()
    };
    classes
        .iter()
        .flat_map(|class| {
            quotes(class).into_iter().flatten().map(|tier| TierView {
                seat_class: class.code.clone(),
                min_party: tier.min_party,
                discount_percent: tier.discount_percent,
                price: tier.total.into(),
                per_adult: tier.per_adult.into(),
            })
        })
        .collect()
}

//! Fares of routes, with their party tiers, lock minutes and blackout dates: one revision together (R-ADMIN-03).

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::web::Path;
use deeptravel_domain::catalogue::Key;
use deeptravel_domain::fare::{Fare, FareTable, PartyTier, SEAT_LOCK_MINUTES_DEFAULT};
use deeptravel_domain::ids::RouteCode;
use deeptravel_domain::register::{Entity as _, Standing};
use deeptravel_domain::rejection::Rejection;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::configuration::{self, History, Restore};
use crate::api::frame::{
    Allowed, Answered, Api, Body, Configure, OptionalKey, Page, Paging, Problem, Routes, SeeConfiguration, ok,
};
use crate::api::views::{self, MoneyView, Zoned};

/// A table of as many fares as there may be, each with everything.
const FARES_BYTES_MAX: usize = 2 * 1024 * 1024;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_fares, list_fares)
        .mount(__path_put_fares, put_fares)
        .mount(__path_show_fares, show_fares)
        .mount(__path_show_history, show_history)
        .mount(__path_restore_fares, restore_fares);
}

/// What a seat costs a passenger of one type, and when that holds. A condition left out always holds.
#[derive(ToSchema)]
#[schema(as = Fare, rename_all = "camelCase")]
#[allow(dead_code)] // the document alone reads it: on the wire it is the domain's `Fare`
struct FareView {
    #[schema(pattern = "^(adult|child|senior)$")]
    passenger_type: String,
    #[schema(example = "standard")]
    seat_class: Option<String>,
    /// Numbers of stops, from 0. One needs the other.
    from_stop: Option<u8>,
    to_stop: Option<u8>,
    #[schema(pattern = "^(any|weekday|weekend_or_holiday)$", default = "any")]
    day_type: Option<String>,
    /// Local dates of boarding, both included. One needs the other.
    date_from: Option<Date>,
    date_to: Option<Date>,
    /// Local times of boarding, until but without the second; may go over midnight. One needs the other.
    #[schema(example = "23:30", pattern = "^[0-9]{2}:[0-9]{2}$")]
    time_from: Option<String>,
    #[schema(example = "06:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    time_to: Option<String>,
    /// In the currency of sale.
    price: MoneyView,
    /// As published, when that was another currency.
    source_price: Option<MoneyView>,
    /// Nobody published it.
    assumed: Option<bool>,
}

/// From this size of a party on, so much less on every line.
#[derive(ToSchema)]
#[schema(as = PartyTier, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct PartyTierView {
    #[schema(minimum = 2, maximum = 10)]
    min_party: u16,
    #[schema(minimum = 0, maximum = 100)]
    discount_percent: u8,
}

/// The whole revision: what is left out has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewFares {
    #[schema(value_type = Vec<FareView>, max_items = 5000)]
    fares: Vec<Fare>,
    /// By rising size.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PartyTierView>>, max_items = 10)]
    party_tiers: Vec<PartyTier>,
    /// For how long the seats of an unpaid order are kept.
    #[schema(minimum = 1, maximum = 60, default = 10)]
    seat_lock_minutes: Option<u16>,
    /// Local dates of boarding that are not sold, each once.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Date>>, max_items = 3000)]
    blackout_dates: Vec<Date>,
}

/// A revision of fares that is in force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RouteFares<'a> {
    route_code: &'a str,
    revision: u32,
    effective_from: Zoned,
    /// There is no route of that code yet: nothing is sold.
    draft: bool,
    #[schema(value_type = Vec<FareView>)]
    fares: &'a [Fare],
    #[schema(value_type = Vec<PartyTierView>)]
    party_tiers: &'a [PartyTier],
    seat_lock_minutes: u16,
    #[schema(value_type = Vec<Date>)]
    blackout_dates: &'a BTreeSet<Date>,
}

/// The fares of a route as a list has them: tables may be large.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RouteFaresSummary<'a> {
    route_code: &'a str,
    revision: u32,
    effective_from: Zoned,
    /// There is no route of that code yet: nothing is sold.
    draft: bool,
    /// How many there are.
    fares: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RouteFaresList<'a> {
    /// By code.
    routes: Vec<RouteFaresSummary<'a>>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The revision that stands after a write.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FaresWritten {
    #[schema(value_type = String)]
    route_code: RouteCode,
    revision: u32,
    effective_from: Zoned,
    /// It was so already, and no revision was made.
    idempotent: bool,
}

fn answer(route_code: RouteCode, standing: Standing) -> HttpResponse {
    let Standing { revision, since, changed } = standing;
    metrics::counter!("admin_routes_updated_total").increment(u64::from(changed));
    ok(&FaresWritten { route_code, revision, effective_from: views::time(since), idempotent: !changed })
}

/// A code that has fares, or had some.
fn known(api: &Api, path: &str) -> Result<RouteCode, Problem> {
    let catalogue = api.engine.services().catalogue.load();
    let route = path.parse().ok().filter(|route: &RouteCode| catalogue.registers().fares.entry(route).is_some());
    route.ok_or_else(|| unknown(path))
}

fn unknown(path: &str) -> Problem {
    let unknown = Rejection::NotConfigured { entity: FareTable::NAME, id: path.to_owned() };
    Problem::from(unknown).naming("routeCode", "has no fares")
}

/// The fares in force.
#[utoipa::path(get, path = "/admin/routes/fares", params(Paging), responses((status = 200, body = RouteFaresList)))]
async fn list_fares(_: Allowed<SeeConfiguration>, api: Api, page: Page<RouteCode>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    let (fares, next_cursor) = page.of_memory(catalogue.registers().fares.entries(), |entry| entry.route.clone());
    let routes = fares.into_iter().map(|entry| RouteFaresSummary {
        route_code: entry.route.as_str(),
        revision: entry.revision,
        effective_from: views::time(entry.since),
        draft: catalogue.route(entry.route.as_str()).is_none(),
        fares: entry.fares.len(),
    });
    Ok(ok(&RouteFaresList { routes: routes.collect(), next_cursor }))
}

/// Puts the fares of a route, in force for the very next search. For a code without a route they wait for it. Orders that hold
/// seats keep their price.
#[utoipa::path(
    put, path = "/admin/routes/fares/{routeCode}", params(("routeCode" = String, Path), OptionalKey),
    request_body = NewFares,
    responses(
        (status = 200, body = FaresWritten),
        (status = 422, description = "`VALIDATION_ERROR`, `IDEMPOTENCY_MISMATCH`; the fares in force stay"),
    )
)]
async fn put_fares(
    Allowed(by): Allowed<Configure>,
    path: Path<String>,
    key: OptionalKey,
    body: Body<FARES_BYTES_MAX>,
) -> Answered {
    let new: NewFares = body.json()?;
    let route: RouteCode = path.parse().map_err(|_| Problem::field("routeCode", "is no code"))?;
    let blackout: BTreeSet<Date> = new.blackout_dates.iter().copied().collect();
    Problem::unless(blackout.len() == new.blackout_dates.len(), "blackoutDates", "names a date twice")?;
    let table = FareTable {
        route: route.clone(),
        fares: new.fares,
        party_tiers: new.party_tiers,
        seat_lock_minutes: new.seat_lock_minutes.unwrap_or(SEAT_LOCK_MINUTES_DEFAULT),
        blackout,
    };
    Ok(answer(route, configuration::put(&by, key, table).await?))
}

/// The fares of a route.
#[utoipa::path(
    get, path = "/admin/routes/fares/{routeCode}",
    responses((status = 200, body = RouteFares), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn show_fares(_: Allowed<SeeConfiguration>, api: Api, path: Path<String>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    let entry = catalogue.registers().fares.entry(path.as_str()).filter(|entry| !entry.withdrawn);
    let entry = entry.ok_or_else(|| unknown(&path))?;
    let FareTable { route, fares, party_tiers, seat_lock_minutes, blackout } = &*entry.content;
    Ok(ok(&RouteFares {
        route_code: route.as_str(),
        revision: entry.revision,
        effective_from: views::time(entry.since),
        draft: catalogue.route(route.as_str()).is_none(),
        fares,
        party_tiers,
        seat_lock_minutes: *seat_lock_minutes,
        blackout_dates: blackout,
    }))
}

/// The revisions of a route's fares.
#[utoipa::path(
    get, path = "/admin/routes/fares/{routeCode}/history", params(("routeCode" = String, Path), Paging),
    responses(
        (status = 200, body = History),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn show_history(Allowed(by): Allowed<SeeConfiguration>, path: Path<String>, page: Page<u64>) -> Answered {
    let route = known(&by.api, &path)?;
    configuration::history::<FareTable>(&by, &route, &page).await
}

/// Makes what an earlier revision held a new one.
#[utoipa::path(
    post, path = "/admin/routes/fares/{routeCode}/restore", params(("routeCode" = String, Path), OptionalKey),
    request_body = Restore,
    responses(
        (status = 200, body = FaresWritten),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 409, description = "`NO_EARLIER_REVISION`"),
        (status = 422, description = "`VALIDATION_ERROR`: it does not fit any more; the fares in force stay"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn restore_fares(Allowed(by): Allowed<Configure>, path: Path<String>, key: OptionalKey, body: Body) -> Answered {
    let wanted = body.json()?;
    let route = known(&by.api, &path)?;
    let standing = configuration::restore(&by, key, Key::FareTable(route.clone()), &wanted).await?;
    Ok(answer(route, standing))
}

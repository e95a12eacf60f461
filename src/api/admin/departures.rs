//! Single departures (R-ADMIN-04): what is held and sold, another vehicle or capacity, what is set aside for partners, and
//! whether they are sold.

use actix_web::web;
use deeptravel_actors::outage::Answer;
use deeptravel_actors::overriding::{DeparturePatch, SeatsWanted};
use deeptravel_domain::catalogue::{ALLOTMENTS_MAX, Names};
use deeptravel_domain::departure::{Channel, ClassCapacity, SEATS_MAX};
use deeptravel_domain::ids::{DepartureId, RouteCode, SeatClassCode, VehicleCode};
use deeptravel_domain::inventory::{Allotment, Inventory, PoolUse};
use deeptravel_domain::register::Standing;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::configuration::{NamesView, author};
use crate::api::frame::{
    Allowed, Answered, Api, Body, Configure, OptionalKey, Page, Paging, Permission, Problem, Routes, SeeConfiguration,
    Staff, StopSale, ok, refusals,
};
use crate::api::views::{self, Zoned};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_list_departures, list_departures)
        .mount(__path_alter_departure, alter_departure)
        .mount(__path_set_allotments, set_allotments);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeparturesFilter {
    /// One route's.
    #[param(value_type = String)]
    route_code: RouteCode,
    /// The service date: the one in their ids, also of those that leave after midnight.
    date: Date,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DepartureList {
    /// By id.
    departures: Vec<DepartureRoom>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A departure as those see it who administer it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DepartureRoom {
    #[schema(example = "GZ-HKA-0830.20261224")]
    departure_id: String,
    route_code: String,
    /// `on_sale`, `stopped` or `cancelled`.
    #[schema(example = "on_sale")]
    status: &'static str,
    /// Of what was set for this departure alone; 0: nothing.
    version: u32,
    /// The vehicle that was set for it; without it, its route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    vehicle: Option<String>,
    /// Whether its times are others than its timetable's.
    retimed: bool,
    /// The times in force, stop by stop.
    calls: Vec<CallView>,
    classes: Vec<ClassRoom>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Call)]
struct CallView {
    arrives_at: Zoned,
    departs_at: Zoned,
}

/// The seats of a class. Each counts once: as sold if it is sold somewhere on the way, else as held, else as free.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ClassRoom {
    #[schema(example = "standard")]
    code: String,
    #[schema(value_type = NamesView)]
    name: Names,
    capacity: u16,
    held: u16,
    sold: u16,
    /// All the way.
    free: u16,
    channels: Vec<ChannelRoom>,
}

/// The seats of a class that one channel sells.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChannelRoom {
    #[schema(example = "direct")]
    channel: String,
    seats: u16,
    held: u16,
    sold: u16,
    free: u16,
}

/// What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DepartureAlteration {
    /// It runs instead, with all its seats as they are configured now. Not together with `classes`.
    #[schema(value_type = Option<String>)]
    vehicle: Option<VehicleCode>,
    /// So many seats are sold of these classes: of those that its vehicle has the front-most, and those in use.
    #[schema(min_items = 1, max_items = 32)]
    classes: Option<Vec<CapacityBody>>,
    /// `stopped`: no new orders until it is `on_sale` again. Unpaid ones may be paid.
    #[schema(pattern = "^(on_sale|stopped)$")]
    status: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClassCapacity)]
struct CapacityBody {
    #[schema(value_type = String, example = "standard")]
    code: SeatClassCode,
    #[schema(maximum = 4096)]
    capacity: u16,
}

/// All of a departure's allotments: what is not named is given back to direct sale.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Allotments {
    /// Each channel and class once.
    #[schema(max_items = 512)]
    allotments: Vec<AllotmentBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Allotment)]
struct AllotmentBody {
    /// A partner's: `ota:` and its id.
    #[schema(example = "ota:klook")]
    channel: String,
    #[schema(value_type = String, example = "standard")]
    seat_class: SeatClassCode,
    #[schema(maximum = 4096)]
    seats: u16,
}

/// What a write made of a departure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DepartureWritten {
    departure_id: String,
    version: u32,
    since: Zoned,
    /// It was so already.
    idempotent: bool,
}

fn no_such_departure() -> Problem {
    Problem::from(Rejection::DepartureNotFound).naming("departureId", "is no departure")
}

/// The departures of a route on a day, with what is held, sold and free of every class and channel, also those that were
/// sold and do not run any more by the timetable. For all at a desk.
#[utoipa::path(
    get, path = "/admin/departures", params(DeparturesFilter, Paging),
    responses(
        (status = 200, body = DepartureList),
        (status = 503, description = "`STORAGE_UNAVAILABLE`: of a departure that is over"),
    )
)]
async fn list_departures(
    _: Allowed<SeeConfiguration>,
    api: Api,
    page: Page<DepartureId, DeparturesFilter>,
) -> Answered {
    let DeparturesFilter { route_code, date } = &page.filter;
    let services = api.engine.services();
    let catalogue = services.catalogue.load_full();
    Problem::unless(catalogue.route(route_code.as_str()).is_some(), "routeCode", "is no route")?;
    let was_born = |id: &DepartureId| services.board.get(id).is_some();
    let all = catalogue.departures_on(route_code, *date).into_iter();
    let ids = all.filter(|(id, runs)| *runs || was_born(id)).map(|(id, _)| id);
    let (ids, next_cursor) = page.of_memory(ids, DepartureId::clone);
    let mut departures = Vec::with_capacity(ids.len());
    for id in ids {
        departures.extend(room_of(&api, id).await?);
    }
    Ok(ok(&DepartureList { departures, next_cursor }))
}

/// A departure that nobody has touched is not made for being looked at. `None`: there is none any more.
async fn room_of(api: &Api, id: DepartureId) -> Result<Option<DepartureRoom>, Problem> {
    let services = api.engine.services();
    let catalogue = services.catalogue.load_full();
    let now = api.engine.now();
    let spec = catalogue.departure_spec(&id).filter(|spec| now < spec.departs_at());
    let unborn = spec.filter(|_| services.board.get(&id).is_none()).and_then(|spec| Inventory::unborn(spec).ok());
    let room = match unborn {
        Some(unborn) => Some(DepartureRoom::of(&unborn, now)),
        None => api.engine.look_at_departure(&id, DepartureRoom::of).await?,
    };
    let differs = catalogue.registers().overrides.entry(&id);
    Ok(room.map(|room| DepartureRoom {
        version: differs.map_or(0, |of| of.revision),
        vehicle: differs.and_then(|of| of.fitting.as_ref()).map(|fitting| fitting.vehicle.to_string()),
        retimed: differs.is_some_and(|of| !of.calls.is_empty()),
        ..room
    }))
}

impl DepartureRoom {
    /// As the departure alone knows it.
    fn of(inventory: &Inventory, now: Timestamp) -> DepartureRoom {
        let spec = inventory.spec();
        let pools = inventory.pools(now);
        let calls = spec.calls.iter();
        DepartureRoom {
            departure_id: spec.id.to_string(),
            route_code: spec.route.to_string(),
            status: inventory.status().code(),
            version: 0,
            vehicle: None,
            retimed: false,
            calls: calls
                .map(|call| CallView {
                    arrives_at: views::time(call.arrives_at),
                    departs_at: views::time(call.departs_at),
                })
                .collect(),
            classes: pools.chunk_by(|a, b| a.class == b.class).filter_map(ClassRoom::of).collect(),
        }
    }
}

impl ClassRoom {
    fn of(pools: &[PoolUse<'_>]) -> Option<ClassRoom> {
        let class = pools.first()?.class;
        let sum = |of: fn(&PoolUse<'_>) -> u16| pools.iter().map(of).sum::<u16>();
        let (capacity, held, sold) = (sum(|of| of.seats), sum(|of| of.held), sum(|of| of.sold));
        let free = capacity.saturating_sub(held + sold);
        let channel = |of: &PoolUse<'_>| ChannelRoom {
            channel: of.channel.to_string(),
            seats: of.seats,
            held: of.held,
            sold: of.sold,
            free: of.seats.saturating_sub(of.held + of.sold),
        };
        let mut pools: Vec<&PoolUse<'_>> = pools.iter().collect();
        pools.sort_by_key(|of| of.channel);
        let channels = pools.into_iter().map(channel).collect();
        Some(ClassRoom {
            code: class.code.to_string(),
            name: class.names.clone(),
            capacity,
            held,
            sold,
            free,
            channels,
        })
    }
}

/// Stops or resumes the sale of a departure, which operations may, too, or gives it another vehicle or capacity, which only
/// administrators may. All of it or nothing: `BELOW_USE` names what is held and sold.
#[utoipa::path(
    patch, path = "/admin/departures/{departureId}",
    params(("departureId" = String, Path, description = "Born or not"), OptionalKey),
    request_body = DepartureAlteration,
    responses(
        (status = 200, body = DepartureWritten),
        (status = 404, description = "`DEPARTURE_NOT_FOUND`"),
        (status = 409, description = "`BELOW_USE`, `DEPARTURE_CANCELLED`"),
        (status = 422, description = "Also `IDEMPOTENCY_MISMATCH`"),
    )
)]
async fn alter_departure(
    Allowed(by): Allowed<StopSale>,
    id: web::Path<String>,
    key: OptionalKey,
    body: Body,
) -> Answered {
    let DepartureAlteration { vehicle, classes, status } = body.json()?;
    if (vehicle.is_some() || classes.is_some()) && !Permission::Configure.is_of_account(&by.who) {
        return Err(refusals::FORBIDDEN.saying("the account may stop and resume sales, and no more"));
    }
    let capacities = |classes: Vec<CapacityBody>| {
        let capacities = classes.into_iter().enumerate().map(|(index, CapacityBody { code, capacity })| {
            check_seats(format!("classes[{index}].capacity"), capacity)?;
            Ok(ClassCapacity { code, capacity })
        });
        capacities.collect::<Result<Vec<_>, Problem>>()
    };
    let seats = match (vehicle, classes) {
        (Some(vehicle), None) => Some(SeatsWanted::Vehicle(vehicle)),
        (None, Some(classes)) if classes.is_empty() => return Err(Problem::field("classes", "are none")),
        (None, Some(classes)) => Some(SeatsWanted::Capacities(capacities(classes)?)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(Problem::field("classes", "are not given together with a vehicle")),
    };
    let stopped = match status.as_deref() {
        None => None,
        Some("on_sale") => Some(false),
        Some("stopped") => Some(true),
        Some(_) => return Err(Problem::field("status", "is neither on_sale nor stopped")),
    };
    Problem::unless(
        seats.is_some() || stopped.is_some(),
        "status",
        "or vehicle or classes: something has to be given",
    )?;
    let id: DepartureId = id.parse().map_err(|_| no_such_departure())?;
    let patch = DeparturePatch { seats, stopped };
    let written = by.api.engine.alter_departure(id.clone(), patch, author(&by, key)).await;
    answer(&by, &id, written)
}

/// Sets seats of a departure aside for partners, whole seats from the back. Seats in use do not change hands: then `BELOW_USE`
/// names what is held and sold, and nothing changes.
#[utoipa::path(
    put, path = "/admin/departures/{departureId}/allotments",
    params(("departureId" = String, Path, description = "Born or not"), OptionalKey),
    request_body = Allotments,
    responses(
        (status = 200, body = DepartureWritten),
        (status = 404, description = "`DEPARTURE_NOT_FOUND`"),
        (status = 409, description = "`BELOW_USE`"),
        (status = 422, description = "Also `IDEMPOTENCY_MISMATCH`"),
    )
)]
async fn set_allotments(
    Allowed(by): Allowed<Configure>,
    id: web::Path<String>,
    key: OptionalKey,
    body: Body,
) -> Answered {
    let Allotments { allotments } = body.json()?;
    Problem::unless(allotments.len() <= ALLOTMENTS_MAX, "allotments", "are too many")?;
    let allotments = allotments.into_iter().enumerate().map(|(index, of)| {
        let channel: Result<Channel, _> = of.channel.parse();
        let field = format!("allotments[{index}].channel");
        check_seats(format!("allotments[{index}].seats"), of.seats)?;
        let channel = channel.map_err(|_| Problem::field(field, "is no channel: ota: and the partner's id"))?;
        Ok(Allotment { channel, class: of.seat_class, seats: of.seats })
    });
    let allotments = allotments.collect::<Result<Vec<Allotment>, Problem>>()?;
    let id: DepartureId = id.parse().map_err(|_| no_such_departure())?;
    let written = by.api.engine.set_allotments(id.clone(), allotments, author(&by, key)).await;
    answer(&by, &id, written)
}

fn check_seats(field: String, seats: u16) -> Result<(), Problem> {
    if usize::from(seats) > SEATS_MAX {
        return Err(Problem::field(field, format!("is more than {SEATS_MAX}")));
    }
    Ok(())
}

fn answer(by: &Staff, id: &DepartureId, written: Answer<Standing>) -> Answered {
    let is_none = written.as_ref().is_ok_and(|reply| reply.outcome == Err(Rejection::DepartureNotFound));
    let shown = by.shown(written).map_err(|problem| if is_none { no_such_departure() } else { problem });
    let Standing { revision, since, changed } = shown?;
    Ok(ok(&DepartureWritten {
        departure_id: id.to_string(),
        version: revision,
        since: views::time(since),
        idempotent: !changed,
    }))
}

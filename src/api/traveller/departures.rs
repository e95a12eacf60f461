//! One departure with its seat map.

use actix_web::{HttpRequest, web};
use deeptravel_domain::catalogue::RouteStatus;
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::DepartureId;
use deeptravel_domain::party::Party;
use deeptravel_domain::rejection::Rejection;
use serde::Deserialize;

use super::search::Live;
use crate::api::frame::{Allowed, Answered, Api, Language, Problem, Public, Routes, ok, parse_query};
use crate::api::views::departure::{self, DepartureView, SeatClassView};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_show_departure, show_departure);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DepartureQuery {
    /// Whose seats: only `direct` so far.
    channel: Option<String>,
    /// Stop where the party boards; the first without it.
    board_stop: Option<u8>,
    /// Stop where the party leaves; the last without it.
    alight_stop: Option<u8>,
}

fn no_such_departure() -> Problem {
    Problem::from(Rejection::DepartureNotFound).naming("departureId", "is no departure on sale")
}

/// A departure: stops, prices for one adult, and which seats are free.
#[utoipa::path(
    get, path = "/departures/{departureId}",
    params(("departureId" = String, Path, description = "As found by the search"), DepartureQuery),
    responses((status = 200, body = DepartureView), (status = 404, description = "`DEPARTURE_NOT_FOUND`"))
)]
async fn show_departure(
    _: Allowed<Public>,
    api: Api,
    language: Language,
    id: web::Path<String>,
    request: HttpRequest,
) -> Answered {
    let query: DepartureQuery = parse_query(request.query_string())?;
    let id: DepartureId = id.parse().map_err(|_| no_such_departure())?;
    let channel = query.channel.as_deref().map(str::parse).transpose();
    Problem::unless(matches!(channel, Ok(None | Some(Channel::Direct))), "channel", "is not direct")?;
    let services = api.engine.services();
    let catalogue = services.catalogue.load();
    let (_, route, _) = catalogue.departure(&id).ok_or_else(no_such_departure)?;
    if route.status != RouteStatus::OnSale || catalogue.is_cancelled(&id) {
        return Err(no_such_departure());
    }
    let whole = route.whole();
    let (board, alight) = (query.board_stop.unwrap_or(whole.board), query.alight_stop.unwrap_or(whole.alight));
    let stretch = route.stretch(board, alight);
    let stretch = stretch.ok_or_else(|| Problem::field("alightStop", "is not a later stop of the departure"))?;
    let trip = catalogue.trip(&id, stretch).ok_or_else(no_such_departure)?;
    let born = services.board.get(&id);
    let seat_map = departure::seat_map(&catalogue, &trip, born.as_deref()).ok_or_else(no_such_departure)?;

    let live = Live { seats: &services.board, units: &services.stock_board };
    let in_force = live.in_force(&catalogue, api.engine.now());
    let free = departure::availability(born.as_deref(), &trip, &seat_map);
    let classes = seat_map.classes.iter().zip(free).map(|(class, available)| {
        let quoted =
            Party::new(1, 0, 0).and_then(|adult| catalogue.quote_with(&in_force, &trip, &class.code, adult).ok());
        SeatClassView::new(language, class, available, quoted)
    });
    let view = departure::view(&catalogue, language, &trip, classes);
    let seats = departure::seats(born.as_deref(), &trip, &seat_map);
    Ok(ok(&DepartureView { seat_map: Some(seats), ..view }))
}

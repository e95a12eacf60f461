//! The search (R-SEARCH-01 to R-SEARCH-07): timetable and fares from the catalogue's snapshot, seats left from memory.
//!
//! [`offers`] finds what there is and writes the answer, [`answers`] keeps it for the next who asks the same.

mod answers;
mod calendar;
mod offers;
mod packages;
#[cfg(test)]
mod tests;
mod text;
mod wanted;

use std::sync::Arc;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::api::frame::{Allowed, Answered, Api, Language, Public, Routes, Slot, ok, parse_query, refusals};
use calendar::{CalendarQuery, Month};
use wanted::{SearchAnswer, SearchQuery};

pub use answers::{Answers, Live};

/// What searches need of the parts, and what they keep, for all workers.
pub type Search = Arc<(Slot, Answers)>;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_search, search).mount(__path_show_month, show_month);
}

/// Departures between two places on a day that the party can buy now.
#[utoipa::path(get, path = "/travel/search", params(SearchQuery), responses((status = 200, body = SearchAnswer)))]
async fn search(_: Allowed<Public>, request: HttpRequest, language: Language) -> Answered {
    let search: &Search = request.app_data().ok_or(refusals::STARTING)?;
    let (slot, answers) = &**search;
    let api = slot.api()?;
    let services = api.engine.services();
    let (catalogue, now) = (services.catalogue.load(), api.engine.now());
    let live = Live { seats: &services.board, units: &services.stock_board };
    // Parsed only where these words are new.
    let answer = answers.search(&catalogue, live, now, language, request.query_string())?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json"))).body(answer))
}

/// The days of a month on which the party finds seats between two places, and from what price.
#[utoipa::path(get, path = "/travel/calendar", params(CalendarQuery), responses((status = 200, body = Month)))]
async fn show_month(_: Allowed<Public>, api: Api, request: HttpRequest) -> Answered {
    let query: CalendarQuery = parse_query(request.query_string())?;
    let services = api.engine.services();
    let (catalogue, now) = (services.catalogue.load(), api.engine.now());
    let live = Live { seats: &services.board, units: &services.stock_board };
    Ok(ok(&calendar::month(&catalogue, live, now, query)?))
}

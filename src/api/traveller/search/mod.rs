//! The search (R-SEARCH-01 to R-SEARCH-07): timetable and fares from the catalogue's snapshot, seats left from memory.
//!
//! [`offers`] finds what there is and writes the answer, [`answers`] keeps it for the next who asks the same.

mod answers;
mod offers;
#[cfg(test)]
mod tests;
mod wanted;

use std::sync::Arc;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::api::frame::{Allowed, Answered, Language, Public, Routes, Slot, refusals};
use wanted::{SearchAnswer, SearchQuery};

pub use answers::Answers;

/// What searches need of the parts, and what they keep, for all workers.
pub type Search = Arc<(Slot, Answers)>;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_search, search);
}

/// Departures between two places on a day that the party can buy now.
#[utoipa::path(get, path = "/travel/search", params(SearchQuery), responses((status = 200, body = SearchAnswer)))]
async fn search(_: Allowed<Public>, request: HttpRequest, language: Language) -> Answered {
    let search: &Search = request.app_data().ok_or(refusals::STARTING)?;
    let (slot, answers) = &**search;
    let api = slot.api()?;
    let services = api.engine.services();
    let (catalogue, now) = (services.catalogue.load(), api.engine.now());
    // Parsed only where these words are new.
    let answer = answers.search(&catalogue, &services.board, now, language, request.query_string())?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json"))).body(answer))
}

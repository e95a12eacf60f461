//! The HTTP layer: parses requests, sends them to their owners, maps the answers (`api.md`). Every decision is the
//! owners'; every `if` on a business word belongs in the domain.
//!
//! A folder for each audience, a file for each of its areas. They stand on [`frame`] and show the same things by
//! [`views`]; none knows another. [`serve`] is called by the composition root. Absent on purpose: SQL (lists come through
//! a port), the metrics recorder (installed by the process), CORS (the pages come from the same origin).

mod admin;
mod callbacks;
pub mod frame;
mod gate;
mod operations;
mod partner;
#[cfg(test)]
pub mod tests;
mod traveller;
pub mod views;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server;

pub use frame::{
    ApiParts, CONNECTIONS_BESIDE, Certificate, Language, Listen, OtaSettings, PASSWORD_CHARS_MIN, ServerSettings,
    SessionSettings, Slot, check_login, hash_password, sha256,
};
/// For whoever measures the search alone.
pub use traveller::search::{Answers, Live};

use frame::Routes;
use traveller::search::Search;

/// Listens and answers, before the parts are there, too. Await the server, or spawn it; its handle stops it.
pub fn serve(listen: Listen, slot: &Slot) -> std::io::Result<(Server, SocketAddr)> {
    frame::serve(listen, slot, routes(slot))
}

/// The OpenAPI document of everything that is mounted.
pub fn document() -> utoipa::openapi::OpenApi {
    frame::document(routes(&Slot::default()))
}

/// Every audience. Paths are compared in this order, and one with a variable part is a regular expression, so what is asked
/// most stands before all of them, and administration behind.
fn routes(slot: &Slot) -> impl Fn(&mut Routes<'_, '_>) + Clone + Send + 'static {
    let looks = gate::counter::Looks::default();
    let search: Search = Arc::new((slot.clone(), Answers::default()));
    move |routes| {
        routes
            .keeping(search.clone())
            .keeping(looks.clone())
            .audience("gate", gate::scan::routes)
            .audience("travellers", traveller::orders::hottest)
            .audience("travellers", traveller::search::routes)
            .audience("travellers", traveller::routes)
            .audience("callbacks", callbacks::routes)
            .audience("partners", |routes| {
                routes.below("/api/ota", partner::routes);
            })
            .audience("gate", gate::routes)
            .audience("operations", operations::routes)
            .audience("administration", |routes| {
                routes.below("/admin", admin::routes);
            });
    }
}

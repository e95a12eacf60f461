//! The OpenAPI document: made from the mounted routes, so that none can be missing.

use actix_web::App;
use actix_web::dev::ResourceDef;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_actix_web::AppExt as _;

use super::problem::ProblemDocument;

/// Security scheme of travellers' and staff's tokens.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "DeepTravel",
        description = "Seats on coaches and ferries between mainland China and Hong Kong: search, hold, pay, ride.\n\n\
            Times of a departure have the offset of its route; all other times have +08:00. Amounts are in minor \
            units. Errors are problem documents with a stable `code`.",
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Security),
    tags(
        (name = "travellers", description = "Login, search, orders, payment, tickets"),
        (name = "callbacks", description = "What WeChat calls"),
        (name = "gate", description = "Operators, validator sessions and scans"),
        (name = "administration", description = "Logins of administrators and their kind"),
        (name = "operations", description = "Health and metrics"),
    )
)]
struct Frame;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    }
}

/// What stands in the document before any route is mounted.
pub(super) fn frame() -> Document {
    Frame::openapi()
}

/// The whole document.
pub fn document() -> Document {
    App::new().into_utoipa_app().openapi(frame()).configure(super::routes).split_for_parts().1
}

/// Paths with their methods, to tell a wrong method (405) from an unknown path (404).
#[derive(Debug)]
pub(super) struct Paths(Vec<(ResourceDef, String)>);

impl Paths {
    pub(super) fn of(document: &Document) -> Paths {
        let mut paths: Vec<(ResourceDef, String)> =
            document.paths.paths.iter().map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item))).collect();
        paths.push((ResourceDef::new("/openapi.json"), "GET".to_owned()));
        Paths(paths)
    }

    /// The methods of a path, for the `Allow` header; `None` if there is no such path.
    pub(super) fn allowed(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, methods)| methods.as_str())
    }
}

fn methods(item: &PathItem) -> String {
    let methods = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    let present: Vec<&str> =
        methods.iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| *name).collect();
    present.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_route_and_knows_their_methods() {
        let document = document();
        let paths = Paths::of(&document);
        assert_eq!(paths.allowed("/health/live"), Some("GET"));
        assert_eq!(paths.allowed("/nowhere"), None);
        assert!(document.components.unwrap().schemas.contains_key("Problem"));
    }
}

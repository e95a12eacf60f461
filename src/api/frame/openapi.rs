//! The OpenAPI document: made from the mounted routes, so that none can be missing.

use actix_web::dev::ResourceDef;
use actix_web::http::{Method, StatusCode};
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, Response};

use super::permission::{API_KEY, BEARER};
use super::problem::ProblemDocument;

/// What stands in the document besides operations and security schemes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "DeepTravel",
        description = "Seats on coaches and ferries between mainland China and Hong Kong, and packages: search, hold, pay, redeem.\n\n\
            Times of a departure have the offset of its route; all other times have +08:00. Amounts are in minor \
            units. Errors are problem documents with a stable `code`.\n\n\
            Partners bring a key in `X-API-Key`. Every answer to a call that a good key came with has `RateLimit-Limit` \
            (calls of the partner within any minute), `RateLimit-Remaining` and `RateLimit-Reset` (seconds until one \
            more is admitted); 429 has `Retry-After`.",
    ),
    components(schemas(ProblemDocument)),
    tags(
        (name = "travellers", description = "Login, search, orders, payment, tickets"),
        (name = "callbacks", description = "What WeChat calls"),
        (name = "gate", description = "Operators, validator sessions and scans"),
        (name = "partners", description = "Those who sell packages under their own name"),
        (name = "administration", description = "Logins of staff, what is configured and who did so, and money in trouble"),
        (name = "operations", description = "Health and metrics"),
    )
)]
struct Frame;

/// What stands in the document before any route is mounted.
pub(super) fn frame() -> Document {
    let mut document = Frame::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme(BEARER, bearer);
    let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
    document.components.get_or_insert_default().add_security_scheme(API_KEY, key);
    document
}

/// Adds what every operation has in common: errors are problem documents, and what extractors and the frame can refuse
/// is declared here, once.
pub(super) fn complete(mut document: Document) -> Document {
    document.paths.paths.values_mut().flat_map(operations_mut).for_each(complete_operation);
    document
}

fn complete_operation(operation: &mut Operation) {
    let has_query = has_query(operation);
    let is_secured = operation.security.is_some();
    let mut common = vec![StatusCode::SERVICE_UNAVAILABLE];
    if operation.request_body.is_some() {
        common.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]);
    }
    if has_query {
        common.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    if operation.tags.iter().flatten().any(|tag| tag == PARTNERS_TAG) {
        common.push(StatusCode::TOO_MANY_REQUESTS);
    }
    if is_secured {
        common.extend([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN]);
    }
    let responses = &mut operation.responses.responses;
    for status in common {
        responses.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(Response::new("")));
    }
    for (status, response) in responses {
        let (Ok(status), RefOr::T(response)) = (StatusCode::from_bytes(status.as_bytes()), response) else { continue };
        if response.description.is_empty() {
            status.canonical_reason().unwrap_or_default().clone_into(&mut response.description);
        }
        if status.is_client_error() || status.is_server_error() {
            let problem = Content::builder().schema(Some(Ref::from_schema_name("Problem"))).build();
            response.content = [("application/problem+json".to_owned(), RefOr::T(problem))].into_iter().collect();
        }
    }
}

fn has_query(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(of) if of.parameter_in == ParameterIn::Query))
}

/// Tags whose operations ignore parameters that they do not know: providers and probes may add their own (`api.md`).
const LENIENT_TAGS: [&str; 2] = ["callbacks", "operations"];

/// Tag of what partners ask, as often as they may.
const PARTNERS_TAG: &str = "partners";

/// Paths with their methods, to tell a wrong method (405) from an unknown path (404).
#[derive(Debug)]
pub(super) struct Paths(Vec<(ResourceDef, String)>);

impl Paths {
    pub(super) fn of(document: &Document) -> Paths {
        let methods = |item| operations(item).map(|(method, _)| with_head(&method)).collect::<Vec<_>>().join(", ");
        let documented =
            document.paths.paths.iter().map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item)));
        Paths(documented.chain([(ResourceDef::new("/openapi.json"), with_head(&Method::GET))]).collect())
    }

    /// The methods of a path, for the `Allow` header; `None` if there is no such path.
    pub(super) fn allowed(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, methods)| methods.as_str())
    }
}

/// Whatever has GET has HEAD.
fn with_head(method: &Method) -> String {
    if *method == Method::GET { "GET, HEAD".to_owned() } else { method.to_string() }
}

/// Unknown parameters are refused like unknown fields: where an operation has parameters, by whoever reads them; where it
/// has none, by leaving it out.
pub(super) fn takes_no_query(operation: &Operation) -> bool {
    let lenient = operation.tags.iter().flatten().any(|tag| LENIENT_TAGS.contains(&tag.as_str()));
    !lenient && !has_query(operation)
}

pub(super) fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let operations = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

pub(super) fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::document;

    #[test]
    fn the_document_has_every_route_and_knows_their_methods() {
        let document = document();
        let paths = Paths::of(&document);
        assert_eq!(paths.allowed("/health/live"), Some("GET, HEAD"));
        assert_eq!(paths.allowed("/nowhere"), None);
        let operation = |path: &str| operations(&document.paths.paths[path]).next().unwrap().1;
        assert!(takes_no_query(operation("/auth/logout")) && takes_no_query(operation("/orders/{orderId}")));
        assert!(!takes_no_query(operation("/orders")) && !takes_no_query(operation("/health/live")));
        assert!(document.components.as_ref().unwrap().schemas.contains_key("Problem"));
    }

    #[test]
    fn every_operation_declares_what_the_frame_can_refuse() {
        let document = serde_json::to_value(document()).unwrap();
        let responses = &document["paths"]["/orders"]["post"]["responses"];
        for status in ["400", "401", "408", "409", "413", "415", "422", "503"] {
            let content = responses[status]["content"].as_object().unwrap();
            assert_eq!(content.keys().collect::<Vec<_>>(), ["application/problem+json"], "{status}");
            assert!(!responses[status]["description"].as_str().unwrap().is_empty(), "{status}");
        }
    }
}

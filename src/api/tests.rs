//! The frame around every request, over a real socket: what needs no engine. The endpoints are driven from outside by
//! the black-box tests.

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::{App, test, web};
use reqwest::{Client, Method, Response};
use serde_json::Value;

use super::frame::Frame;
use super::{Listen, Slot, serve};

mod connections;
mod heads;
pub mod tls;

/// A server that is still starting.
struct Starting {
    base: String,
    http: Client,
}

impl Starting {
    fn new() -> Starting {
        Starting::with(Starting::listen())
    }

    fn listen() -> Listen {
        let address = "127.0.0.1:0".parse().unwrap();
        Listen { address, workers: 1, connections_max: 100, behind_tls_proxy: false, certificate: None }
    }

    fn with(listen: Listen) -> Starting {
        let (server, address) = serve(listen, &Slot::default()).unwrap();
        actix_web::rt::spawn(server);
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Starting { base: format!("http://{address}"), http }
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).await
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        self.http.request(method, format!("{}{path}", self.base)).send().await.unwrap()
    }
}

/// Status and code of an error, which has to be a whole problem document.
async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["status"], status);
    assert_eq!(document["requestId"], id);
    (status, document["code"].as_str().unwrap().to_owned())
}

#[actix_web::test]
async fn while_it_starts_the_server_is_live_not_ready_and_says_so() {
    let server = Starting::new();
    let live = server.get("/health/live").await;
    assert_eq!(live.status(), 200);
    assert!(live.headers().contains_key("x-request-id"));

    let ready = server.get("/health/ready").await;
    assert_eq!(ready.headers()["retry-after"], "1");
    assert_eq!(problem(ready).await, (503, "STARTING".into()));
    assert_eq!(problem(server.get("/travel/hot-cities").await).await, (503, "STARTING".into()));
    assert_eq!(problem(server.get("/orders").await).await, (503, "STARTING".into()));
}

#[actix_web::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_those_that_there_are() {
    let server = Starting::new();
    for path in ["/", "/nowhere", "/orders/", "/docs/nothing", "/%ff", "/tickets/a/b", "/admin", "/admin/nothing"] {
        assert_eq!(problem(server.get(path).await).await, (404, "NOT_FOUND".into()), "{path}");
    }
    let wrong = server.ask(Method::DELETE, "/orders").await;
    assert_eq!(wrong.headers()["allow"], "GET, HEAD, POST");
    assert_eq!(problem(wrong).await, (405, "METHOD_NOT_ALLOWED".into()));
    let wrong = server.ask(Method::POST, "/tickets/01M7Y7MA58E2G9PFESXG9Z8W3S-1/qr").await;
    assert_eq!(wrong.headers()["allow"], "GET, HEAD");
    let wrong = server.get("/admin/login").await;
    assert_eq!(wrong.headers()["allow"], "POST");
    assert_eq!(problem(wrong).await, (405, "METHOD_NOT_ALLOWED".into()));
    let wrong = server.ask(Method::from_bytes(b"BREW").unwrap(), "/openapi.json").await;
    assert_eq!(wrong.headers()["allow"], "GET, HEAD");
}

#[actix_web::test]
async fn a_query_for_an_operation_without_parameters_is_refused_whoever_asks() {
    let server = Starting::new();
    for path in ["/orders/1?x=1", "/travel/hot-cities?x", "/tickets/T-1?x=1&y"] {
        let refused = server.get(path).await;
        assert_eq!(problem(refused).await, (422, "VALIDATION_ERROR".into()), "{path}");
    }
    for path in ["/orders/1?", "/orders/1?&", "/orders?x=1"] {
        assert_eq!(problem(server.get(path).await).await, (503, "STARTING".into()), "{path}");
    }
}

#[actix_web::test]
async fn the_contract_is_served_and_has_every_route_with_its_errors() {
    let server = Starting::new();
    let docs = server.get("/docs").await;
    assert_eq!(docs.headers()["location"], "/docs/");
    let page = server.get("/docs/").await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("swagger-ui"));

    let document: Value = server.get("/openapi.json").await.json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/auth/wechat/login",
        "/travel/search",
        "/departures/{departureId}",
        "/orders",
        "/orders/{orderId}/cancel",
        "/payments/wechat/session",
        "/payments/wechat/notify",
        "/my/tickets",
        "/tickets/{ticketId}/qr",
        "/operators/login",
        "/validators/sessions/{sessionId}",
        "/tickets/scan",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let bodies = document.to_string();
    for reference in bodies.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"].get(reference).is_some(), "{reference} is not described");
    }
}

#[actix_web::test]
async fn a_request_id_is_taken_over_or_made() {
    let server = Starting::new();
    let ask = |id: &'static str| server.http.get(format!("{}/health/live", server.base)).header("X-Request-Id", id);
    assert_eq!(ask("mine-1").send().await.unwrap().headers()["x-request-id"], "mine-1");
    let made = ask("not <mine>").send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(made.len(), 32);
}

#[actix_web::test]
async fn a_panic_in_a_handler_is_a_500_with_the_requests_id_and_nothing_else_stops() {
    async fn panics() -> &'static str {
        panic!("planted")
    }
    let frame = Frame::new(Slot::default(), false);
    let app = App::new()
        .route("/panic", web::get().to(panics))
        .route("/calm", web::get().to(async || "calm"))
        .wrap_fn(move |request, service| frame.around(request, service));
    let app = test::init_service(app).await;

    let request = test::TestRequest::get().uri("/panic").insert_header(("X-Request-Id", "r1")).to_request();
    let error = test::try_call_service(&app, request).await.err().unwrap();
    let response = error.as_response_error().error_response();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers().get("x-request-id").unwrap(), "r1");
    let document: Value = serde_json::from_slice(&to_bytes(response.into_body()).await.ok().unwrap()).unwrap();
    assert_eq!(document["code"], "INTERNAL_ERROR");
    assert_eq!(document["requestId"], "r1");

    let calm: ServiceResponse<_> = test::call_service(&app, test::TestRequest::get().uri("/calm").to_request()).await;
    assert_eq!(calm.into_body().size(), actix_web::body::BodySize::Sized(4));
}

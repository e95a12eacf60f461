//! What is refused for its head alone, and what every answer has in its own.

use reqwest::Method;

use super::connections::Raw;
use super::{Listen, Starting, problem};

#[actix_web::test]
async fn fault_16_what_is_refused_below_the_frame_is_a_whole_problem_and_ends_the_connection() {
    let server = Starting::new();
    let many = "X: y\r\n".repeat(200);
    let long = "a".repeat(200_000);
    let bad = [
        ("nonsense\r\n\r\n".to_owned(), 400, "BAD_REQUEST"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "BAD_REQUEST"),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n".to_owned(), 400, "BAD_REQUEST"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431, "HEAD_TOO_LARGE"),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}"), 431, "HEAD_TOO_LARGE"),
    ];
    for (head, status, code) in bad {
        for before in ["", "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let mut raw = Raw::to(&server).await;
            raw.say(&format!("{before}{head}")).await;
            let heard = raw.hear_all().await;
            let answers: Vec<_> = heard.split("HTTP/1.1 ").skip(1).collect();
            assert_eq!(answers.len(), 1 + usize::from(!before.is_empty()), "{heard}");
            let (head, body) = answers.last().unwrap().split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&status.to_string()) && head.contains("connection: close"), "{head}");
            let document: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!((&document["status"], &document["code"]), (&status.into(), &code.into()));
            let id = document["requestId"].as_str().unwrap();
            assert!(id.len() == 32 && head.contains(&format!("x-request-id: {id}")), "{head}");
            assert!(head.contains(&format!("content-length: {}", body.len())) && head.contains("\r\ndate: "), "{head}");
            assert!(head.contains("content-type: application/problem+json"), "{head}");
            assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        }
    }
}

#[actix_web::test]
async fn fault_16_head_is_answered_where_get_is() {
    let server = Starting::new();
    for path in ["/health/live", "/health/ready", "/openapi.json", "/docs", "/docs/", "/nowhere"] {
        let (get, head) = (server.get(path).await, server.ask(Method::HEAD, path).await);
        assert_eq!(get.status(), head.status(), "{path}");
        for name in ["content-type", "content-length", "allow", "location"] {
            assert_eq!(get.headers().get(name).is_some(), head.headers().get(name).is_some(), "{path} {name}");
        }
        assert_eq!(head.text().await.unwrap(), "", "{path}");
    }
    let wrong = server.ask(Method::HEAD, "/admin/login").await;
    assert_eq!((wrong.status().as_u16(), &wrong.headers()["allow"]), (405, &"POST".parse().unwrap()));
}

#[actix_web::test]
async fn fault_16_an_expectation_that_nobody_knows_is_417() {
    let server = Starting::new();
    let expecting = |what: &'static str| server.http.get(format!("{}/health/live", server.base)).header("Expect", what);
    for what in ["tea", "100-continue, tea", ""] {
        let refused = problem(expecting(what).send().await.unwrap()).await;
        assert_eq!(refused, (417, "EXPECTATION_FAILED".into()), "{what}");
    }
    assert_eq!(expecting("100-Continue").send().await.unwrap().status(), 200);
}

#[actix_web::test]
async fn fault_24_every_answer_tells_browsers_what_not_to_do_with_it() {
    let server = Starting::new();
    for path in ["/health/live", "/nowhere", "/openapi.json", "/docs/", "/docs/swagger-ui.css", "/orders?x=1"] {
        let answer = server.get(path).await;
        let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert_eq!(policy.contains("script-src 'self'"), path.starts_with("/docs/"), "{path}: {policy}");
        assert_eq!(header("strict-transport-security"), "", "without TLS nobody is sent to it");
    }
    let server = Starting::with(Listen { behind_tls_proxy: true, ..Starting::listen() });
    for path in ["/health/live", "/nowhere"] {
        assert_eq!(server.get(path).await.headers()["strict-transport-security"], "max-age=31536000", "{path}");
    }
}

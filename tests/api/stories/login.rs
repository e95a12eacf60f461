//! Logins of staff (R-ADMIN-07).

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{another, another_behind_us, command};

/// Where the gates stand, and where somebody guesses from.
const PORT: &str = "198.51.100.7";
const ELSEWHERE: &str = "203.0.113.9";
/// Nobody's password.
const WRONG: &str = "a wrong guess";

#[tokio::test]
async fn r_admin_07_an_operator_learns_who_he_is() {
    let client = Client::new();
    let login = |name: &str| json!({ "username": name, "password": format!("demo-{name}") });
    let gate = client.post("/operators/login", &login("gate")).await;
    assert_eq!(gate.headers["cache-control"], "no-store");
    let gate = gate.ok();
    assert_eq!((&gate["roles"], &gate["merchantId"]), (&json!(["operator"]), &Value::Null));
    assert!(gate["expiresAt"].as_str().unwrap().ends_with("+08:00"));
    let museum = client.post("/operators/login", &login("museum")).await.ok();
    assert_eq!(museum["merchantId"], "museum");
    assert_ne!(gate["operatorToken"], museum["operatorToken"]);

    let admin = client.post("/admin/login", &login("admin")).await.ok();
    assert_eq!(admin["roles"], json!(["admin"]));
    client.post("/operators/login", &login("admin")).await.problem(403, "FORBIDDEN");
    client.post("/admin/login", &login("gate")).await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn r_admin_07_a_wrong_name_and_a_wrong_password_look_alike() {
    let client = Client::new();
    for path in ["/operators/login", "/admin/login"] {
        let said = |name: &'static str, password: &'static str| {
            let client = client.clone();
            async move {
                let body = json!({ "username": name, "password": password });
                let mut answer = client.post(path, &body).await.problem(401, "UNAUTHENTICATED").body;
                answer["requestId"] = Value::Null;
                answer
            }
        };
        assert_eq!(said("museum", WRONG).await, said("nobody", WRONG).await);
    }
}

#[tokio::test]
async fn r_admin_07_repeated_failures_are_sent_away_for_a_while() {
    let client = Client::new();
    let guess = json!({ "username": "guessed", "password": WRONG });
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(client.post_from("203.0.113.1", "/operators/login", &guess).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let refused = client.post_from("203.0.113.1", "/admin/login", &guess).await.problem(429, "RATE_LIMITED");
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    client.operator("gate").await;
}

#[tokio::test]
async fn fault_5_behind_a_proxy_wrong_passwords_lock_out_the_address_that_they_come_from() {
    let client = Client::new();
    let login = |password: &str| json!({ "username": "finance", "password": password });
    for _ in 0..5 {
        client.post_from(ELSEWHERE, "/admin/login", &login(WRONG)).await.problem(401, "UNAUTHENTICATED");
    }
    client.post_from(ELSEWHERE, "/admin/login", &login("demo-finance")).await.problem(429, "RATE_LIMITED");
    // What a client says of himself comes before what the proxy says of him.
    let disguised = format!("{PORT}, {ELSEWHERE}, 192.0.2.1");
    client.post_from(&disguised, "/admin/login", &login("demo-finance")).await.problem(429, "RATE_LIMITED");
    client.post_from(PORT, "/admin/login", &login("demo-finance")).await.ok();
}

#[tokio::test]
async fn fault_5_strangers_do_not_lock_out_who_comes_from_where_he_has_logged_in() {
    let client = Client::of(another_behind_us());
    let login = |name: &str, password: &str| json!({ "username": name, "password": password });
    client.post_from(PORT, "/operators/login", &login("gate", "demo-gate")).await.ok();

    let mut refused = 0;
    for last in 1..=30 {
        let address = format!("203.0.113.{last}");
        refused += u32::from(client.post_from(&address, "/operators/login", &login("gate", WRONG)).await.status == 429);
    }
    assert_eq!(refused, 10, "one name, from thirty addresses");
    let mut refused = 0;
    for number in 1..=30 {
        let name = format!("name-{number}");
        refused += u32::from(client.post_from(PORT, "/operators/login", &login(&name, WRONG)).await.status == 429);
    }
    assert_eq!(refused, 10, "thirty names, from one address");

    client.post_from("192.0.2.77", "/operators/login", &login("gate", "demo-gate")).await.problem(429, "RATE_LIMITED");
    client.post_from(PORT, "/operators/login", &login("museum", "demo-museum")).await.problem(429, "RATE_LIMITED");
    client.post_from(PORT, "/operators/login", &login("gate", "demo-gate")).await.ok();
}

#[tokio::test]
async fn fault_5_an_operator_logs_in_while_a_hundred_and_fifty_strangers_try() {
    let client = Client::of(another_behind_us());
    let right = json!({ "username": "gate", "password": "demo-gate" });
    client.post_from(PORT, "/operators/login", &right).await.ok();
    let flood = (0..150).map(|number| {
        let client = client.clone();
        let guess = json!({ "username": format!("name-{number}"), "password": WRONG });
        async move { client.post_from(&format!("203.0.113.{number}"), "/operators/login", &guess).await.status }
    });
    let login = client.post_from(PORT, "/operators/login", &right);
    let (answers, login) = tokio::join!(futures_util::future::join_all(flood), login);
    login.ok();
    assert!(answers.iter().all(|status| matches!(status, 401 | 503)), "{answers:?}");
}

#[tokio::test]
async fn fault_6_who_is_not_let_in_is_counted() {
    let client = Client::of(another_behind_us());
    let guess = json!({ "username": "nobody", "password": WRONG });
    for _ in 0..7 {
        client.post_from(ELSEWHERE, "/admin/login", &guess).await;
    }
    client.operator("gate").await.get("/admin/routes/fares").await.problem(403, "FORBIDDEN");
    client.get("/orders").await.problem(401, "UNAUTHENTICATED");
    let metrics = client.get("/metrics").await.text;
    for series in [
        r#"access_refused_total{code="UNAUTHENTICATED"} 6"#,
        r#"access_refused_total{code="RATE_LIMITED"} 2"#,
        r#"access_refused_total{code="FORBIDDEN"} 1"#,
    ] {
        assert!(metrics.lines().any(|line| line == series), "{series}: {metrics}");
    }
}

#[tokio::test]
async fn fault_14_a_password_is_reset_on_the_command_line_to_one_that_a_login_takes() {
    let client = Client::of(another(&[]));
    let before = client.operator("gate").await;
    let (done, said) = command(&client.server.data_dir, &["admin", "reset", "gate"], "correct horse battery\n");
    assert!(!done && said.contains("another process holds its lock"), "while a server runs: {said}");

    let server = client.server.restart_after(&[], |data_dir| {
        for (name, password, why) in [
            ("nobody", "correct horse battery\n", "there is no account nobody"),
            ("gate", "correct\thorse battery\n", "no login would accept it"),
            ("gate", "short\n", "at least 12 characters"),
        ] {
            let (done, said) = command(data_dir, &["admin", "reset", name], password);
            assert!(!done && said.contains(why), "{said}");
        }
        let (done, said) = command(data_dir, &["admin", "create", "chief"], &format!("{}\n", "p".repeat(257)));
        assert!(!done && said.contains("no login would accept it"), "{said}");
        let (done, said) = command(data_dir, &["admin", "reset", "gate"], "correct horse battery\n");
        assert!(done, "{said}");
    });
    let client = Client::of(server);
    let login = |password: &str| json!({ "username": "gate", "password": password });
    client.post("/operators/login", &login("demo-gate")).await.problem(401, "UNAUTHENTICATED");
    client.post("/operators/login", &login("correct horse battery")).await.ok();
    let before = crate::client::Person { client, ..before };
    before.post("/validators/sessions", &json!({ "deviceId": "before" })).await.problem(401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn fault_7_an_operator_does_not_end_the_gates_of_another_merchant() {
    let client = Client::new();
    let device = json!({ "deviceId": "fault-7" });
    let gate = client.operator("gate").await.gate(&device).await;
    let museum = client.operator("museum").await.gate(&device).await;
    assert_eq!(gate.scan("DT1", "r1").await["reason"], "INVALID_CODE");
    assert_eq!(museum.scan("DT1", "r1").await["reason"], "INVALID_CODE");
}

#[tokio::test]
async fn what_is_wrong_in_a_login_is_named() {
    let client = Client::new();
    for (field, body) in [
        ("password", json!({ "username": "gate" })),
        ("username", json!({ "username": "", "password": "x" })),
        ("username", json!({ "username": "u".repeat(65), "password": "x" })),
        ("password", json!({ "username": "gate", "password": "p".repeat(257) })),
        ("password", json!({ "username": "gate", "password": 1 })),
        ("role", json!({ "username": "gate", "password": "x", "role": "admin" })),
    ] {
        client.post("/operators/login", &body).await.names(field);
        client.post("/admin/login", &body).await.names(field);
    }
}

#[tokio::test]
async fn r_admin_07_after_logging_out_a_token_is_worth_nothing() {
    let client = Client::new();
    let gate = client.operator("gate").await;
    let other = client.operator("gate").await;
    assert_eq!(gate.post("/auth/logout", &json!({})).await.status, 204);
    gate.post("/auth/logout", &json!({})).await.problem(401, "UNAUTHENTICATED");
    gate.post("/validators/sessions", &json!({ "deviceId": "out" })).await.problem(401, "UNAUTHENTICATED");
    other.gate(&json!({ "deviceId": "out" })).await;
}

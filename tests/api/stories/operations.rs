//! Health and metrics (R-OPS-02).

use reqwest::Method;
use serde_json::json;

use crate::client::Client;
use crate::server::another;
use crate::shop::eventually;

#[tokio::test]
async fn r_ops_02_a_ready_server_says_how_its_database_is() {
    let client = Client::new();
    assert_eq!(client.get("/health/live").await.ok(), json!({ "status": "live" }));
    let ready = client.get("/health/ready").await.ok();
    assert_eq!((&ready["status"], &ready["database"]), (&json!("ready"), &json!("available")));
    assert_eq!(ready["sales"], "open");
    assert!(ready["projectionLag"].is_u64());
}

#[tokio::test]
async fn r_ops_02_metrics_tell_what_happens_inside() {
    let client = Client::new();
    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "metrics" })).await;
    gate.scan("DT1", "r1").await;
    let metrics = client.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let value = |series: &str| -> f64 {
        let line = metrics.text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is missing")).parse().unwrap()
    };
    assert!(value("journal_durable_position") > 0.0);
    assert!(value("journal_appended_position") >= value("journal_durable_position"));
    assert!(value("journal_used_bytes") < value("journal_max_bytes"));
    assert!(value("scans_total{result=\"reject\",reason=\"INVALID_CODE\"}") >= 1.0);
    assert!(value("wechat_notifications_total{outcome=\"signtest\"}") >= 0.0);
    for series in [
        "clock_offset_seconds",
        "clock_trusted",
        "projected_position",
        "projection_lag_records",
        "journal_rationed",
        "journal_failed",
        "journal_records_total",
        "http_in_flight",
        "database_available",
        "owners_live{kind=\"order\"}",
        "owner_restarts_total{kind=\"departure\"}",
        "announcements_total{kind=\"completed\"}",
        "follower_position{follower=\"totals\"}",
        "wechat_calls_total{outcome=\"unknown\"}",
        "http_requests_total{route=\"/tickets/scan\",method=\"POST\",status=\"200\"}",
    ] {
        value(series);
    }
}

#[tokio::test]
async fn r_ops_02_metrics_count_what_orders_announce() {
    let client = Client::of(another(&[]));
    let (mei, gate) = (client.traveller("mei").await, client.operator("gate").await);
    let gate = gate.gate(&json!({ "deviceId": "totals" })).await;
    let shown = async || {
        let metrics = client.get("/metrics").await.text;
        ["paid", "cancelled", "revived", "redeemed", "completed"].map(|kind| {
            let series = format!("announcements_total{{kind=\"{kind}\"}} ");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
            value.unwrap_or_else(|| panic!("{series} is missing")).parse::<u64>().unwrap()
        })
    };
    assert_eq!(shown().await, [0; 5]);

    let order = mei.buy(&client.departure().await, 2).await;
    eventually("it is paid", async || (shown().await == [1, 0, 0, 0, 0]).then_some(())).await;
    let codes = [mei.ticket_code(&order["tickets"][0]).await, mei.ticket_code(&order["tickets"][1]).await];
    for (code, request) in [(&codes[0], "r1"), (&codes[0], "r1"), (&codes[0], "r2")] {
        gate.scan(code, request).await;
    }
    eventually("one ticket is used", async || (shown().await == [1, 0, 0, 1, 0]).then_some(())).await;
    gate.scan(&codes[1], "r3").await;
    eventually("both are", async || (shown().await == [1, 0, 0, 2, 1]).then_some(())).await;
}

#[tokio::test]
async fn r_ops_02_metrics_asked_for_on_behalf_of_another_machine_need_a_role() {
    let client = Client::new();
    let asked = || client.request(Method::GET, "/metrics").header("X-Forwarded-For", "192.0.2.1");
    client.send(asked()).await.problem(401, "UNAUTHENTICATED");
    let operator = client.operator("gate").await;
    client.send(asked().bearer_auth(&operator.token)).await.problem(403, "FORBIDDEN");
    let admin = client.administrator().await;
    assert_eq!(client.send(asked().bearer_auth(&admin.token)).await.status, 200);
}

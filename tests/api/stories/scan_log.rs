//! Every attempt is written down (R-SCAN-05). Nothing shows the log over HTTP yet, so this story reads the database, as an
//! auditor does.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, PATIENCE};

/// Attempts of a session: request, whether there was a ticket, location, entitlement, result, reason.
type Attempt = (String, bool, Option<String>, Option<String>, String, Option<String>);

async fn attempts(client: &Client, session: &str, count: usize) -> Vec<Attempt> {
    let database = client.database().await;
    let since = Instant::now();
    loop {
        let rows = database
            .query(
                "SELECT request_id, ticket_id <> '', location_code, entitlement_code, result, reason
                 FROM scan_attempts WHERE session_id = $1 ORDER BY attempted_at, request_id",
                &[&session],
            )
            .await
            .unwrap();
        if rows.len() >= count || since.elapsed() > PATIENCE {
            return rows
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5)))
                .collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn r_scan_05_every_attempt_is_in_the_log_with_or_without_a_ticket() {
    let client = Client::new();
    let mei = client.traveller("log").await;
    let departure = client.departure().await;
    let (_, code) = mei.ticket(&departure).await;
    let session = json!({ "deviceId": "log", "locationId": departure.origin });
    let gate = client.operator("gate").await.gate(&session).await;

    gate.scan("DT1 no code", "r1").await;
    let scan = json!({ "code": code, "sessionId": gate.session, "requestId": "r2", "entitlementCode": "MUSEUM" });
    gate.send(&scan).await.ok();
    gate.scan(&code, "r3").await;
    gate.scan(&code, "r3").await; // repeated: nothing happened
    gate.scan(&code, "r4").await;
    let other = client.operator("gate").await.gate(&json!({ "deviceId": "log-other" })).await;
    other.scan(&code, "r1").await;

    let attempt = |request: &str, ticket: bool, entitlement: Option<&str>, result: &str, reason: Option<&str>| {
        let text = |text: &str| text.to_owned();
        let location = Some(departure.origin.clone());
        (text(request), ticket, location, entitlement.map(text), text(result), reason.map(text))
    };
    assert_eq!(
        attempts(&client, &gate.session, 4).await,
        [
            attempt("r1", false, None, "reject", Some("INVALID_CODE")),
            attempt("r2", true, Some("MUSEUM"), "reject", Some("WRONG_ENTITLEMENT")),
            attempt("r3", true, None, "success", None),
            attempt("r4", true, None, "reject", Some("ALREADY_REDEEMED")),
        ]
    );
    let copied = ("r1".to_owned(), true, None, None, "reject".to_owned(), Some("REPLAYED".to_owned()));
    assert_eq!(attempts(&client, &other.session, 1).await, [copied]);
}

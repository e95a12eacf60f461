//! Webhooks of partners, as an administrator sets them (R-OTA-09). What is sent is told where it is sent.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::shop::text;

const HOOK: &str = "https://partner.example/hook";

/// A partner's webhook, as it was first put, and its path.
async fn put(admin: &Person, partner: &str) -> (String, Value) {
    let path = format!("/admin/ota/partners/{partner}/webhooks");
    let put = admin.put(&path, &json!({ "url": HOOK, "enabled": true })).await.ok();
    (path, put)
}

#[tokio::test]
async fn r_ota_09_a_webhooks_secret_is_shown_once_and_replaced_by_another() {
    let client = Client::new();
    let (admin, partner) = (client.administrator().await, client.partner("webhook-secret").await);
    let (path, made) = put(&admin, &partner.id).await;
    let first = text(&made["secret"]);
    assert!(first.starts_with("whsec_"), "{first}");
    assert_eq!(
        (&made["standing"], &made["lastSequence"], &made["nextSequence"]),
        (&json!("enabled"), &json!(0), &json!(1))
    );

    let auditor = client.staff("auditor").await;
    let shown = auditor.get(&path).await.ok();
    assert_eq!((&shown["url"], &shown["secret"]), (&json!(HOOK), &Value::Null));
    assert_eq!(put(&admin, &partner.id).await.1["secret"], Value::Null, "it is so already");
    let disabled = admin.put(&path, &json!({ "url": HOOK, "enabled": false })).await.ok();
    assert_eq!((&disabled["standing"], &disabled["secret"]), (&json!("disabled"), &Value::Null));

    let renewed = admin.send(Method::POST, &format!("{path}/secret")).await.ok();
    assert_ne!(text(&renewed["secret"]), first);
    assert!(renewed["previousSecretUntil"].is_string());
    let log = admin.get("/admin/audit-logs?entity=webhook&limit=100").await.ok();
    let of_it = log["entries"].as_array().unwrap().iter().filter(|entry| entry["id"] == *partner.id);
    let actions: Vec<String> = of_it.map(|entry| text(&entry["action"])).collect();
    assert_eq!(actions, ["secret", "put", "put"], "the newest first");
    assert!(!log.to_string().contains("whsec_") && !log.to_string().contains(HOOK), "a URL may hold a secret");
}

#[tokio::test]
async fn r_ota_09_a_webhook_is_for_partners_who_are_there_and_for_receivers_on_the_internet() {
    let client = Client::new();
    let (admin, partner) = (client.administrator().await, client.partner("webhook-targets").await);
    let path = format!("/admin/ota/partners/{}/webhooks", partner.id);
    admin.get(&path).await.problem(404, "NOT_CONFIGURED");
    admin.send(Method::POST, &format!("{path}/secret")).await.problem(404, "NOT_CONFIGURED");
    admin.post(&format!("{path}/replay"), &json!({ "fromSequence": 1 })).await.problem(404, "NOT_CONFIGURED");
    let stranger = "/admin/ota/partners/nobody/webhooks";
    admin.put(stranger, &json!({ "url": HOOK, "enabled": true })).await.problem(404, "NOT_CONFIGURED");

    for url in ["http://partner.example/", "https://127.0.0.1:8080/admin", "https://169.254.169.254/", "nothing"] {
        admin.put(&path, &json!({ "url": url, "enabled": true })).await.names("url");
    }
    admin.get(&path).await.problem(404, "NOT_CONFIGURED");
}

#[tokio::test]
async fn r_ota_09_a_replay_begins_at_an_event_that_is_there_and_the_log_has_every_call() {
    let client = Client::new();
    let (admin, partner) = (client.administrator().await, client.partner("webhook-replay").await);
    let (path, _) = put(&admin, &partner.id).await;
    let replay = async |from: u64| admin.post(&format!("{path}/replay"), &json!({ "fromSequence": from })).await;
    assert_eq!(replay(1).await.ok()["nextSequence"], 1);
    for from in [0, 2] {
        replay(from).await.names("fromSequence");
    }
    let log = admin.get(&format!("{path}/deliveries?limit=5")).await.ok();
    assert_eq!(log, json!({ "deliveries": [] }));
}

//! Callbacks that are not what they should be (R-PAY-06).

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::client::Client;
use crate::notice::Notice;
use crate::server::another;
use crate::shop::{eventually, id, journey, text};

/// Altered callbacks under way at once.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn r_pay_06_a_callback_with_any_byte_or_header_wrong_changes_nothing() {
    let client = Client::of(another(&[]));
    let mei = client.traveller("mei").await;
    let order = mei.place(&[journey(&client.coach().await)], 2).await.ok();
    let number = mei.begin_payment(&order).await;
    // Nothing arrives by itself, neither by callback nor by query.
    let faults = json!({ "notify": { "lose_notify": true }, "query": { "status_before": 500 } });
    client.tell_simulator("/faults", &faults).await;
    mei.press(&number, &json!({})).await;
    let first = async || client.deliveries(&number).await.first().map(Notice::of);
    let genuine = eventually("the callback is made", first).await;

    let altered = genuine.altered();
    assert!(altered.len() > 500, "{}", altered.len());
    let answers = stream::iter(altered).map(|(what, notice)| {
        let client = client.clone();
        async move { (what, client.send(notice.request(&client)).await) }
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    for (what, answer) in answers {
        assert!(matches!(answer.status, 400 | 401), "{what}: {} {}", answer.status, answer.text);
    }
    assert_eq!(mei.status(&order).await, "pending");
    let database = client.database().await;
    let quarantined: i64 = database.query_one("SELECT count(*) FROM quarantine", &[]).await.unwrap().get(0);
    assert_eq!(quarantined, 0);

    assert_eq!(client.send(genuine.request(&client)).await.status, 204);
    assert_eq!(mei.becomes(&order, "paid").await["tickets"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn r_pay_06_a_callback_of_the_wrong_age_or_with_a_probes_signature_is_refused() {
    let client = Client::of(another(&[]));
    let mei = client.traveller("mei").await;
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    let number = mei.begin_payment(&order).await;
    let once = [
        json!({ "stale_seconds": 400 }),
        json!({ "stale_seconds": -400 }),
        json!({ "wrong_serial": true }),
        json!({ "alter_body": true }),
        json!({ "signtest": "decodable" }),
        json!({ "signtest": "undecodable" }),
    ];
    for fault in &once {
        let mut fault = fault.clone();
        fault["times"] = json!(1);
        client.tell_simulator("/faults", &json!({ "notify": fault })).await;
    }
    // No gaps between attempts, and no query before they are through.
    client.tell_simulator("/settings", &json!({ "time_factor": 0.0001 })).await;
    client.tell_simulator("/faults", &json!({ "query": { "status_before": 500 } })).await;
    mei.press(&number, &json!({})).await;
    mei.becomes(&order, "paid").await;
    let statuses: Vec<Value> =
        client.deliveries(&number).await.iter().map(|delivery| delivery["status"].clone()).collect();
    assert_eq!(statuses[..once.len()], vec![json!(401); once.len()], "{statuses:?}");
    let metrics = client.get("/metrics").await.text;
    assert!(metrics.contains("wechat_notifications_total{outcome=\"signtest\"} 2"), "probes are counted apart");
}

#[tokio::test]
async fn r_pay_06_genuine_money_that_does_not_match_is_put_aside_and_pays_nothing() {
    let client = Client::new();
    let cases = [
        json!({ "total": 1 }),
        json!({ "currency": "HKD" }),
        json!({ "appid": "wx0000000000000001" }),
        json!({ "mchid": "1900000009" }),
    ];
    let mei = client.traveller("mismatch").await;
    let coach = client.coach().await;
    let mut orders = Vec::new();
    for case in &cases {
        let order = mei.place(&[journey(&coach)], 1).await.ok();
        let number = mei.begin_payment(&order).await;
        mei.press(&number, case).await;
        orders.push((case, order, number));
    }

    let database = client.database().await;
    for (case, order, number) in &orders {
        let deliveries = eventually("the callback is accepted", async || {
            Some(client.deliveries(number).await).filter(|all| all.iter().any(|one| one["accepted"] == true))
        })
        .await;
        assert_eq!(deliveries[0]["status"], 204, "{case}: {deliveries:?}");
        let notice = text(&deliveries[0]["id"]);
        let reason: String = eventually("the quarantine shows it", async || {
            let rows = database.query("SELECT reason FROM quarantine WHERE notice_id = $1", &[&notice]).await.unwrap();
            rows.first().map(|row| row.get(0))
        })
        .await;
        assert!(!reason.is_empty());
        assert_eq!(mei.status(order).await, "pending", "{case}");
    }
    // The query of after five seconds says the same as the callback; it pays nothing either.
    for (case, order, number) in &orders {
        let asked = format!("query/{number}");
        eventually(&format!("the query about {case} is put aside"), async || {
            let rows = database.query("SELECT FROM quarantine WHERE notice_id = $1", &[&asked]).await.unwrap();
            rows.first().map(drop)
        })
        .await;
        assert_eq!(mei.status(order).await, "pending", "{case}");
    }
    let paid: i64 = database
        .query_one("SELECT count(*) FROM tickets WHERE order_id = $1", &[&id(&orders[0].1)])
        .await
        .unwrap()
        .get(0);
    assert_eq!(paid, 0);
}

//! Callbacks that are not what they should be (R-PAY-06).

use futures_util::stream::{self, StreamExt};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::another;
use crate::shop::{eventually, id, journey, text};

/// Every so many bytes of the body one is altered; of the headers every one is.
const STRIDE: usize = 7;
/// Altered callbacks under way at once.
const AT_ONCE: usize = 16;

/// A callback as the simulator sent it.
#[derive(Clone)]
struct Notice {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Notice {
    fn of(delivery: &Value) -> Notice {
        let headers = delivery["headers"].as_object().unwrap();
        let headers = headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Notice { headers, body: text(&delivery["body"]).into_bytes() }
    }

    fn request(&self, client: &Client) -> RequestBuilder {
        let request = client.request(reqwest::Method::POST, "/payments/wechat/notify");
        let request = request.header("Content-Type", "application/json").body(self.body.clone());
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// What is altered, and the altered notice.
    fn altered(&self) -> Vec<(String, Notice)> {
        let mut all = Vec::new();
        for (header, (name, value)) in self.headers.iter().enumerate() {
            for index in 0..value.len() {
                let mut notice = self.clone();
                let mut bytes = value.clone().into_bytes();
                // The last bit: of base64's last character it is one that no byte uses.
                bytes[index] = if bytes[index] == b'=' { b'A' } else { bytes[index] ^ 1 };
                notice.headers[header].1 = String::from_utf8(bytes).unwrap();
                all.push((format!("{name}[{index}]"), notice));
            }
        }
        for index in (0..self.body.len()).step_by(STRIDE) {
            let mut notice = self.clone();
            notice.body[index] ^= 1;
            all.push((format!("body[{index}]"), notice));
        }
        for header in self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Wechatpay-Signature-Type")) {
            let mut notice = self.clone();
            notice.headers.retain(|other| other != header);
            all.push((format!("without {}", header.0), notice));
        }
        let spoils: [fn(&mut Vec<u8>); 3] = [Vec::clear, |body| body.push(b'\n'), |body| body.truncate(body.len() - 1)];
        for (number, spoil) in spoils.into_iter().enumerate() {
            let mut notice = self.clone();
            spoil(&mut notice.body);
            all.push((format!("spoil {number}"), notice));
        }
        all
    }
}

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

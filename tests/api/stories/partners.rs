//! Partners at the door: keys, how often they may call, what is set aside for them and what they see of it (R-OTA-01, R-OTA-02,
//! R-OTA-05, R-OTA-10).

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Answer, Client, Partner, Person};
use crate::server::another;
use crate::shop::{GENERATE, eventually, generation, template, text};

const PRODUCTS: &str = "/api/ota/products";

impl Partner {
    fn with_key(&self, key: &str) -> Partner {
        Partner { key: key.to_owned(), ..self.clone() }
    }

    async fn available(&self, product: u64) -> Option<u64> {
        let inventory = self.get(&format!("/api/ota/inventory?productIds={product}")).await.ok();
        inventory["availableQuantities"][product.to_string()].as_u64()
    }
}

/// Another key of a partner.
async fn another_key(admin: &Person, partner: &Partner) -> Partner {
    let made = admin.send(Method::POST, &format!("/admin/ota/partners/{}/keys", partner.id)).await.ok();
    Partner { key_id: text(&made["keyId"]), key: text(&made["key"]), ..partner.clone() }
}

async fn revoke(admin: &Person, partner: &Partner) -> Answer {
    admin.delete(&format!("/admin/ota/partners/{}/keys/{}", partner.id, partner.key_id)).await
}

/// A package of which so many units are sold.
async fn product(admin: &Person, name: &str, product: u64, total: Option<u64>) {
    let mut package = template(name);
    package["productId"] = product.into();
    package["stock"] = json!({ "total": total });
    admin.post("/admin/packages/templates", &package).await.ok();
}

fn header(answer: &Answer, name: &str) -> Option<u64> {
    answer.headers.get(name).map(|value| value.to_str().unwrap().parse().unwrap())
}

/// A refusal without what is different every time.
fn said(answer: Answer) -> Value {
    let mut body = answer.body;
    body.as_object_mut().unwrap().remove("requestId");
    body
}

#[tokio::test]
async fn r_ota_01_only_a_good_key_opens_and_a_wrong_one_tells_nothing() {
    let client = Client::new();
    let (admin, partner) = (client.administrator().await, client.partner("only-a-good-key").await);
    assert!(partner.key.starts_with(&format!("dt_{}_", partner.key_id)), "{}", partner.key_id);
    partner.get(PRODUCTS).await.ok();

    let missing = client.get(PRODUCTS).await.problem(401, "API_KEY_REQUIRED");
    assert_eq!(missing.headers["www-authenticate"], "ApiKey");
    assert_eq!(header(&missing, "ratelimit-limit"), None, "nobody has called");
    let unknown = partner.with_key(&format!("dt_{}_nothing", partner.key_id)).get(PRODUCTS).await;
    let unknown = said(unknown.problem(401, "INVALID_API_KEY"));

    let put = async |disabled: bool| {
        let body = json!({ "name": { "zh": "夥伴", "en": "Partner" }, "contact": "Lok", "disabled": disabled });
        admin.put(&format!("/admin/ota/partners/{}", partner.id), &body).await.ok();
    };
    put(true).await;
    let disabled = said(partner.get(PRODUCTS).await.problem(401, "INVALID_API_KEY"));
    put(false).await;
    partner.get(PRODUCTS).await.ok();
    assert_eq!(revoke(&admin, &partner).await.status, 204);
    let revoked = said(partner.get(PRODUCTS).await.problem(401, "INVALID_API_KEY"));
    assert!(unknown == disabled && unknown == revoked, "{unknown} {disabled} {revoked}");
    let mei = client.traveller("only-a-good-key").await;
    mei.get(PRODUCTS).await.problem(401, "API_KEY_REQUIRED");
}

#[tokio::test]
async fn r_ota_01_a_key_follows_another_without_a_gap_and_all_of_it_is_in_the_audit_but_no_key() {
    let client = Client::new();
    let (admin, first) = (client.administrator().await, client.partner("rotation").await);
    let path = "/admin/ota/partners/rotation/keys";
    let second = another_key(&admin, &first).await;
    first.get(PRODUCTS).await.ok();
    second.get(PRODUCTS).await.ok();
    assert_eq!(revoke(&admin, &first).await.status, 204);
    assert_eq!(revoke(&admin, &first).await.status, 204, "it is already so");
    first.get(PRODUCTS).await.problem(401, "INVALID_API_KEY");
    second.get(PRODUCTS).await.ok();

    let listed = admin.get(path).await;
    assert!(!listed.text.contains(&first.key) && !listed.text.contains(&second.key));
    let keys = listed.ok()["keys"].as_array().unwrap().clone();
    let of = |partner: &Partner| keys.iter().find(|key| key["keyId"] == json!(partner.key_id)).unwrap();
    assert_eq!(keys.len(), 2);
    assert!(of(&first)["revokedAt"].is_string() && of(&second)["revokedAt"].is_null(), "{keys:?}");
    assert!(keys.iter().all(|key| key["lastUsedAt"].is_string()), "{keys:?}");

    let foreign = client.partner("rotation-of-others").await;
    let foreign = Partner { id: "rotation".to_owned(), ..foreign };
    revoke(&admin, &foreign).await.problem(404, "NOT_CONFIGURED");
    foreign.get(PRODUCTS).await.ok();
    let audit = eventually("the audit has all of it", async || {
        let audit = admin.get("/admin/audit-logs?entity=partner+key&limit=100").await;
        let entries = audit.clone().ok()["entries"].as_array().unwrap().clone();
        let of_it = |entry: &&Value| entry.to_string().contains(&first.key_id);
        let actions: BTreeSet<String> = entries.iter().filter(of_it).map(|entry| text(&entry["action"])).collect();
        (actions.len() == 2).then_some(audit.text)
    })
    .await;
    assert!(!audit.contains("dt_"), "no key is written down");
}

#[tokio::test]
async fn r_ota_01_of_130_calls_at_once_exactly_100_are_answered_whichever_key_they_come_with() {
    let client = Client::new();
    let (admin, klook) = (client.administrator().await, client.partner("calls-often").await);
    let (second, ctrip) = (another_key(&admin, &klook).await, client.partner("calls-seldom").await);
    let calls = (0..130).map(|number| if number % 2 == 0 { &klook } else { &second });
    let answers = join_all(calls.map(|partner| partner.get("/api/ota/inventory?productIds=106"))).await;

    let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((good.len(), refused.len()), (100, 30));
    let remaining: BTreeSet<_> = good.iter().map(|answer| header(answer, "ratelimit-remaining").unwrap()).collect();
    assert_eq!(remaining, (0..100).collect(), "each is told what is left after it");
    for answer in refused {
        let answer = answer.problem(429, "RATE_LIMITED");
        let after = header(&answer, "retry-after").unwrap();
        assert!((1..=60).contains(&after), "{after}");
        assert_eq!(header(&answer, "ratelimit-limit"), Some(100));
        assert_eq!(header(&answer, "ratelimit-remaining"), Some(0));
        assert_eq!(header(&answer, "ratelimit-reset"), Some(after));
    }
    assert_eq!(header(&ctrip.get(PRODUCTS).await, "ratelimit-remaining"), Some(99), "another partner has its own");
    let spoilt = ctrip.get("/api/ota/products?productIds=x").await.problem(422, "INVALID_PARAMETER");
    assert_eq!(header(&spoilt, "ratelimit-remaining"), Some(98), "what is refused for what it says was a call");
}

/// A call of which the server has the head, and not yet the body.
struct UnderWay {
    stream: TcpStream,
    body: String,
}

impl UnderWay {
    async fn begin(partner: &Partner, path: &str, body: &Value) -> UnderWay {
        let address = partner.client.server.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (key, body) = (&partner.key, body.to_string());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        UnderWay { stream, body }
    }

    /// Sends the body; the status of the answer.
    async fn end(mut self) -> u16 {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).await.unwrap();
        let head = String::from_utf8_lossy(&answer);
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn r_ota_01_when_a_key_is_revoked_calls_under_way_end_and_the_next_is_refused() {
    // So many that those who ask how many were admitted take no place of those who are.
    let client = Client::of(another(&[("DEEPTRAVEL__OTA__RATE_LIMIT_PER_MINUTE", "100000")]));
    let (admin, partner) = (client.administrator().await, client.seller("revoked-meanwhile", 91_003, 50).await);
    let wishes: Vec<Value> = (0..50).map(|number| generation(91_003, 1, &format!("B-{number}"))).collect();
    let calls = join_all(wishes.iter().map(|wish| UnderWay::begin(&partner, GENERATE, wish))).await;
    let mut asked = 0;
    eventually("all are admitted", async || {
        let remaining = header(&partner.get(PRODUCTS).await, "ratelimit-remaining")?;
        asked += 1;
        (100_000 - remaining == 50 + asked).then_some(())
    })
    .await;

    assert_eq!(revoke(&admin, &partner).await.status, 204);
    partner.get(PRODUCTS).await.problem(401, "INVALID_API_KEY");

    let statuses = join_all(calls.into_iter().map(UnderWay::end)).await;
    assert_eq!(statuses, [201; 50]);
    partner.get(PRODUCTS).await.problem(401, "INVALID_API_KEY");
}

#[tokio::test]
async fn r_ota_01_keys_and_what_is_set_aside_are_there_after_a_restart() {
    let server = another(&[("DEEPTRAVEL__OTA__RATE_LIMIT_PER_MINUTE", "5")]);
    let client = Client::of(server);
    let (admin, partner) = (client.administrator().await, client.partner("after-a-restart").await);
    let gone = another_key(&admin, &partner).await;
    revoke(&admin, &gone).await;
    let allotments = "/admin/ota/partners/after-a-restart/allotments";
    admin.put(allotments, &json!([{ "productId": 107, "quantity": 7 }])).await.ok();
    assert_eq!(header(&partner.get(PRODUCTS).await, "ratelimit-limit"), Some(5), "as configured");

    let client = Client::of(server.restart(&[]));
    let again = |partner: &Partner| Partner { client: client.clone(), ..partner.clone() };
    assert_eq!(again(&partner).available(107).await, Some(7));
    again(&gone).get(PRODUCTS).await.problem(401, "INVALID_API_KEY");
    let admin = client.administrator().await;
    let shown = admin.get(allotments).await.ok();
    assert_eq!(shown["allotments"], json!([{ "productId": 107, "quantity": 7, "available": 7 }]), "{shown}");
}

#[tokio::test]
async fn r_ota_02_an_allotment_is_the_partners_and_nobody_elses() {
    let client = Client::new();
    let admin = client.administrator().await;
    product(&admin, "Allotted", 91_001, Some(100)).await;
    product(&admin, "Allotted too", 91_002, Some(10)).await;
    let (klook, ctrip) = (client.partner("has-some").await, client.partner("has-none").await);
    let put = async |wanted: Value| admin.put("/admin/ota/partners/has-some/allotments", &wanted).await;

    put(json!([{ "productId": 91_001, "quantity": 60 }, { "productId": 999_999, "quantity": 1 }]))
        .await
        .names("allotments[1].productId");
    assert_eq!(klook.available(91_001).await, Some(0), "nothing changed");
    put(json!([{ "productId": 91_001, "quantity": 101 }])).await.names("allotments[0].quantity");
    // The second stock has less: the first goes back to what it was.
    put(json!([{ "productId": 91_001, "quantity": 60 }, { "productId": 91_002, "quantity": 11 }]))
        .await
        .names("allotments[1].quantity");
    assert_eq!(klook.available(91_001).await, Some(0));

    let written = put(json!([{ "productId": 91_001, "quantity": 60 }])).await.ok();
    assert_eq!((&written["version"], &written["idempotent"]), (&json!(1), &json!(false)), "{written}");
    assert_eq!([klook.available(91_001).await, ctrip.available(91_001).await], [Some(60), Some(0)]);
    let directly = async || {
        let id = text(&klook.get("/api/ota/products?productIds=91001").await.ok()["products"][0]["templateId"]);
        client.get(&format!("/catalog/{id}")).await.ok()["available"].as_u64()
    };
    assert_eq!(directly().await, Some(40), "direct sale has the rest");
    put(json!([])).await.ok();
    assert_eq!((klook.available(91_001).await, directly().await), (Some(0), Some(100)));
    let history = eventually("the history", async || {
        let history = admin.get("/admin/ota/partners/has-some/allotments/history").await.ok();
        (history["revisions"].as_array().unwrap().len() == 2).then_some(history)
    })
    .await;
    assert_eq!(history["revisions"][1]["content"]["allotments"][0]["quantity"], 60);
}

#[tokio::test]
async fn r_ota_05_r_ota_10_a_product_has_the_prices_of_direct_sale_by_customer_and_day() {
    let client = Client::new();
    let partner = client.partner("looks-at-prices").await;
    let answer = partner.get("/api/ota/products?productIds=106,108").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let listed = answer.ok();
    assert_eq!(listed["totalCount"], 2);
    let deluxe = &listed["products"][1];
    assert_eq!((&deluxe["productId"], deluxe["entitlements"].as_array().unwrap().len()), (&json!(108), 4), "{deluxe}");
    let price = |kind: &str, day: &str, amount: u32| json!({ "customerType": kind, "dayType": day, "price": { "amount": amount, "currency": "CNY" } });
    let of_deluxe = json!([
        price("adult", "weekday", 36_800),
        price("adult", "weekend_or_holiday", 42_800),
        price("child", "weekday", 18_400),
        price("child", "weekend_or_holiday", 21_400),
        price("senior", "weekday", 29_400),
        price("senior", "weekend_or_holiday", 34_200),
    ]);
    assert_eq!(deluxe["pricing"], of_deluxe);
    let premium = json!([price("adult", "any", 22_000), price("child", "any", 11_000), price("senior", "any", 15_400)]);
    assert_eq!(listed["products"][0]["pricing"], premium, "a ticket is one unit, whatever a party of four has");

    let inventory = partner.get("/api/ota/inventory?productIds=108").await.ok();
    assert_eq!(inventory["availableQuantities"], json!({ "108": 0 }), "nothing is set aside for it");
    assert_eq!(inventory["productInfo"]["108"]["pricing"], of_deluxe);
    assert_eq!(inventory["pricingContext"]["currency"], "CNY");
    let all = partner.get(PRODUCTS).await.ok();
    assert!(all["totalCount"].as_u64() >= Some(5), "{}", all["totalCount"]);
    for spoilt in ["106,", "x", "106,999999999", "-1", "%20106", "1234567890"] {
        let refused = partner.get(&format!("/api/ota/inventory?productIds={spoilt}")).await;
        let refused = refused.problem(422, "INVALID_PARAMETER");
        assert_eq!(refused.body["errors"][0]["field"], "productIds", "{spoilt}");
    }
    let too_many = format!("/api/ota/inventory?productIds={}107,garbage", "106,".repeat(201));
    partner.get(&too_many).await.problem(422, "INVALID_PARAMETER");
}

#[tokio::test]
async fn r_ota_02_the_demos_partners_have_keys_and_what_the_contract_sets_aside() {
    let client = Client::of(another(&[]));
    for (name, units) in [("a", [1_500, 1_000, 1_000]), ("b", [500, 500, 500])] {
        let (id, key) = (format!("partner-{name}"), format!("dt_demo_partner_{name}"));
        let partner = Partner { client: client.clone(), id, key_id: String::new(), key };
        let inventory = partner.get("/api/ota/inventory?productIds=106,107,108").await.ok();
        let expected = json!({ "106": units[0], "107": units[1], "108": units[2] });
        assert_eq!(inventory["availableQuantities"], expected);
    }
}

#[tokio::test]
async fn r_ota_01_a_partner_has_so_many_keys_and_no_more() {
    let client = Client::new();
    let (admin, partner) = (client.administrator().await, client.partner("many-keys").await);
    for _ in 1..10 {
        another_key(&admin, &partner).await;
    }
    let path = "/admin/ota/partners/many-keys/keys";
    admin.send(Method::POST, path).await.problem(409, "KEY_LIMIT");
    revoke(&admin, &partner).await;
    another_key(&admin, &partner).await;
    admin.send(Method::POST, "/admin/ota/partners/nobody/keys").await.problem(404, "NOT_CONFIGURED");
    let page = admin.get(&format!("{path}?limit=10")).await.ok();
    assert_eq!(page["keys"].as_array().unwrap().len(), 10);
    let next = admin.get(&format!("{path}?limit=10&cursor={}", text(&page["nextCursor"]))).await.ok();
    assert_eq!(next["keys"].as_array().unwrap().len(), 1, "ten good ones and a revoked one");
}

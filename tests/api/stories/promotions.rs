//! Promotions as administrators put them and travellers see them (R-PRICE-03, R-ADMIN-05).

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{self, another};
use crate::shop::{self, text};

fn spring(limit: Option<u32>) -> Value {
    let mut promotion = json!({
        "name": { "zh": "春季", "en": "Spring" }, "automatic": false, "kind": "percent", "value": 10, "minParty": 2,
        "routeCodes": ["hzm-hk-zh"], "validFrom": "2026-03-01", "validUntil": "2099-05-31",
    });
    if let Some(limit) = limit {
        promotion["limitTotal"] = limit.into();
    }
    promotion
}

#[tokio::test]
async fn r_price_03_a_promotion_is_put_and_shown_to_everybody_until_it_is_withdrawn() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    client.get("/promotions/SPRING").await.problem(404, "PROMOTION_NOT_FOUND");

    let put = admin.put("/admin/promotions/SPRING", &spring(Some(50))).await.ok();
    assert_eq!((&put["code"], &put["version"], &put["idempotent"]), (&json!("SPRING"), &json!(1), &json!(false)));
    let again = admin.put("/admin/promotions/SPRING", &spring(Some(50))).await.ok();
    assert_eq!(again["idempotent"], true);
    let shown = admin.get("/admin/promotions/SPRING").await.ok();
    assert_eq!((&shown["limitTotal"], &shown["uses"]), (&json!(50), &json!(0)));
    let detail = client.get("/promotions/SPRING").await.ok();
    assert_eq!((&detail["percent"], &detail["minParty"]), (&json!(10), &json!(2)));
    assert_eq!((&detail["routeCodes"], &detail["exhausted"]), (&json!(["hzm-hk-zh"]), &json!(false)));
    assert_eq!(detail["validUntil"], "2099-06-01T00:00:00+08:00", "its last day is part of it");

    admin.put("/admin/promotions/SPRING", &spring(None)).await.ok();
    admin.delete("/admin/promotions/SPRING").await.ok();
    client.get("/promotions/SPRING").await.problem(404, "PROMOTION_NOT_FOUND");
    let versions = admin.get("/admin/promotions/SPRING/history").await.ok();
    assert_eq!(versions["revisions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn r_admin_05_a_promotion_that_cannot_be_is_refused_by_the_field() {
    let client = Client::of(another(&[]));
    let admin = client.administrator().await;
    for (field, value, named) in [
        ("value", json!(101), "value"),
        ("minParty", json!(11), "minParty"),
        ("routeCodes", json!(["nowhere"]), "routeCodes[0]"),
        ("validUntil", json!("2026-02-01"), "validUntil"),
        ("channels", json!(["direct", "direct"]), "channels"),
        ("limitTotal", json!(0), "limitTotal"),
    ] {
        let mut promotion = spring(None);
        promotion[field] = value;
        admin.put("/admin/promotions/WRONG", &promotion).await.names(named);
    }
}

/// A package of a test alone, of which 20,000 are to be paid for an adult.
async fn package(client: &Client, name: &str) -> String {
    let mut template = shop::template(name);
    // One template has it, which is another story's.
    template.as_object_mut().unwrap().remove("productId");
    text(&client.administrator().await.post("/admin/packages/templates", &template).await.ok()["templateId"])
}

/// A tenth off that package, with more to say.
async fn promote(client: &Client, code: &str, template: &str, more: Value) {
    let mut promotion = json!({
        "name": { "zh": "春季", "en": "Spring" }, "automatic": false, "kind": "percent", "value": 10,
        "templateIds": [template], "validFrom": "2026-03-01", "validUntil": "2099-05-31",
    });
    let Value::Object(more) = more else { panic!("fields, not {more}") };
    promotion.as_object_mut().unwrap().extend(more);
    client.administrator().await.put(&format!("/admin/promotions/{code}"), &promotion).await.ok();
}

/// An order of the package for two.
fn with_code(template: &str, code: &str) -> Value {
    let mut wish = shop::wish(&[json!({ "kind": "package", "templateId": template })], 2);
    wish["promotionCode"] = code.into();
    wish
}

#[tokio::test]
async fn r_price_03_a_code_lowers_the_price_and_its_use_comes_back_with_a_cancelled_order() {
    let client = Client::new();
    let template = package(&client, "promoted").await;
    promote(&client, "ONE-USE", &template, json!({ "limitTotal": 1 })).await;
    let mei = client.traveller("promotion-mei").await;
    let wish = with_code(&template, "ONE-USE");
    let key = shop::new_key();
    let order = mei.place_with(&key, &wish).await.ok();
    assert_eq!(order["amount"], json!({ "amount": 36_000, "currency": "CNY" }));
    let promoted = json!([{ "code": "ONE-USE", "discount": { "amount": 4_000, "currency": "CNY" } }]);
    assert_eq!(order["promotions"], promoted);
    let line = &order["priceLines"][0];
    assert_eq!((&line["discount"]["amount"], &line["total"]["amount"]), (&json!(4_000), &json!(36_000)));
    assert!(text(&line["explanation"]).ends_with("promotion ONE-USE, revision 1"), "{line}");

    assert_eq!(mei.place_with(&key, &wish).await.ok()["orderId"], order["orderId"]);
    let mut other = wish.clone();
    other.as_object_mut().unwrap().remove("promotionCode");
    mei.place_with(&key, &other).await.problem(422, "IDEMPOTENCY_MISMATCH");
    let exhausted = async || client.get("/promotions/ONE-USE").await.ok()["exhausted"].clone();
    assert_eq!(exhausted().await, true);
    let lok = client.traveller("promotion-lok").await;
    lok.place_with(&shop::new_key(), &wish).await.problem(409, "PROMOTION_EXHAUSTED");
    mei.cancel(&order).await.ok();
    assert_eq!(exhausted().await, false);

    let order = lok.place_with(&shop::new_key(), &wish).await.ok();
    let paid = lok.pay(&order).await;
    assert_eq!((&paid["amount"]["amount"], &paid["promotions"]), (&json!(36_000), &promoted));
    assert_eq!(client.administrator().await.get("/admin/promotions/ONE-USE").await.ok()["uses"], 1);
    mei.place_with(&shop::new_key(), &wish).await.problem(409, "PROMOTION_EXHAUSTED");
}

#[tokio::test]
async fn r_price_03_a_code_that_does_not_fit_names_its_field() {
    let client = Client::new();
    let template = package(&client, "unfit").await;
    promote(&client, "UNFIT-GROUPS", &template, json!({ "minParty": 3 })).await;
    promote(&client, "UNFIT-OVER", &template, json!({ "validUntil": "2026-03-02" })).await;
    promote(&client, "UNFIT-CHILD", &template, json!({ "passengerTypes": ["child"] })).await;
    let mei = client.traveller("promotion-unfit").await;
    for code in ["UNFIT-NONE", "UNFIT-GROUPS", "UNFIT-OVER", "UNFIT-CHILD", "no code at all", ""] {
        mei.place_with(&shop::new_key(), &with_code(&template, code)).await.names("promotionCode");
    }
}

#[tokio::test]
async fn r_price_03_an_automatic_promotion_is_each_travellers_as_often_as_it_says() {
    let client = Client::new();
    let template = package(&client, "automatic").await;
    promote(&client, "BY-ITSELF", &template, json!({ "automatic": true, "limitPerTraveller": 1 })).await;
    promote(&client, "AND-MORE", &template, json!({ "kind": "amount", "value": 1_000 })).await;
    let found = client.search("HK", "ZH", server::day(4), "&adults=2").await.ok();
    let is_it = |offer: &&Value| offer["templateId"] == template.as_str();
    let offer = found["packages"].as_array().unwrap().iter().find(is_it).unwrap();
    let promotion = json!({ "code": "BY-ITSELF", "discount": { "amount": 4_000, "currency": "CNY" } });
    assert_eq!((&offer["price"]["amount"], &offer["promotion"]), (&json!(36_000), &promotion));
    let mei = client.traveller("promotion-automatic").await;
    let items = [json!({ "kind": "package", "templateId": template })];
    let amounts = [mei.place(&items, 2).await.ok(), mei.place(&items, 2).await.ok()];
    assert_eq!(amounts.map(|order| order["amount"]["amount"].clone()), [json!(36_000), json!(40_000)]);
    let lok = client.traveller("promotion-automatic-too").await;
    let both = lok.place_with(&shop::new_key(), &with_code(&template, "AND-MORE")).await.ok();
    assert_eq!(both["amount"]["amount"], 35_000);
    let codes: Vec<&Value> = both["promotions"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["BY-ITSELF", "AND-MORE"]);
}

//! Promotions as administrators put them and travellers see them (R-PRICE-03, R-ADMIN-05).

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::another;

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

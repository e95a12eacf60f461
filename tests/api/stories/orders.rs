//! Orders and their keys, limits and lists (R-HOLD-01, R-HOLD-05, R-HOLD-08).

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::Client;
use crate::shop::{at, chosen, eventually, id, journey, new_key, seats, wish};

#[tokio::test]
async fn r_hold_01_an_order_is_pending_with_its_seats_and_the_end_of_its_lock() {
    let client = Client::new();
    let mei = client.traveller("pending").await;
    let coach = client.coach().await;
    let order = mei.place(&[journey(&coach)], 2).await;
    assert_eq!(order.status, 201);
    assert_eq!(order.headers["location"].to_str().unwrap(), format!("/orders/{}", id(&order.body)));
    let order = order.body;
    assert_eq!(order["status"], "pending");
    let lock = at(&order["lockExpireAt"]).duration_since(at(&order["createdAt"]));
    assert_eq!(lock.as_secs(), 600, "ten minutes on this route");
    assert_eq!((order["passengers"].as_array().unwrap().len(), seats(&order).len()), (2, 2));
    assert_eq!(order["entitlements"][0]["quantity"], 2);
    assert_eq!(order["tickets"], Value::Null);
    assert_eq!(mei.shown(&order).await, order);
}

#[tokio::test]
async fn r_hold_05_the_same_key_gives_the_same_order_also_when_asked_at_once() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("same-key").await, client.traveller("also-same-key").await);
    let coach = client.coach().await;
    let (key, body) = (new_key(), wish(&[journey(&coach)], 2));

    let answers = join_all((0..12).map(|_| mei.place_with(&key, &body))).await;
    let new = answers.iter().filter(|answer| answer.status == 201).count();
    let repeated = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((new, repeated), (1, 11));
    assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    assert_eq!(client.available(&coach, "").await, 33);

    mei.place_with(&key, &wish(&[journey(&coach)], 1)).await.problem(422, "IDEMPOTENCY_MISMATCH");
    let others = bo.place_with(&key, &body).await;
    assert_eq!(others.status, 201, "a key belongs to its traveller");
    assert_ne!(others.body["orderId"], answers[0].body["orderId"]);
    mei.cancel(&answers[0].body).await.ok();
    let later = mei.place_with(&key, &body).await;
    assert_eq!((later.status, &later.body["status"]), (200, &json!("cancelled")), "it stays that order");
}

#[tokio::test]
async fn r_hold_05_a_refusal_is_not_remembered() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("refused").await, client.traveller("was-there-first").await);
    let coach = client.coach().await;
    let first = bo.place(&[chosen(&coach, &["01A"])], 1).await.ok();
    let (key, body) = (new_key(), wish(&[chosen(&coach, &["01A"])], 1));
    for _ in 0..2 {
        mei.place_with(&key, &body).await.problem(409, "SEAT_TAKEN");
    }
    bo.cancel(&first).await.ok();
    assert_eq!(mei.place_with(&key, &body).await.status, 201);
}

#[tokio::test]
async fn r_hold_05_an_order_without_a_key_or_with_an_impossible_one_is_not_taken() {
    let client = Client::new();
    let mei = client.traveller("keyless").await;
    let coach = client.coach().await;
    let body = wish(&[journey(&coach)], 1);
    mei.post("/orders", &body).await.problem(400, "IDEMPOTENCY_KEY_REQUIRED");
    for key in ["k".repeat(65), "with space".to_owned()] {
        assert!((400..500).contains(&mei.place_with(&key, &body).await.status), "{key}");
    }
    assert_eq!(client.available(&coach, "").await, 35);
}

#[tokio::test]
async fn r_hold_02_a_party_that_does_not_fit_hears_how_many_seats_are_left() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("fills").await, client.traveller("comes-late").await);
    let coach = client.coach().await;
    for party in [10, 10, 10, 4] {
        mei.place(&[journey(&coach)], party).await.ok();
    }
    let refusal = bo.place(&[journey(&coach)], 2).await.problem(409, "SOLD_OUT");
    assert_eq!(refusal.body["available"], 1);
    bo.place(&[journey(&coach)], 1).await.ok();
    let refusal = bo.place(&[journey(&coach)], 1).await.problem(409, "SOLD_OUT");
    assert_eq!(refusal.body["available"], 0);
}

#[tokio::test]
async fn r_hold_08_nobody_holds_more_than_five_unpaid_orders() {
    let client = Client::new();
    let mei = client.traveller("greedy").await;
    let coach = client.coach().await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(mei.place(&[journey(&coach)], 1).await.ok());
    }
    let (key, body) = (new_key(), wish(&[journey(&coach)], 1));
    mei.place_with(&key, &body).await.problem(409, "LOCK_LIMIT");
    assert_eq!(client.available(&coach, "").await, 30);

    mei.cancel(&orders[0]).await.ok();
    let sixth = async || Some(mei.place_with(&key, &body).await).filter(|answer| answer.status != 409);
    assert_eq!(eventually("a place for another order", sixth).await.status, 201);
    mei.pay(&orders[1]).await;
    let seventh = async || Some(mei.place(&[journey(&coach)], 1).await).filter(|answer| answer.status != 409);
    assert_eq!(eventually("a paid order counts no longer", seventh).await.status, 201);
    mei.place(&[journey(&coach)], 1).await.problem(409, "LOCK_LIMIT");
}

#[tokio::test]
async fn r_hold_08_five_at_once_are_five_and_not_more() {
    let client = Client::new();
    let mei = client.traveller("greedy-and-quick").await;
    let coach = client.coach().await;
    let items = [journey(&coach)];
    let answers = join_all((0..12).map(|_| mei.place(&items, 1))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 5);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "LOCK_LIMIT");
    }
    assert_eq!(client.available(&coach, "").await, 30);
}

#[tokio::test]
async fn somebody_elses_order_is_not_there() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("mine").await, client.traveller("not-mine").await);
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    let theirs = id(&order);
    for id in [theirs.as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV", "x"] {
        bo.get(&format!("/orders/{id}")).await.problem(404, "ORDER_NOT_FOUND");
        bo.get(&format!("/orders/{id}/qr")).await.problem(404, "ORDER_NOT_FOUND");
        bo.get(&format!("/payments/{id}/status")).await.problem(404, "ORDER_NOT_FOUND");
        bo.post(&format!("/orders/{id}/cancel"), &json!({})).await.problem(404, "ORDER_NOT_FOUND");
        bo.post("/payments/wechat/session", &json!({ "orderId": id })).await.problem(404, "ORDER_NOT_FOUND");
    }
    assert_eq!(bo.get("/orders").await.ok()["orders"], json!([]));
    assert_eq!(mei.status(&order).await, "pending");
}

#[tokio::test]
async fn a_list_shows_what_its_reader_has_just_done_and_pages_from_the_newest() {
    let client = Client::new();
    let mei = client.traveller("lists").await;
    let coach = client.coach().await;
    let mut placed: Vec<String> = Vec::new();
    for _ in 0..5 {
        let order = mei.place(&[journey(&coach)], 1).await.ok();
        placed.insert(0, id(&order));
        let list = mei.get("/orders").await.ok();
        let listed: Vec<String> = list["orders"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(listed, placed, "at once, the newest first");
        assert_eq!(list["nextCursor"], Value::Null);
    }

    let mut paged = Vec::new();
    let mut path = "/orders?limit=2".to_owned();
    let mut sizes = Vec::new();
    loop {
        let page = mei.get(&path).await.ok();
        let orders = page["orders"].as_array().unwrap();
        sizes.push(orders.len());
        paged.extend(orders.iter().map(id));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/orders?limit=2&cursor={cursor}");
    }
    assert_eq!((sizes, paged), (vec![2, 2, 1], placed.clone()));

    mei.post(&format!("/orders/{}/cancel", placed[0]), &json!({})).await.ok();
    let cancelled = mei.get("/orders?status=cancelled").await.ok();
    assert_eq!(cancelled["orders"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), placed[..1]);
    let pending = mei.get("/orders?status=pending").await.ok();
    assert_eq!(pending["orders"].as_array().unwrap().len(), 4);
    for (query, field) in [("limit=0", "limit"), ("limit=101", "limit"), ("cursor=!", "cursor"), ("status=x", "status")]
    {
        mei.get(&format!("/orders?{query}")).await.names(field);
    }
}

#[tokio::test]
async fn a_documents_number_is_masked_in_answers_and_sealed_wherever_it_is_kept() {
    const NUMBER: &str = "QX7719264083Z";
    let client = Client::new();
    let mei = client.traveller("passport").await;
    let mut body = wish(&[journey(&client.coach().await)], 1);
    body["passengers"][0]["document"] = json!({ "type": "passport", "number": NUMBER });
    let placed = mei.place_with(&new_key(), &body).await;
    let order = placed.clone().ok();
    assert_eq!(order["passengers"][0]["document"], json!({ "type": "passport", "number": "*********083Z" }));
    let paid = mei.pay(&order).await;
    let list = mei.get("/orders").await;
    for text in [placed.text, paid.to_string(), list.text] {
        assert!(!text.contains(NUMBER), "{text}");
    }

    // The list has waited for the projector.
    let database = client.database().await;
    let kept: i64 = database
        .query_one(
            "SELECT count(*) FROM order_passengers WHERE order_id = $1 AND document_sealed IS NOT NULL",
            &[&id(&order)],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(kept, 1);
    let tables = database
        .query("SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'", &[])
        .await
        .unwrap();
    assert!(tables.len() > 20);
    for table in tables {
        let table: String = table.get(0);
        // A row as text shows bytes in hexadecimal.
        let query = format!(
            "SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%' || $1 || '%' OR t::text LIKE '%' || $2 || '%'"
        );
        let hexadecimal = hex::encode(NUMBER);
        let found: i64 = database.query_one(&query, &[&NUMBER, &hexadecimal]).await.unwrap().get(0);
        assert_eq!(found, 0, "in {table}");
    }
    let journal = client.server.data_dir.join("journal");
    let grep = std::process::Command::new("grep").args(["-rlaF", NUMBER]).arg(journal).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "", "in the journal");
    assert_eq!(grep.status.code(), Some(1), "{}", String::from_utf8_lossy(&grep.stderr));
}

//! Seats that are held before there is an order (R-HOLD-07), from the seat map (R-HOLD-06), and what they count (R-HOLD-08).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::another;
use crate::shop::{at, eventually, journey, new_key, reservation, reserved, seats, text, wish};

/// Labels of the seats of a reservation.
fn labels(reservation: &Value) -> Vec<String> {
    reservation["seatNumbers"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn r_hold_06_07_seats_picked_from_the_map_are_reserved_then_ordered_and_paid() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("reserves").await, client.traveller("picks-the-same").await);
    let coach = client.coach().await;
    let picked = json!({ "departureId": coach, "seatClass": "standard", "seatNumbers": ["08D", "01A"] });

    let before = Timestamp::now();
    let made = mei.reserve(&picked).await;
    assert_eq!(made.status, 201);
    let (made, lock) = (made.ok(), SignedDuration::from_mins(10));
    assert_eq!(labels(&made), ["08D", "01A"]);
    let expiry = at(&made["lockExpireAt"]);
    assert!(before + lock - SignedDuration::from_secs(2) < expiry && expiry < Timestamp::now() + lock);
    let map = client.get(&format!("/departures/{coach}")).await.ok()["seatMap"].clone();
    let taken = map.as_array().unwrap().iter().filter(|seat| seat["free"] == false);
    assert_eq!(taken.map(|seat| text(&seat["seatNumber"])).collect::<Vec<_>>(), ["01A", "08D"]);
    bo.reserve(&picked).await.problem(409, "SEAT_TAKEN");

    let order = mei.place(&[reserved(&made)], 2).await;
    assert_eq!(order.status, 201);
    let order = order.ok();
    assert_eq!((seats(&order), &order["lockExpireAt"]), (labels(&made), &made["lockExpireAt"]));
    assert_eq!(client.available(&coach, "").await, 33, "no seat twice");
    mei.place(&[reserved(&made)], 2).await.problem(409, "RESERVATION_ENDED");
    mei.release(&made).await.problem(404, "RESERVATION_NOT_FOUND");
    let paid = mei.pay(&order).await;
    assert_eq!(paid["tickets"].as_array().unwrap().len(), 2);
    assert_eq!(client.available(&coach, "").await, 33);
}

#[tokio::test]
async fn r_hold_05_07_a_key_names_its_reservation_and_no_order() {
    let client = Client::new();
    let mei = client.traveller("reserves-again").await;
    let coach = client.coach().await;
    let key = new_key();
    let first = mei.reserve_with(&key, &reservation(&coach, 2)).await;
    let again = mei.reserve_with(&key, &reservation(&coach, 2)).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.body, again.body);
    assert_eq!(labels(&first.body).len(), 2);
    mei.reserve_with(&key, &reservation(&coach, 3)).await.problem(422, "IDEMPOTENCY_MISMATCH");
    assert_eq!(client.available(&coach, "").await, 33);
    let order = mei.place_with(&key, &wish(&[reserved(&first.body)], 2)).await;
    assert_eq!(order.status, 201, "it is no order's key");
    mei.reserve_with(&key, &reservation(&coach, 2)).await.problem(409, "RESERVATION_ENDED");
    mei.post("/reservations", &reservation(&coach, 1)).await.problem(400, "IDEMPOTENCY_KEY_REQUIRED");
}

#[tokio::test]
async fn r_hold_07_a_reservation_is_released_and_another_travellers_does_not_exist() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("gives-back").await, client.traveller("takes").await);
    let coach = client.coach().await;
    let made = mei.reserve(&reservation(&coach, 3)).await.ok();
    bo.release(&made).await.problem(404, "RESERVATION_NOT_FOUND");
    bo.place(&[reserved(&made)], 3).await.problem(404, "RESERVATION_NOT_FOUND");
    for id in ["x", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV.R1-0800.20261224"] {
        mei.delete(&format!("/reservations/{id}")).await.problem(404, "RESERVATION_NOT_FOUND");
    }
    assert_eq!(client.available(&coach, "").await, 32);

    assert_eq!(mei.release(&made).await.status, 204);
    mei.release(&made).await.problem(404, "RESERVATION_NOT_FOUND");
    mei.place(&[reserved(&made)], 3).await.problem(409, "RESERVATION_ENDED");
    assert_eq!(client.available(&coach, "").await, 35);
}

#[tokio::test]
async fn r_hold_08_orders_and_reservations_are_five_together() {
    let client = Client::new();
    let mei = client.traveller("reserves-too-much").await;
    let coach = client.coach().await;
    mei.place(&[journey(&coach)], 1).await.ok();
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(mei.reserve(&reservation(&coach, 1)).await.ok());
    }
    mei.place(&[journey(&coach)], 1).await.problem(409, "LOCK_LIMIT");
    mei.reserve(&reservation(&coach, 1)).await.problem(409, "LOCK_LIMIT");
    mei.place(&[reserved(&made[0])], 1).await.ok();
    mei.reserve(&reservation(&coach, 1)).await.problem(409, "LOCK_LIMIT");
    assert_eq!(mei.release(&made[1]).await.status, 204);
    mei.reserve(&reservation(&coach, 1)).await.ok();
    assert_eq!(client.available(&coach, "").await, 30);
}

#[tokio::test]
async fn r_hold_02_07_what_does_not_fit_is_named_and_nothing_is_held() {
    let client = Client::new();
    let mei = client.traveller("reserves-badly").await;
    let coach = client.coach().await;
    let with = |name: &str, value: Value| {
        let mut body = reservation(&coach, 2);
        body[name] = value;
        body
    };
    for (body, field) in [
        (with("seats", json!(0)), "seats"),
        (with("seats", json!(11)), "seats"),
        (with("seats", json!(null)), "seats"),
        (with("seatNumbers", json!(["01A"])), "seatNumbers"),
        (json!({ "departureId": coach, "seatClass": "standard", "seatNumbers": [] }), "seatNumbers"),
        (json!({ "departureId": coach, "seatClass": "standard", "seatNumbers": ["99Z"] }), "seatNumbers"),
        (json!({ "departureId": coach, "seatClass": "standard", "seatNumbers": ["01A", "01A"] }), "seatNumbers"),
        (with("seatClass", json!("cargo")), "seatClass"),
        (with("departureId", json!("a b")), "departureId"),
        (with("alightStop", json!(0)), "alightStop"),
    ] {
        let answer = mei.reserve(&body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.text);
    }
    mei.reserve(&with("departureId", json!("nothing.20261224"))).await.problem(404, "DEPARTURE_NOT_FOUND");
    for _ in 0..3 {
        mei.reserve(&reservation(&coach, 10)).await.ok();
    }
    let refusal = mei.reserve(&reservation(&coach, 6)).await.problem(409, "SOLD_OUT");
    assert_eq!(refusal.body["available"], 5);

    let made = mei.reserve(&reservation(&coach, 2)).await.ok();
    let names = |field: &str, answer: crate::client::Answer| {
        let answer = answer.problem(422, "VALIDATION_ERROR");
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.text);
    };
    names("items[0].reservationId", mei.place(&[reserved(&made)], 3).await);
    names("items[1].reservationId", mei.place(&[reserved(&made), reserved(&made)], 2).await);
    let mut both = reserved(&made);
    both["departureId"] = json!(coach);
    names("items[0].departureId", mei.place(&[both], 2).await);
    assert_eq!(client.available(&coach, "").await, 3);
    mei.place(&[reserved(&made)], 2).await.ok();
}

#[tokio::test]
async fn r_hold_07_a_reservation_that_nobody_adopts_expires_like_any_other() {
    let client = Client::of(another(&[("DEEPTRAVEL__ORDER__LOCK_SECONDS", "2")]));
    let (mei, bo) = (client.traveller("mei").await, client.traveller("bo").await);
    let coach = client.coach().await;
    let made = mei.reserve(&reservation(&coach, 10)).await.ok();
    let expiry = at(&made["lockExpireAt"]);
    let picked = json!({ "departureId": coach, "seatClass": "standard", "seatNumbers": [labels(&made)[0]] });
    eventually("the seats are free", async || {
        let asked = Timestamp::now();
        let answer = bo.reserve(&picked).await;
        if answer.status == 201 {
            assert!(Timestamp::now() >= expiry, "not before the lock ends");
            return Some(());
        }
        answer.problem(409, "SEAT_TAKEN");
        assert!(asked < expiry, "at lockExpireAt the seats are free, whatever the timers do");
        None
    })
    .await;
    mei.place(&[reserved(&made)], 10).await.problem(409, "LOCK_EXPIRED");
    mei.release(&made).await.problem(404, "RESERVATION_NOT_FOUND");
}

//! Single departures as administrators change them (R-ADMIN-04).

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Person};
use crate::server::another;
use crate::shop::{COACH_SEATS, chosen, date_of, journey, text};

/// Vehicles of the demo: one with a class of its own, one with more seats than the bridge's, which has 35.
const FERRY: &str = "tjt_catamaran";
const COACH: &str = "coach_49";

impl Person {
    async fn alter(&self, departure: &str, body: &Value) -> Answer {
        let request = self.client.request(Method::PATCH, &format!("/admin/departures/{departure}"));
        self.client.send(request.bearer_auth(&self.token).json(body)).await
    }

    async fn set_aside(&self, departure: &str, allotments: &Value) -> Answer {
        self.put(&format!("/admin/departures/{departure}/allotments"), &json!({ "allotments": allotments })).await
    }

    /// What the list of its route says of a departure.
    async fn room(&self, departure: &str) -> Value {
        let (_, date) = departure.rsplit_once('.').unwrap();
        let date = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
        let shown = self.client.get(&format!("/departures/{departure}")).await.ok();
        let list = format!("/admin/departures?routeCode={}&date={date}&limit=100", text(&shown["routeCode"]));
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{list}{cursor}")).await.ok();
            if let Some(room) = page["departures"].as_array().unwrap().iter().find(|of| of["departureId"] == departure)
            {
                return room.clone();
            }
            cursor = format!("&cursor={}", text(&page["nextCursor"]));
        }
    }
}

/// Seats, held, sold and free of a class, as the list has them.
fn counts(class: &Value) -> [u64; 4] {
    ["capacity", "held", "sold", "free"].map(|name| class[name].as_u64().unwrap())
}

#[tokio::test]
async fn r_admin_04_capacity_is_changed_at_once_and_never_below_what_is_held_and_sold() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("capacity").await);
    let coach = client.coach().await;
    assert_eq!(counts(&admin.room(&coach).await["classes"][0]), [COACH_SEATS, 0, 0, COACH_SEATS], "unborn");
    let paid = mei.place(&[journey(&coach)], 2).await.ok();
    mei.pay(&paid).await;
    mei.place(&[journey(&coach)], 3).await.ok();

    let below = json!({ "classes": [{ "code": "standard", "capacity": 4 }], "status": "stopped" });
    let refused = admin.alter(&coach, &below).await.problem(409, "BELOW_USE");
    let detail = text(&refused.body["detail"]);
    assert!(detail.contains("3 are held, 2 sold"), "{detail}");
    assert_eq!(admin.room(&coach).await["status"], "on_sale", "nothing has changed");
    assert_eq!(client.available(&coach, "").await, COACH_SEATS - 5);

    let told = admin.alter(&coach, &json!({ "classes": [{ "code": "standard", "capacity": 8 }] })).await.ok();
    assert_eq!((&told["version"], &told["idempotent"]), (&json!(1), &json!(false)));
    assert_eq!(client.available(&coach, "").await, 3, "the very next request has it");
    let map = client.get(&format!("/departures/{coach}")).await.ok()["seatMap"].as_array().unwrap().clone();
    assert_eq!((map.len(), map.iter().filter(|seat| seat["free"] == true).count()), (8, 3));
    let room = admin.room(&coach).await;
    assert_eq!(counts(&room["classes"][0]), [8, 3, 2, 3]);
    assert_eq!((&room["version"], &room["retimed"]), (&json!(1), &json!(false)));
    mei.place(&[journey(&coach)], 4).await.problem(409, "SOLD_OUT");

    let again = admin.alter(&coach, &json!({ "classes": [{ "code": "standard", "capacity": 8 }] })).await.ok();
    assert_eq!((&again["version"], &again["idempotent"]), (&json!(1), &json!(true)));
    admin
        .alter(&coach, &json!({ "classes": [{ "code": "standard", "capacity": COACH_SEATS + 1 }] }))
        .await
        .names("classes");
    admin.alter(&coach, &json!({ "classes": [{ "code": "first", "capacity": 1 }] })).await.names("classes");
}

#[tokio::test]
async fn r_admin_04_another_vehicle_is_refused_with_the_seats_that_it_lacks_and_else_sold_at_once() {
    let client = Client::of(another(&[]));
    let (admin, mei) = (client.administrator().await, client.traveller("vehicle").await);
    let coach = client.coach().await;
    let map = client.get(&format!("/departures/{coach}")).await.ok()["seatMap"].as_array().unwrap().clone();
    let last = text(&map.last().unwrap()["seatNumber"]);
    mei.place(&[chosen(&coach, &[&last])], 1).await.ok();
    // The ferry has that seat, of another class.
    let refused = admin.alter(&coach, &json!({ "vehicle": FERRY })).await.problem(409, "BELOW_USE");
    assert!(text(&refused.body["detail"]).contains(&format!("seat {last} is held")), "{}", refused.text);
    assert_eq!(client.available(&coach, "").await, COACH_SEATS - 1);
    admin.alter(&coach, &json!({ "vehicle": "zeppelin" })).await.names("vehicle");
    let both = json!({ "vehicle": COACH, "classes": [{ "code": "standard", "capacity": 1 }] });
    admin.alter(&coach, &both).await.names("classes");

    admin.alter(&coach, &json!({ "vehicle": COACH })).await.ok();
    let larger = client.available(&coach, "").await;
    assert!(larger > COACH_SEATS, "{larger}");
    assert_eq!(admin.room(&coach).await["vehicle"], COACH);
    let found = client.search("HK", "ZH", date_of(&coach), "&mode=coach").await.ok();
    let found = found["routes"].as_array().unwrap().iter().find(|of| of["departureId"] == *coach).unwrap().clone();
    assert_eq!(found["seatClasses"][0]["available"], larger);
}

#[tokio::test]
async fn r_search_02_a_stopped_departure_is_not_offered_until_it_is_resumed() {
    let client = Client::new();
    let (ops, auditor) = (client.staff("ops").await, client.staff("auditor").await);
    let mei = client.traveller("stopped").await;
    let coach = client.coach().await;
    let offered = async || {
        let found = client.search("HK", "ZH", date_of(&coach), "").await.ok();
        found["routes"].as_array().unwrap().iter().any(|of| of["departureId"] == *coach)
    };
    let pending = mei.place(&[journey(&coach)], 1).await.ok();
    assert!(offered().await);

    ops.alter(&coach, &json!({ "status": "stopped" })).await.ok();

    assert!(!offered().await);
    mei.place(&[journey(&coach)], 1).await.problem(409, "BOOKING_CLOSED");
    mei.pay(&pending).await;
    assert_eq!(auditor.room(&coach).await["status"], "stopped");
    let seats = json!({ "classes": [{ "code": "standard", "capacity": 8 }] });
    ops.alter(&coach, &seats).await.problem(403, "FORBIDDEN");
    auditor.alter(&coach, &json!({ "status": "on_sale" })).await.problem(403, "FORBIDDEN");
    ops.alter(&coach, &json!({ "status": "cancelled" })).await.names("status");
    ops.alter(&coach, &json!({})).await.names("status");
    ops.alter("no-such.20290101", &json!({ "status": "stopped" })).await.problem(404, "DEPARTURE_NOT_FOUND");

    ops.alter(&coach, &json!({ "status": "on_sale" })).await.ok();
    assert!(offered().await);
    mei.place(&[journey(&coach)], 1).await.ok();
}

#[tokio::test]
async fn r_admin_04_seats_are_set_aside_for_partners_as_a_whole_list() {
    let client = Client::new();
    let (admin, mei) = (client.administrator().await, client.traveller("allotments").await);
    let coach = client.coach().await;
    let of = |partner: &str, seats: u64| json!({ "channel": format!("ota:{partner}"), "seatClass": "standard", "seats": seats });
    admin.set_aside(&coach, &json!([of("klook", 20), of("trip", 10)])).await.ok();
    assert_eq!(client.available(&coach, "").await, COACH_SEATS - 30);
    mei.place(&[journey(&coach)], 2).await.ok();
    let class = admin.room(&coach).await["classes"][0].clone();
    assert_eq!(counts(&class), [COACH_SEATS, 2, 0, COACH_SEATS - 2]);
    let channels: Vec<_> =
        class["channels"].as_array().unwrap().iter().map(|of| (text(&of["channel"]), of["free"].clone())).collect();
    let free = |channel: &str, free: u64| (channel.to_owned(), json!(free));
    assert_eq!(channels, [free("direct", COACH_SEATS - 32), free("ota:klook", 20), free("ota:trip", 10)]);

    let refused = admin.set_aside(&coach, &json!([of("klook", COACH_SEATS)])).await.problem(409, "BELOW_USE");
    assert!(text(&refused.body["detail"]).contains("2 are held and 0 sold"), "{}", refused.text);
    assert_eq!(client.available(&coach, "").await, COACH_SEATS - 32, "nothing has changed");
    admin.set_aside(&coach, &json!([of("klook", 5)])).await.ok();
    assert_eq!(client.available(&coach, "").await, COACH_SEATS - 7, "what is not named is given back");
    admin
        .set_aside(&coach, &json!([{ "channel": "direct", "seatClass": "standard", "seats": 1 }]))
        .await
        .names("allotments");
    let odd = json!([{ "channel": "klook", "seatClass": "standard", "seats": 1 }]);
    admin.set_aside(&coach, &odd).await.names("allotments[0].channel");
    admin.set_aside("no-such.20290101", &json!([])).await.problem(404, "DEPARTURE_NOT_FOUND");
}

#[tokio::test]
async fn r_admin_06_what_was_set_for_a_departure_is_there_after_a_restart() {
    let server = another(&[]);
    let client = Client::of(server);
    let admin = client.administrator().await;
    let coach = client.coach().await;
    let few = json!({ "classes": [{ "code": "standard", "capacity": 6 }], "status": "stopped" });
    admin.alter(&coach, &few).await.ok();
    let before = admin.room(&coach).await;
    let client = Client::of(server.restart(&[]));
    let (admin, mei) = (client.administrator().await, client.traveller("restarted").await);
    assert_eq!(admin.room(&coach).await, before);
    mei.place(&[journey(&coach)], 1).await.problem(409, "BOOKING_CLOSED");
    admin.alter(&coach, &json!({ "status": "on_sale" })).await.ok();
    mei.place(&[journey(&coach)], 6).await.ok();
    mei.place(&[journey(&coach)], 1).await.problem(409, "SOLD_OUT");
}

//! Tickets and their codes, as their owner sees them (R-TICKET-01, R-TICKET-03, R-TICKET-04, R-TICKET-08).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::client::{Client, passenger_name};
use crate::shop::{id, journey, text};

#[tokio::test]
async fn r_ticket_01_every_passenger_has_a_ticket_of_its_own_for_every_journey() {
    let client = Client::new();
    let mei = client.traveller("whole-family").await;
    let (there, back) = (client.coach().await, client.coach().await);
    let order = mei.place(&[journey(&there), journey(&back)], 3).await.ok();
    let paid = mei.pay(&order).await;
    let tickets = paid["tickets"].as_array().unwrap();
    assert_eq!(tickets.len(), 6);
    let seats: HashSet<(String, String)> =
        tickets.iter().map(|ticket| (text(&ticket["departure"]["departureId"]), text(&ticket["seatNumber"]))).collect();
    assert_eq!(seats.len(), 6, "a seat each");
    for departure in [&there, &back] {
        let names: HashSet<String> = tickets
            .iter()
            .filter(|ticket| ticket["departure"]["departureId"] == *departure.as_str())
            .map(|ticket| text(&ticket["passenger"]["name"]))
            .collect();
        assert_eq!(names, HashSet::from([1, 2, 3].map(passenger_name)));
    }
    for ticket in tickets {
        assert_eq!((&ticket["status"], &ticket["kind"]), (&json!("usable"), &json!("journey")));
        assert_eq!(ticket["orderId"], order["orderId"]);
        assert_eq!((&ticket["refundPending"], &ticket["changePending"]), (&json!(false), &json!(false)));
        assert_eq!(&mei.get(&format!("/tickets/{}", text(&ticket["ticketId"]))).await.ok(), ticket);
    }

    let mut listed: Vec<Value> = Vec::new();
    let mut path = "/my/tickets?limit=4".to_owned();
    loop {
        let page = mei.get(&path).await.ok();
        listed.extend(page["tickets"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/my/tickets?limit=4&cursor={cursor}");
    }
    let ids = |tickets: &[Value]| tickets.iter().map(|ticket| text(&ticket["ticketId"])).collect::<HashSet<_>>();
    assert_eq!((listed.len(), ids(&listed)), (6, ids(tickets)));
    assert_eq!(mei.get("/my/tickets?status=used").await.ok()["tickets"], json!([]));
}

#[tokio::test]
async fn r_ticket_04_a_code_comes_as_text_and_as_two_kinds_of_image() {
    let client = Client::new();
    let mei = client.traveller("shows").await;
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    let paid = mei.pay(&order).await;
    let ticket = text(&paid["tickets"][0]["ticketId"]);
    for path in [format!("/tickets/{ticket}/qr"), format!("/orders/{}/qr", id(&order))] {
        let json = mei.get(&format!("{path}?format=json")).await;
        assert_eq!(json.headers["cache-control"], "no-store");
        let (first, again) = (json.ok(), mei.get(&path).await.ok());
        assert!(text(&first["code"]).starts_with("DT1"));
        assert_ne!(first["code"], again["code"], "a fresh one every time");
        let left = crate::shop::at(&first["expiresAt"]).duration_since(jiff::Timestamp::now()).as_secs();
        assert!((40..=60).contains(&left), "{left}");
        assert_eq!(first["oneTime"], true);

        let svg = mei.get(&format!("{path}?format=svg")).await;
        assert_eq!((svg.status, svg.headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
        assert!(svg.text.contains("<svg") && svg.text.trim_end().ends_with("</svg>"));

        let request = client.request(reqwest::Method::GET, &format!("{path}?format=png")).bearer_auth(&mei.token);
        let png = request.send().await.unwrap();
        assert_eq!(png.headers()["content-type"], "image/png");
        let image = image::load_from_memory(&png.bytes().await.unwrap()).unwrap().to_luma8();
        assert_eq!(image.width(), image.height());
        assert!(image.width() >= 200);
        let dark = image.pixels().filter(|pixel| pixel.0[0] < 128).count();
        assert!((dark * 10) > image.pixels().len() * 2, "a symbol and no blank sheet");
        mei.get(&format!("{path}?format=gif")).await.names("format");

        let printed = mei.get(&format!("{path}?use=print")).await.ok();
        assert_eq!((&printed["oneTime"], &printed["expiresAt"]), (&json!(false), &paid["tickets"][0]["validUntil"]));
        assert_eq!(mei.get(&format!("{path}?use=app")).await.ok()["oneTime"], true);
        mei.get(&format!("{path}?use=tattoo")).await.names("use");
    }
}

#[tokio::test]
async fn r_ticket_08_somebody_elses_ticket_is_not_there() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("owner").await, client.traveller("nosy").await);
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    let ticket = text(&mei.pay(&order).await["tickets"][0]["ticketId"]);
    let missing = ticket.replace("-1", "-2");
    for id in [ticket.as_str(), "x"] {
        bo.get(&format!("/tickets/{id}")).await.problem(404, "TICKET_NOT_FOUND");
        for purpose in ["", "?use=app", "?use=print"] {
            bo.get(&format!("/tickets/{id}/qr{purpose}")).await.problem(404, "TICKET_NOT_FOUND");
        }
    }
    bo.get(&format!("/orders/{}/qr?use=print", id(&order))).await.problem(404, "ORDER_NOT_FOUND");
    mei.get(&format!("/tickets/{missing}")).await.problem(404, "TICKET_NOT_FOUND");
    assert_eq!(bo.get("/my/tickets").await.ok()["tickets"], json!([]));
    assert_eq!(mei.ticket_status(&json!({ "ticketId": ticket })).await, "usable");
}

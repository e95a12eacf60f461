//! Search (R-SEARCH-01 to R-SEARCH-07).

use serde_json::{Value, json};

use crate::client::{Client, passenger_name};
use crate::server::{BLACKOUT_IN_DAYS, day};
use crate::shop::{date_of, id, journey, text};

fn offer<'a>(found: &'a Value, departure: &str) -> &'a Value {
    let routes = found["routes"].as_array().unwrap();
    routes.iter().find(|route| route["departureId"] == departure).unwrap_or_else(|| panic!("{departure} in {found}"))
}

#[tokio::test]
async fn r_search_04_an_order_is_seen_by_the_next_search_at_once_and_so_is_its_end() {
    let client = Client::new();
    let mei = client.traveller("live").await;
    let coach = client.coach().await;
    for party in 1..=3 {
        let left = async || {
            let found = client.search("HK", "ZH", date_of(&coach), "").await.ok();
            offer(&found, &coach)["seatClasses"][0]["available"].as_u64().unwrap()
        };
        assert_eq!(left().await, 35);
        let order = mei.place(&[journey(&coach)], party).await.ok();
        assert_eq!(left().await, 35 - party as u64);
        assert_eq!(client.available(&coach, "").await, 35 - party as u64);
        mei.cancel(&order).await.ok();
        assert_eq!(left().await, 35, "after {}", id(&order));
    }
}

#[tokio::test]
async fn r_search_01_an_offer_says_all_that_a_traveller_compares() {
    let client = Client::new();
    let found = client.search("HK", "ZH", day(4), "&adults=2&children=1&mode=coach").await.ok();
    assert_eq!(found["availability"], "available");
    let routes = found["routes"].as_array().unwrap();
    assert!(!routes.is_empty());
    for route in routes {
        assert_eq!((&route["mode"], &route["routeCode"]), (&json!("coach"), &json!("hzm-hk-zh")));
        assert_eq!((&route["origin"]["code"], &route["destination"]["code"]), (&json!("HZHK"), &json!("HZZH")));
        assert_eq!(route["stops"].as_array().unwrap().len(), 2);
        assert_eq!(route["seatClasses"][0]["price"]["currency"], "CNY");
        assert!(route["seatClasses"][0]["price"]["amount"].as_i64().unwrap() > 0);
        for field in ["departsAt", "arrivesAt", "bookingClosesAt"] {
            assert!(text(&route[field]).ends_with("+08:00"), "{field} of {route}");
        }
        assert!(text(&route["departsAt"]).starts_with(&day(4).to_string()));
        assert!(!text(&route["refundSummary"]).is_empty());
    }
    let times: Vec<String> = routes.iter().map(|route| text(&route["departsAt"])).collect();
    assert!(times.is_sorted());
    let by_name = client.search("Hongkong", "珠海", day(4), "&adults=2&children=1&mode=coach").await.ok();
    assert_eq!(by_name["routes"].as_array().unwrap().len(), routes.len(), "names are as good as codes");
    let none = client.search("HK", "ZH", day(4), "&mode=ferry").await.ok();
    assert_eq!((&none["availability"], &none["routes"]), (&json!("none"), &json!([])));
}

#[tokio::test]
async fn r_search_02_a_blackout_date_answers_with_nothing_and_says_why() {
    let client = Client::new();
    let black = day(BLACKOUT_IN_DAYS);
    let found = client.search("HK", "GZ", black, "").await.ok();
    assert_eq!((&found["availability"], &found["routes"]), (&json!("blackout"), &json!([])));
    for other in [black.tomorrow().unwrap(), black.yesterday().unwrap()] {
        assert_eq!(client.search("HK", "GZ", other, "").await.ok()["availability"], "available");
    }

    let year = client.get(&format!("/travel/blackout-dates?year={}&routeCode=dtc-hk-gz", black.year())).await.ok();
    assert_eq!(year, json!({ "year": black.year(), "blackoutDates": [black.to_string()] }));
    let mei = client.traveller("blackout").await;
    let before = client.search("HK", "GZ", black.yesterday().unwrap(), "").await.ok();
    let sold = text(&before["routes"][0]["departureId"]);
    let compact = |date: jiff::civil::Date| date.strftime("%Y%m%d").to_string();
    let not_sold = sold.replace(&compact(black.yesterday().unwrap()), &compact(black));
    assert_ne!(sold, not_sold);
    mei.place(&[journey(&not_sold)], 1).await.problem(409, "BLACKOUT");
}

#[tokio::test]
async fn r_search_03_hot_cities_come_with_the_heaviest_first() {
    let cities = Client::new().get("/travel/hot-cities").await.ok()["cities"].clone();
    let codes: Vec<String> = cities.as_array().unwrap().iter().map(|city| text(&city["code"])).collect();
    assert_eq!(codes, ["HK", "SZ", "MO", "ZH", "GZ", "DG"]);
}

#[tokio::test]
async fn r_search_05_what_is_wrong_in_a_search_is_named() {
    let client = Client::new();
    client.search("Atlantis", "ZH", day(4), "").await.names("origin");
    client.search("HK", "Atlantis", day(4), "").await.names("destination");
    client.search("HK", "HK", day(4), "").await.names("destination");
    client.search("HK", "ZH", day(-1), "").await.names("travelDate");
    client.search("HK", "ZH", day(60), "").await.names("travelDate");
    client.search("HK", "ZH", day(4), "&adults=11").await.names("adults");
    client.search("HK", "ZH", day(4), "&adults=5&children=6").await.names("children");
    client.search("HK", "ZH", day(4), "&adults=0").await.names("adults");
    client.search("HK", "ZH", day(4), "&infants=1").await.names("infants");
    client.search("HK", "ZH", day(4), "&mode=rocket").await.names("mode");
    client.get("/travel/search?origin=HK&destination=ZH&travelDate=2026-02-30").await.names("travelDate");
    client.get("/travel/search?origin=HK&travelDate=2026-12-01").await.names("destination");
}

#[tokio::test]
async fn r_search_07_a_bigger_party_sees_and_pays_the_price_of_its_tier() {
    let client = Client::new();
    let mei = client.traveller("tiers").await;
    // From the first stop to the last: 120.00 for an adult, 60.00 for a child; 5 % off from 4, 10 % from 8.
    for (party, adults, children, total) in
        [("&adults=1", 1, 0, 12_000), ("&adults=3", 3, 0, 36_000), ("&adults=4", 4, 0, 45_600)].into_iter().chain([
            ("&adults=7", 7, 0, 79_800),
            ("&adults=8", 8, 0, 86_400),
            ("&adults=2&children=2", 2, 2, 34_200),
        ])
    {
        let found = client.search("HK", "GZ", day(8), party).await.ok();
        let routes = found["routes"].as_array().unwrap();
        let offer = routes.iter().find(|route| route["boardStop"] == 0).unwrap();
        assert_eq!(offer["seatClasses"][0]["price"], json!({ "amount": total, "currency": "CNY" }), "{party}");
        let tiers: Vec<(u64, i64)> = offer["tiers"].as_array().unwrap().iter().map(tier).collect();
        assert!(tiers.contains(&(4, 45_600)) && tiers.contains(&(8, 86_400)), "{tiers:?}");

        let mut passengers = vec![json!({ "name": passenger_name(1), "type": "adult" }); adults];
        passengers.extend(vec![json!({ "name": "Bo Siufung", "type": "child" }); children]);
        let mut body = crate::shop::wish(&[journey(&text(&offer["departureId"]))], 1);
        body["passengers"] = json!(passengers);
        let order = mei.place_with(&crate::shop::new_key(), &body).await.ok();
        assert_eq!(order["amount"], json!({ "amount": total, "currency": "CNY" }), "R-PRICE-01: as offered");
        let lines = order["priceLines"].as_array().unwrap();
        assert_eq!(lines.iter().map(|line| line["total"]["amount"].as_i64().unwrap()).sum::<i64>(), total);
        mei.cancel(&order).await.ok();
    }
}

fn tier(tier: &Value) -> (u64, i64) {
    (tier["minParty"].as_u64().unwrap(), tier["price"]["amount"].as_i64().unwrap())
}

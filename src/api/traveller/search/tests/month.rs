//! A month of searches.

use super::super::calendar::{CalendarQuery, month};
use super::*;
use serde_json::{Value, json};

fn ask(shop: &Shop, now: Timestamp, query: &str) -> Result<Value, Problem> {
    let query: CalendarQuery = parse_query(query)?;
    let live = Live { seats: &shop.board, units: &shop.stocks };
    month(&shop.catalogue, live, now, query).map(|month| serde_json::to_value(month).unwrap())
}

/// What a search of the day says: whether there is something, and the lowest price.
fn searched(shop: &Shop, now: Timestamp, query: &str, date: &str) -> (Value, Option<i64>) {
    let answer = shop.search(now, Language::English, &format!("{query}&travelDate={date}"));
    if answer.is_empty() {
        return (json!("none"), None); // The date is past, or not yet sold.
    }
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let routes = answer["routes"].as_array().unwrap();
    let classes = routes.iter().flat_map(|route| route["seatClasses"].as_array().unwrap());
    let lowest = classes.map(|class| class["price"]["amount"].as_i64().unwrap()).min();
    (answer["availability"].clone(), lowest)
}

#[test]
fn r_search_01_a_month_says_of_every_day_what_a_search_of_it_says() {
    let shop = Shop::open();
    for (from, to) in [("HK", "GZ"), ("HK", "ZH"), ("HK", "DG")] {
        for departure in &mut shop.departures(from, to, "2026-11-24") {
            departure.sell_of_each(u16::MAX);
        }
        for party in ["", "&adults=2&children=1"] {
            for (month, days) in [("2026-11", 30), ("2026-12", 31)] {
                let query = format!("origin={from}&destination={to}{party}");
                let asked = ask(&shop, NOW, &format!("{query}&month={month}")).unwrap();
                assert_eq!((&asked["month"], asked["days"].as_array().unwrap().len()), (&json!(month), days));
                for day in asked["days"].as_array().unwrap() {
                    let (availability, lowest) = searched(&shop, NOW, &query, day["date"].as_str().unwrap());
                    assert_eq!(day["availability"], availability, "{query} {day}");
                    assert_eq!(day.get("fromPrice").map(|price| price["amount"].as_i64().unwrap()), lowest, "{day}");
                }
            }
        }
    }
    let december = ask(&shop, NOW, "origin=HK&destination=GZ&month=2026-12").unwrap();
    let of = |day: usize| december["days"][day - 1]["availability"].clone();
    assert_eq!((of(14), of(15)), (json!("available"), json!("blackout")));
}

#[test]
fn r_search_05_a_month_that_is_wrong_or_over_or_not_yet_sold_is_named() {
    let shop = Shop::open();
    let field = |query: &str| ask(&shop, NOW, query).unwrap_err().errors()[0].field.to_string();
    let from_to = "origin=HK&destination=GZ";
    for month in ["2026-10", "2027-02", "2026-13", "2026-1", "2026-11-01", "december", ""] {
        assert_eq!(field(&format!("{from_to}&month={month}")), "month", "{month}");
    }
    assert_eq!(field("origin=HK&destination=HK&month=2026-12"), "destination");
    assert_eq!(field("origin=Atlantis&destination=HK&month=2026-12"), "origin");
    assert_eq!(field(&format!("{from_to}&month=2026-12&adults=11")), "adults");
    assert_eq!(field(&format!("{from_to}&month=2026-12&mode=coach")), "mode");
}

//! Promotions that apply by themselves, in the prices of searches (R-PRICE-03).

use super::super::calendar::month;
use deeptravel_domain::promotion::Promotion;
use deeptravel_domain::stock::{self, HoldAt, Place, Stock, StockId};
use serde_json::{Value, json};

use super::*;

const QUERY: &str = "origin=HK&destination=ZH&travelDate=2026-11-24&adults=2";

fn spring(more: Value) -> Promotion {
    let mut promotion = json!({
        "code": "SPRING", "name": { "zh": "春", "en": "Spring" }, "automatic": true, "kind": "percent", "value": 10,
        "routeCodes": ["hzm-hk-zh"], "validFrom": "2026-11-01", "validUntil": "2026-11-30",
    });
    let Value::Object(more) = more else { panic!("fields, not {more}") };
    promotion.as_object_mut().unwrap().extend(more);
    serde_json::from_value(promotion).unwrap()
}

impl Shop {
    /// Has one promotion, whatever it had before.
    fn promotes(&mut self, more: Value) {
        self.catalogue = put(&self.catalogue, spring(more));
    }

    /// The lowest price, and what has lowered it.
    fn price(&self, now: Timestamp, query: &str) -> (i64, Option<Value>) {
        let answer: Value = serde_json::from_str(&self.search(now, Language::English, query)).unwrap();
        let routes = answer["routes"].as_array().unwrap().iter();
        let classes = routes.flat_map(|route| route["seatClasses"].as_array().unwrap());
        let prices = classes.map(|class| (class["price"]["amount"].as_i64().unwrap(), class.get("promotion").cloned()));
        prices.min_by_key(|(price, _)| *price).unwrap()
    }

    fn month(&self, now: Timestamp) -> Vec<Value> {
        let live = Live { seats: &self.board, units: &self.stocks };
        let query = parse_query("origin=HK&destination=ZH&month=2026-11&adults=2").unwrap();
        let month = serde_json::to_value(month(&self.catalogue, live, now, query).unwrap()).unwrap();
        month["days"].as_array().unwrap().clone()
    }
}

fn tenth(price: i64) -> i64 {
    (price + 5) / 10
}

#[test]
fn r_price_03_a_search_quotes_with_an_automatic_promotion_while_it_is_valid() {
    let mut shop = Shop::open();
    let (plain, _) = shop.price(NOW, QUERY);
    shop.promotes(json!({ "validFrom": "2026-11-20T11:00:00+08:00", "validUntil": "2026-11-20T12:00:00+08:00" }));
    let lowered = plain - tenth(plain);
    let discount = json!({ "amount": tenth(plain), "currency": "CNY" });
    let with_it = (lowered, Some(json!({ "code": "SPRING", "discount": discount })));
    let hour = |hours: i64, ms: i64| NOW.plus_seconds(3_600 * hours).plus_ms(ms);
    assert_eq!(shop.price(hour(1, -1), QUERY), (plain, None));
    assert_eq!(shop.price(hour(1, 0), QUERY), with_it);
    assert_eq!(shop.price(hour(2, -1), QUERY), with_it);
    assert_eq!(shop.price(hour(2, 0), QUERY), (plain, None));
    let of = |now: Timestamp| shop.month(now)[23]["fromPrice"]["amount"].clone();
    assert_eq!((of(hour(0, 0)), of(hour(1, 0))), (json!(plain), json!(lowered)));
    assert_eq!(shop.price(hour(1, 0), &QUERY.replace("ZH", "GZ")).1, None, "another route");
}

#[test]
fn r_price_03_what_needs_a_code_or_is_for_others_is_not_quoted() {
    let mut shop = Shop::open();
    let plain = shop.price(NOW, QUERY);
    for more in [
        json!({ "automatic": false }),
        json!({ "channels": ["ota"] }),
        json!({ "minParty": 3 }),
        json!({ "passengerTypes": ["child"] }),
        json!({ "travelFrom": "2026-12-01" }),
        json!({ "routeCodes": [], "templateIds": [] , "validUntil": "2026-11-19" }),
    ] {
        shop.promotes(more);
        assert_eq!(shop.price(NOW, QUERY), plain);
    }
    shop.promotes(json!({ "minParty": 2 }));
    assert!(shop.price(NOW, QUERY).0 < plain.0);
    shop.search_all("HK", "ZH", "2026-11-24");
}

#[test]
fn r_price_03_a_promotion_that_has_run_out_is_no_longer_quoted_and_one_that_comes_back_is() {
    let mut shop = Shop::open();
    let plain = shop.price(NOW, QUERY);
    shop.promotes(json!({ "limitTotal": 1, "limitPerTraveller": 1 }));
    let lowered = shop.price(NOW, QUERY);
    assert!(lowered.0 < plain.0, "nobody has used it");

    let mut uses = Stock::unborn(StockId::Promotion("SPRING".parse().unwrap()));
    let shown = shop.stocks.open(&uses);
    let mut tell = |command: stock::Command| {
        let events = uses.decide(&command, NOW).unwrap();
        uses.apply(&events, 1);
        shown.publish(&uses, &events);
    };
    tell(stock::Command::SetLimits(spring(json!({ "limitTotal": 1 })).limits()));
    assert_eq!(shop.price(NOW, QUERY), lowered);
    let at = HoldAt { hold: HoldId { order: OrderId::from_bits(1), item: 0x8000 }, epoch: 1 };
    let expires_at = NOW.plus_seconds(600);
    tell(stock::Command::Place(Place {
        at,
        quantity: 1,
        date: None,
        channel: Channel::Direct,
        holder: None,
        expires_at,
    }));
    assert_eq!(shop.price(NOW, QUERY), plain);
    tell(stock::Command::Release(at));
    assert_eq!(shop.price(NOW, QUERY), lowered);
}

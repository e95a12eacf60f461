//! Packages in the answers to searches.

use deeptravel_domain::catalogue::Template;
use deeptravel_domain::stock::{self, HoldAt, Limits, Place, Stock, StockId};
use serde_json::{Value, json};

use super::super::offers::Offers;
use super::super::wanted::understand;
use super::*;

const QUERY: &str = "origin=HK&destination=ZH&travelDate=2026-11-24";

fn tier(who: &str, min_party: u16, day: &str, amount: i64) -> Value {
    json!({
        "passengerType": who, "minParty": min_party, "dayType": day, "price": { "amount": amount, "currency": "CNY" },
    })
}

/// A museum for adults and children, everywhere and without limit.
fn museum() -> Value {
    json!({
        "name": { "zh": "博物馆", "en": "Museum" },
        "status": "active",
        "description": { "zh": "\"available\":0", "en": "Says \"available\":0, and\nmore" },
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "门票", "en": "Entry" }, "quantity": 1, "redemptionChannel": "gate",
            "requiresIdentity": false, "shared": false, "validity": { "kind": "relative", "days": 90 },
        }],
        "tiers": [tier("adult", 1, "any", 9_000), tier("adult", 3, "weekday", 8_000), tier("child", 1, "any", 4_500)],
    })
}

fn with(mut template: Value, fields: &[(&str, Value)]) -> Value {
    for (field, value) in fields {
        template[*field] = value.clone();
    }
    template
}

/// The coach to Zhuhai and the museum, where either place is.
fn trip() -> Value {
    let journey = json!([{ "routeCode": "hzm-hk-zh", "seatClass": "standard", "dayOffset": 0 }]);
    with(
        museum(),
        &[("name", json!({ "zh": "一日游", "en": "Day trip" })), ("places", json!(["ZH"])), ("journeys", journey)],
    )
}

/// Eight units a day, but for Christmas.
fn few() -> Value {
    with(
        museum(),
        &[
            ("name", json!({ "zh": "限量", "en": "Few" })),
            ("stock", json!({ "perDate": 8 })),
            ("blackoutDates", json!(["2026-12-25"])),
        ],
    )
}

impl Shop {
    fn put_template(&mut self, said: Value) {
        self.catalogue = put(&self.catalogue, serde_json::from_value::<Template>(said).unwrap());
    }

    fn with_packages() -> Shop {
        let mut shop = Shop::open();
        for said in [museum(), trip(), few()] {
            shop.put_template(said);
        }
        shop
    }

    /// The names of the packages that are offered.
    fn offered(&self, query: &str) -> Vec<String> {
        let answer: Value = serde_json::from_str(&self.search(NOW, Language::English, query)).unwrap();
        let packages = answer["packages"].as_array().unwrap().iter();
        let mut names: Vec<String> = packages.map(|package| package["name"].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// What an offer says.
    fn offer(&self, query: &str, name: &str) -> Value {
        let answer: Value = serde_json::from_str(&self.search(NOW, Language::English, query)).unwrap();
        answer["packages"].as_array().unwrap().iter().find(|package| package["name"] == name).unwrap().clone()
    }
}

#[test]
fn r_search_01_every_answer_with_packages_reads_as_if_it_was_written_anew() {
    let shop = Shop::with_packages();
    for (from, to) in [("HK", "ZH"), ("ZH", "HK"), ("HK", "MO"), ("HK", "GZ"), ("DG", "SZ")] {
        for date in ["2026-11-20", "2026-11-21", "2026-12-15", "2026-12-19", "2026-12-25", "2026-11-19"] {
            shop.search_all(from, to, date);
        }
    }
    let of_the_demo = Shop { catalogue: demo(), ..Shop::open() };
    for (from, to) in [("HK", "ZH"), ("HK", "MO"), ("MO", "HK")] {
        of_the_demo.search_all(from, to, "2026-11-24");
    }
}

#[test]
fn r_search_01_a_package_is_offered_where_its_places_are_at_the_price_of_exactly_this_party() {
    let shop = Shop::with_packages();
    assert_eq!(shop.offered(QUERY), ["Day trip", "Few", "Museum"]);
    assert_eq!(shop.offered("origin=HK&destination=MO&travelDate=2026-11-24"), ["Few", "Museum"]);
    let price = |party: &str| shop.offer(&format!("{QUERY}{party}"), "Museum")["price"]["amount"].clone();
    assert_eq!(
        (price(""), price("&adults=2&children=1")),
        (json!(9_000), json!(2 * 8_000 + 4_500)),
        "a party of three"
    );
    let saturday = "origin=HK&destination=ZH&travelDate=2026-11-28&adults=3";
    assert_eq!(shop.offer(saturday, "Museum")["price"]["amount"], 27_000);
    assert_eq!(shop.offered(&format!("{QUERY}&seniors=1")), Vec::<String>::new(), "there is no price for seniors");
}

#[test]
fn r_search_07_a_package_shows_what_bigger_parties_pay_what_it_gives_and_what_comes_back() {
    let shop = Shop::with_packages();
    let offer = shop.offer(QUERY, "Day trip");
    let tiers =
        json!([tier("adult", 1, "any", 9_000), tier("adult", 3, "weekday", 8_000), tier("child", 1, "any", 4_500)]);
    assert_eq!(offer["tiers"], tiers);
    assert_eq!(
        (&offer["entitlements"][0]["code"], &offer["entitlements"][0]["name"]),
        (&json!("MUSEUM"), &json!("Entry"))
    );
    let validity = json!({ "kind": "relative", "days": 90, "startsAt": "payment" });
    assert_eq!(offer["entitlements"][0]["validity"], validity);
    let journey = &offer["journeys"][0];
    assert_eq!((&journey["routeCode"], &journey["destination"]["code"]), (&json!("hzm-hk-zh"), &json!("HZZH")));
    assert_eq!((&offer["needsServiceDate"], &offer["refundSummary"]), (&json!(true), &json!("No refunds or changes")));
}

#[test]
fn r_search_02_a_package_is_not_offered_on_its_blackout_dates_nor_beyond_its_stock_nor_unless_active() {
    let mut shop = Shop::with_packages();
    assert_eq!(shop.offered(&format!("{QUERY}&adults=8")), ["Day trip", "Few", "Museum"]);
    assert_eq!(shop.offered(&format!("{QUERY}&adults=9")), ["Day trip", "Museum"]);
    assert_eq!(shop.offer(QUERY, "Few")["available"], 8);
    assert_eq!(shop.offer(QUERY, "Museum").get("available"), None, "nothing limits it");
    let rest = shop.catalogue.place("HK").zip(shop.catalogue.place("ZH")).unwrap();
    let christmas: Date = "2026-12-25".parse().unwrap();
    let near = Timestamp::from_jiff("2026-12-20T00:00:00Z".parse().unwrap());
    assert!(shop.catalogue.trips(rest.0, rest.1, christmas).count() > 0);
    let query = "origin=HK&destination=ZH&travelDate=2026-12-25";
    assert!(!shop.search(near, Language::English, query).contains("\"Few\""));
    assert!(shop.search(near, Language::English, query).contains("\"Museum\""));

    shop.put_template(with(museum(), &[("status", json!("withdrawn"))]));
    assert_eq!(shop.offered(QUERY), ["Day trip", "Few"], "the very next answer knows");
}

#[test]
fn r_search_02_a_package_is_sold_out_when_no_departure_of_its_journey_has_room_for_the_party() {
    let shop = Shop::with_packages();
    let mut departures = shop.departures("HK", "ZH", "2026-11-24");
    let all = shop.offer(QUERY, "Day trip")["available"].as_u64().unwrap();
    assert!(all > 30, "{all}");
    for departure in &mut departures {
        let seats = departure.inventory.spec().seat_map.seats.len() as u16;
        departure.sell_of_each(seats - 2);
    }
    shop.search_all("HK", "ZH", "2026-11-24");
    assert_eq!(shop.offer(&format!("{QUERY}&adults=2"), "Day trip")["available"], 2);
    assert_eq!(shop.offered(&format!("{QUERY}&adults=3")), ["Few", "Museum"]);
    departures[0].give_back();
    assert_eq!(shop.offer(&format!("{QUERY}&adults=3"), "Day trip")["available"], all);
}

#[test]
fn r_search_04_every_unit_that_is_taken_is_in_the_next_answer() {
    let shop = Shop::with_packages();
    assert_eq!(shop.offer(QUERY, "Few")["available"], 8);
    let mut stock = Stock::unborn(StockId::Package(Template::id_of(&Names::new("限量", "Few"))));
    let shown = shop.stocks.open(&stock);
    let mut tell = |command: stock::Command| {
        let events = stock.decide(&command, NOW).unwrap();
        stock.apply(&events, 1);
        shown.publish(&stock, &events);
    };
    let at = HoldAt { hold: HoldId { order: OrderId::from_bits(1), item: 0 }, epoch: 1 };
    tell(stock::Command::SetLimits(Limits { per_date: Some(8), ..Limits::default() }));
    tell(stock::Command::Place(Place {
        at,
        quantity: 6,
        date: Some(date(2026, 11, 24)),
        channel: Channel::Direct,
        holder: None,
        expires_at: NOW.plus_seconds(600),
    }));
    assert_eq!(shop.offer(QUERY, "Few")["available"], 2);
    assert_eq!(shop.offered(&format!("{QUERY}&adults=3")), ["Day trip", "Museum"]);
    assert_eq!(shop.offer("origin=HK&destination=ZH&travelDate=2026-11-25", "Few")["available"], 8, "another day");
    tell(stock::Command::Release(at));
    assert_eq!(shop.offered(&format!("{QUERY}&adults=3")), ["Day trip", "Few", "Museum"]);
}

#[test]
fn r_search_02_packages_are_offered_though_nothing_goes_there() {
    let shop = Shop::with_packages();
    let answer = shop.search(NOW, Language::English, "origin=DG&destination=ZH&travelDate=2026-11-24");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["availability"], &answer["routes"]), (&json!("none"), &json!([])));
    assert_eq!(answer["packages"].as_array().unwrap().len(), 3);
}

#[test]
fn r_search_02_a_day_of_packages_passes_while_it_is_asked_for() {
    let shop = Shop::with_packages();
    let midnight = Timestamp::from_jiff(date(2026, 11, 21).in_tz("Asia/Hong_Kong").unwrap().timestamp());
    for minutes in (-8 * 60..26 * 60).step_by(20) {
        let now = midnight.plus_seconds(60 * minutes);
        for query in
            ["origin=HK&destination=ZH&travelDate=2026-11-21", "origin=DG&destination=HK&travelDate=2026-11-20"]
        {
            shop.search(now.plus_ms(-1), Language::Chinese, query);
            shop.search(now, Language::Chinese, query);
        }
    }
}

#[test]
fn r_search_02_a_package_is_not_offered_from_the_instant_on_at_which_something_that_it_gives_ends() {
    let mut shop = Shop::with_packages();
    let end = NOW.plus_seconds(3_600);
    let mut ending = with(museum(), &[("name", json!({ "zh": "节日", "en": "Festival" }))]);
    ending["entitlements"][0]["validity"] = json!({ "kind": "relative", "days": 90, "until": end.to_string() });
    shop.put_template(ending);
    let offers = |now| shop.search(now, Language::English, QUERY).contains("\"Festival\"");
    let today = "origin=HK&destination=ZH&travelDate=2026-11-20";
    let offers_today = |now| shop.search(now, Language::English, today).contains("\"Festival\"");
    assert!(!offers(NOW), "for another day");
    assert!(offers_today(NOW) && offers_today(end.plus_ms(-1)));
    assert!(!offers_today(end));
}

#[test]
fn r_search_03_packages_with_the_same_journey_read_its_departures_once() {
    let read = |packages: usize| {
        let mut shop = Shop::open();
        for number in 0..packages {
            let name = json!({ "zh": format!("一日游 {number}"), "en": format!("Day trip {number}") });
            shop.put_template(with(trip(), &[("name", name)]));
        }
        let asked: SearchQuery = parse_query(QUERY).unwrap();
        let wanted = understand(&shop.catalogue, &asked).unwrap();
        let in_force = Live { seats: &shop.board, units: &shop.stocks }.in_force(&shop.catalogue, NOW);
        let offers = Offers::find(&shop.catalogue, Language::English, &wanted, &in_force, NOW);
        offers.look_up(&shop.board).len()
    };
    assert!(read(1) > read(0));
    assert_eq!(read(20), read(1));
}

//! The network as an administrator puts it: carriers, ports, places, vehicles, holidays, routes and timetables
//! (R-ADMIN-04, R-ADMIN-06, R-ADMIN-07). Every story has a network of its own.

use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::server::day;
use crate::shop::{at, chosen, journey, seats, text};

fn name(text: &str) -> Value {
    json!({ "zh": format!("{text} 名"), "en": format!("{text} name") })
}

fn stop(port: &str, minutes: u16) -> Value {
    json!({ "port": port, "arrivesMinutes": minutes, "departsMinutes": minutes })
}

/// A vehicle with so many seats of one class, one in a row.
fn vehicle(rows: u16, letter: char) -> Value {
    let seat = |row| json!({ "label": format!("{row:02}{letter}"), "class": "standard", "row": row, "column": 1 });
    json!({
        "name": name("bus"),
        "classes": [{ "code": "standard", "name": { "zh": "標準", "en": "Standard" } }],
        "seats": (1..=rows).map(seat).collect::<Vec<_>>(),
    })
}

fn all_pay(fen: i64) -> Vec<Value> {
    let fare = |who| json!({ "passengerType": who, "price": { "amount": fen, "currency": "CNY" } });
    ["adult", "child", "senior"].map(fare).to_vec()
}

/// A route from one place to another with a stop between, twice a day.
struct Network {
    client: Client,
    admin: Person,
    code: &'static str,
}

impl Network {
    async fn build(client: Client, code: &'static str) -> Network {
        let network = Network { admin: client.administrator().await, client, code };
        network.put("carriers", &json!({ "name": name(code) })).await;
        for port in ["a", "b", "c"] {
            let path = format!("/admin/ports/{code}-{port}");
            network.admin.put(&path, &json!({ "name": name(&format!("{code} {port}")) })).await.ok();
        }
        for (place, port) in [("from", "a"), ("to", "c")] {
            let ports = [format!("{code}-{port}")];
            let body = json!({ "name": name(&format!("{code} {place}")), "ports": ports, "aliases": [] });
            network.admin.put(&format!("/admin/places/{code}-{place}"), &body).await.ok();
        }
        network.put("vehicles", &vehicle(4, 'A')).await;
        network.put("routes/fares", &json!({ "fares": all_pay(5_000) })).await;
        network.put("routes", &network.route()).await;
        network.put_schedules(&network.schedules()).await;
        network
    }

    fn route(&self) -> Value {
        let port = |port| format!("{}-{port}", self.code);
        json!({
            "operator": self.code, "mode": "coach", "name": name(self.code), "timeZone": "Asia/Hong_Kong",
            "stops": [stop(&port("a"), 0), stop(&port("b"), 30), stop(&port("c"), 60)],
            "vehicle": self.code, "bookingClosesMinutes": 10, "salesWindowDays": 30, "status": "on_sale",
        })
    }

    /// The route as it is, but for these fields.
    async fn put_route(&self, fields: &[(&str, Value)]) -> Value {
        let mut route = self.route();
        for (field, value) in fields {
            route[*field] = value.clone();
        }
        self.put("routes", &route).await
    }

    fn schedules(&self) -> Value {
        let schedule = |time: &str| {
            json!({
                "scheduleId": format!("{}-{}", self.code, time.replace(':', "")), "departs": time,
                "weekdays": [1, 2, 3, 4, 5, 6, 7], "from": day(0).to_string(), "until": day(60).to_string(),
            })
        };
        json!([schedule("08:00"), schedule("24:15")])
    }

    async fn put(&self, kind: &str, body: &Value) -> Value {
        self.admin.put(&format!("/admin/{kind}/{}", self.code), body).await.ok()
    }

    async fn put_schedules(&self, schedules: &Value) -> Value {
        self.admin.put(&format!("/admin/routes/{}/schedules", self.code), schedules).await.ok()
    }

    fn exceptions(&self) -> String {
        format!("/admin/schedules/{}-0800/exceptions", self.code)
    }

    /// The morning's departure.
    fn morning(&self, days: i64) -> String {
        format!("{}-0800.{}", self.code, day(days).strftime("%Y%m%d"))
    }

    /// Ids of what the next search finds.
    async fn found(&self, days: i64) -> Vec<String> {
        self.search(days).await["routes"].as_array().unwrap().iter().map(|route| text(&route["departureId"])).collect()
    }

    async fn search(&self, days: i64) -> Value {
        let (from, to) = (format!("{}-from", self.code), format!("{}-to", self.code));
        self.client.search(&from, &to, day(days), "").await.ok()
    }

    async fn delete(&self, kind: &str) -> crate::client::Answer {
        self.admin.delete(&format!("/admin/{kind}/{}", self.code)).await
    }
}

#[tokio::test]
async fn r_admin_03_and_04_a_network_is_put_sold_taken_off_sale_and_withdrawn() {
    let client = Client::new();
    let admin = client.administrator().await;
    // Fares may be there before everything else: a draft.
    admin.put("/admin/routes/fares/grown", &json!({ "fares": all_pay(4_000) })).await.ok();
    assert_eq!(admin.get("/admin/routes/fares/grown").await.ok()["draft"], true);
    admin.get("/admin/routes/grown").await.problem(404, "NOT_CONFIGURED");

    let network = Network::build(client.clone(), "grown").await;
    assert_eq!(admin.get("/admin/routes/fares/grown").await.ok()["draft"], false);
    let morning = network.morning(5);
    let found = network.search(5).await;
    let offer = &found["routes"][1];
    assert_eq!((&offer["departureId"], &offer["seatClasses"][0]["available"]), (&json!(morning), &json!(4)));
    assert_eq!(offer["seatClasses"][0]["price"]["amount"], 5_000);
    let at_night = &found["routes"][0];
    let of_yesterday = format!("grown-2415.{}", day(4).strftime("%Y%m%d"));
    assert_eq!(at_night["departureId"], json!(of_yesterday), "24:15 of the day before leaves today");
    let mei = client.traveller("grown").await;
    let order = mei.place(&[journey(&morning)], 2).await.ok();
    assert_eq!(order["amount"]["amount"], 10_000);

    // What is referred to stays, and says by whom.
    for (kind, by) in [("carriers", "route grown"), ("vehicles", "route grown"), ("routes", "schedule grown-0800")] {
        let refused = network.delete(kind).await.problem(409, "IN_USE");
        assert!(refused.body["detail"].as_str().unwrap().ends_with(by), "{}", refused.text);
    }
    admin.delete("/admin/ports/grown-b").await.problem(409, "IN_USE");

    let draft = network.put_route(&[("status", json!("draft")), ("routeCode", json!("grown"))]).await;
    assert_eq!(draft["version"], 2);
    assert_eq!(network.found(5).await, Vec::<String>::new(), "a draft is not on sale");
    mei.place(&[journey(&morning)], 1).await.problem(404, "DEPARTURE_NOT_FOUND");
    admin.post("/admin/routes/grown/restore", &json!({})).await.ok();
    assert_eq!(network.found(5).await.len(), 2, "and comes back");

    let schedules = network.put_schedules(&json!({ "schedules": [] })).await;
    assert_eq!((&schedules["version"], &schedules["routeCode"]), (&json!(2), &json!("grown")));
    let withdrawn = network.delete("routes").await.ok();
    assert_eq!((&withdrawn["version"], &withdrawn["idempotent"]), (&json!(4), &json!(false)));
    admin.get("/admin/routes/grown").await.problem(404, "NOT_CONFIGURED");
    network.delete("vehicles").await.ok();
    network.delete("carriers").await.ok();
    let history = network.admin.get("/admin/routes/grown/history").await.ok();
    let actions: Vec<String> =
        history["revisions"].as_array().unwrap().iter().map(|revision| text(&revision["action"])).collect();
    assert_eq!(actions, ["withdraw", "restore", "put", "put"]);
    let refused = admin.post("/admin/routes/grown/restore", &json!({ "version": 1 })).await;
    assert_eq!(refused.problem(422, "VALIDATION_ERROR").body["errors"][0]["field"], "operator", "it is gone");
    assert_eq!(mei.shown(&order).await["status"], "pending", "whoever has seats keeps them");
}

#[tokio::test]
async fn r_admin_04_a_refused_write_names_the_field_and_leaves_what_is_in_force() {
    let network = Network::build(Client::new(), "refused").await;
    let admin = &network.admin;
    let route = |field: &str, value: Value| {
        let mut route = network.route();
        route[field] = value;
        ("routes/refused", route)
    };
    let schedule = |field: &str, value: Value| {
        let mut schedules = network.schedules();
        schedules[0][field] = value;
        ("routes/refused/schedules", schedules)
    };
    let seat = |label, row| json!({ "label": label, "class": "standard", "row": row, "column": 1 });
    let seats = |seats: Value| {
        let mut bus = vehicle(1, 'A');
        bus["seats"] = seats;
        ("vehicles/refused", bus)
    };
    let holiday = json!({ "date": "2031-12-25", "name": name("x") });
    let before = [admin.get("/admin/routes/refused").await.ok(), admin.get("/admin/vehicles/refused").await.ok()];
    let found = network.found(5).await;
    for ((path, body), field) in [
        (route("operator", json!("nobody")), "operator"),
        (route("vehicle", json!("nothing")), "vehicle"),
        (route("timeZone", json!("Asia/Nowhere")), "timeZone"),
        (route("mode", json!("zeppelin")), "mode"),
        (route("stops", json!([stop("refused-a", 0)])), "stops"),
        (route("stops", json!([stop("refused-a", 0), stop("nowhere", 9)])), "stops[1].port"),
        (route("stops", json!([stop("refused-a", 0), stop("refused-b", 0)])), "stops[1].arrivesMinutes"),
        (route("boardingOpensMinutes", json!(20_000)), "boardingOpensMinutes"),
        (route("routeCode", json!("another")), "routeCode"),
        (("routes/fares", network.route()), "routeCode"),
        ((&*format!("ports/{}", "x".repeat(33)), json!({ "name": name("x") })), "code"),
        (schedule("departs", json!("48:00")), "schedules[0].departs"),
        (schedule("weekdays", json!([0])), "schedules[0].weekdays"),
        (schedule("until", json!("2020-01-01")), "schedules[0].until"),
        (schedule("scheduleId", json!("refused-2415")), "schedules[1].scheduleId"),
        (schedule("scheduleId", json!("hzm-hk-zh-0840")), "schedules[0].scheduleId"),
        (schedule("exceptions", json!([{ "date": "2026-12-24", "runs": 1 }])), "schedules[0].exceptions[0].runs"),
        (("routes/nowhere/schedules", json!([])), "routeCode"),
        (seats(json!([seat("1", 1), seat("1", 2)])), "seats[1].label"),
        (seats(json!([seat("1", 1), seat("2", 1)])), "seats[1].row"),
        (seats(json!([{ "label": "1", "class": "sofa", "row": 1, "column": 1 }])), "seats[0].class"),
        (("places/refused", json!({ "name": name("x"), "ports": ["refused-a", "nowhere"] })), "ports[1]"),
        (("places/refused", json!({ "name": { "zh": "香港", "en": "x" }, "ports": [] })), "name"),
        (("holidays/2030", json!([holiday])), "holidays[0].date"),
        (("holidays/2031", json!({ "holidays": [holiday, holiday] })), "holidays[1].date"),
        (("holidays/12", json!([])), "year"),
    ] {
        let refused = admin.put(&format!("/admin/{path}"), &body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(refused.body["errors"][0]["field"], field, "{path}: {}", refused.text);
    }
    let after = [admin.get("/admin/routes/refused").await.ok(), admin.get("/admin/vehicles/refused").await.ok()];
    assert_eq!((after, network.found(5).await), (before, found));
    let days = json!([{ "date": "2026-12-24", "runs": true }, { "date": "2026-12-24", "runs": false }]);
    let twice = admin.put(&network.exceptions(), &days).await.problem(422, "VALIDATION_ERROR");
    assert_eq!(twice.body["errors"][0]["field"], "exceptions[1].date");
    admin.put("/admin/schedules/nothing/exceptions", &json!([])).await.problem(404, "NOT_CONFIGURED");
}

#[tokio::test]
async fn r_admin_04_a_departure_that_runs_no_more_is_not_offered_and_keeps_its_tickets_and_locks() {
    let client = Client::new();
    let network = Network::build(client.clone(), "stays").await;
    let (admin, morning) = (&network.admin, network.morning(5));
    let mei = client.traveller("stays").await;
    let paid = mei.pay(&mei.place(&[journey(&morning)], 1).await.ok()).await;
    let locked = mei.place(&[journey(&morning)], 1).await.ok();

    let date = day(5).to_string();
    let put = admin.put(&network.exceptions(), &json!([{ "date": date, "runs": false }])).await.ok();
    assert_eq!((&put["version"], &put["idempotent"]), (&json!(2), &json!(false)));
    let again =
        admin.put(&network.exceptions(), &json!({ "exceptions": [{ "date": date, "runs": false }] })).await.ok();
    assert_eq!((&again["version"], &again["idempotent"]), (&json!(2), &json!(true)));
    assert!(!network.found(5).await.contains(&morning));
    assert!(network.found(6).await.contains(&network.morning(6)), "only that day");
    client.get(&format!("/departures/{morning}")).await.problem(404, "DEPARTURE_NOT_FOUND");
    mei.place(&[journey(&morning)], 1).await.problem(404, "DEPARTURE_NOT_FOUND");

    // What was locked can be paid, what was paid can be ridden.
    let locked = mei.pay(&locked).await;
    let session = json!({ "deviceId": "stays", "departureId": morning });
    let gate = client.operator("gate").await.gate(&session).await;
    for order in [&paid, &locked] {
        let ticket = &order["tickets"][0];
        assert_eq!(
            mei.get(&format!("/tickets/{}", text(&ticket["ticketId"]))).await.ok()["departure"]["departureId"],
            json!(morning)
        );
        let code = mei.ticket_code(ticket).await;
        assert_eq!(gate.scan(&code, &text(&ticket["ticketId"])).await["result"], "success");
    }

    // Other schedules leave single days as they are; a schedule that is not named is withdrawn.
    let mut schedules = network.schedules();
    schedules[1]["departs"] = "23:00".into();
    network.put_schedules(&schedules).await;
    assert!(!network.found(5).await.contains(&morning));
    let shown = admin.get(&network.exceptions()).await.ok();
    assert_eq!((&shown["exceptions"][0]["date"], &shown["version"]), (&json!(date), &json!(3)));
    admin.put(&network.exceptions(), &json!([])).await.ok();
    assert_eq!(network.search(5).await["routes"][0]["seatClasses"][0]["available"], 2, "back, with its seats sold");
    network.put_schedules(&json!([schedules[1]])).await;
    assert!(!network.found(5).await.contains(&morning));
    client.get(&format!("/departures/{morning}")).await.problem(404, "DEPARTURE_NOT_FOUND");
    assert_eq!(mei.shown(&paid).await["status"], "completed");
    let reopened = json!({ "deviceId": "stays too", "departureId": morning });
    client.operator("gate").await.gate(&reopened).await;
}

#[tokio::test]
async fn r_admin_04_a_born_departure_keeps_its_seats_stops_and_times_when_the_route_changes() {
    let client = Client::new();
    let network = Network::build(client.clone(), "born").await;
    let (born, unborn) = (network.morning(5), network.morning(6));
    let mei = client.traveller("born").await;
    let paid = mei.pay(&mei.place(&[journey(&born)], 1).await.ok()).await;
    let labels = async |departure: &str| -> Vec<String> {
        let shown = client.get(&format!("/departures/{departure}")).await.ok();
        shown["seatMap"].as_array().unwrap().iter().map(|seat| text(&seat["seatNumber"])).collect()
    };

    network.put("vehicles", &vehicle(9, 'B')).await;
    assert_eq!(labels(&born).await, ["01A", "02A", "03A", "04A"]);
    assert_eq!(labels(&unborn).await.len(), 9);
    assert_eq!(client.available(&born, "").await, 3);
    assert_eq!(client.available(&unborn, "").await, 9);
    let free = if seats(&paid) == ["02A"] { "03A" } else { "02A" };
    let order = mei.place(&[chosen(&born, &[free])], 1).await.ok();
    assert_eq!(seats(&order), [free], "it goes on selling what it has");
    mei.place(&[chosen(&born, &["09B"])], 1).await.problem(422, "VALIDATION_ERROR");
    assert_eq!(seats(&mei.place(&[chosen(&unborn, &["09B"])], 1).await.ok()), ["09B"]);

    // Another stop on the way, and a longer ride: what is offered now is not what the born ones do.
    let stops = json!([stop("born-a", 0), stop("born-b", 30), stop("HKSW", 45), stop("born-c", 80)]);
    network.put_route(&[("stops", stops)]).await;
    assert!(!network.found(5).await.contains(&born) && !network.found(6).await.contains(&unborn));
    assert_eq!(client.available(&born, "").await, 0);
    mei.place(&[journey(&born)], 1).await.problem(404, "DEPARTURE_NOT_FOUND");
    let fresh = network.morning(7);
    let lok = client.traveller("born-too").await;
    let later = lok.place(&[journey(&fresh)], 1).await.ok();
    let ride = |order: &Value| at(&order["items"][0]["arrivesAt"]) - at(&order["items"][0]["departsAt"]);
    let minutes = |order: &Value| ride(order).total(jiff::Unit::Minute).unwrap() as i64;
    assert_eq!((minutes(&later), minutes(&mei.shown(&paid).await)), (80, 60), "tickets keep their times");
    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "born" })).await;
    let code = mei.ticket_code(&paid["tickets"][0]).await;
    assert_eq!(gate.scan(&code, "1").await["result"], "success");
    let locked = mei.pay(&order).await;
    assert_eq!(locked["tickets"][0]["seatNumber"], json!(free), "what was locked is paid at its price and seat");

    network.put("routes", &network.route()).await;
    assert!(network.found(5).await.contains(&born), "as it was: they are sold again");
}

#[tokio::test]
async fn r_ticket_02_where_boarding_opens_late_a_ticket_is_not_good_before() {
    let client = Client::new();
    let network = Network::build(client.clone(), "opens").await;
    let mei = client.traveller("opens").await;
    let morning = network.morning(5);
    let earlier = mei.place(&[journey(&morning)], 1).await.ok();
    network.put_route(&[("boardingOpensMinutes", json!(90))]).await;
    let (earlier, later) = (mei.pay(&earlier).await, mei.pay(&mei.place(&[journey(&morning)], 1).await.ok()).await);
    let ticket = &later["tickets"][0];
    let opens = at(&later["items"][0]["departsAt"]) - jiff::SignedDuration::from_mins(90);
    assert_eq!(at(&ticket["validFrom"]), opens);
    assert!(at(&earlier["tickets"][0]["validFrom"]) < opens, "what was ordered before is good from when it was paid");

    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "opens" })).await;
    let refused = gate.scan(&mei.ticket_code(ticket).await, "1").await;
    assert_eq!((&refused["result"], &refused["reason"]), (&json!("reject"), &json!("NOT_YET_VALID")));
    let code = mei.ticket_code(&earlier["tickets"][0]).await;
    assert_eq!(gate.scan(&code, "2").await["result"], "success");
}

#[tokio::test]
async fn r_price_01_holidays_and_seasons_are_in_the_price_of_the_next_search() {
    let client = Client::new();
    let network = Network::build(client.clone(), "priced").await;
    let price = async || network.search(9).await["routes"][1]["seatClasses"][0]["price"]["amount"].clone();
    let with = |conditions: Value| {
        let mut fares = all_pay(5_000);
        let mut fare = json!({ "passengerType": "adult", "price": { "amount": 6_000, "currency": "CNY" } });
        fare.as_object_mut().unwrap().extend(conditions.as_object().unwrap().clone());
        fares.push(fare);
        json!({ "fares": fares })
    };
    let ends = |from: i64, to: i64| json!({ "seasonFrom": day(from).strftime("%m-%d").to_string(), "seasonTo": day(to).strftime("%m-%d").to_string() });
    network.put("routes/fares", &with(ends(9, 9))).await;
    assert_eq!(price().await, 6_000);
    network.put("routes/fares", &with(ends(10, 8))).await;
    assert_eq!(price().await, 5_000, "all year but for that day");
    let mut evening = ends(1, 20);
    evening["timeFrom"] = "18:00".into();
    evening["timeTo"] = "24:00".into();
    network.put("routes/fares", &with(evening)).await;
    assert_eq!(price().await, 5_000, "not at eight in the morning");
    for bad in [json!({ "seasonFrom": "10-01" }), json!({ "seasonFrom": "02-30", "seasonTo": "03-01" })] {
        network.admin.put("/admin/routes/fares/priced", &with(bad)).await.problem(422, "VALIDATION_ERROR");
    }

    // A holiday on a weekday costs what a weekend does, from the next search on.
    let is_off = |date: jiff::civil::Date| {
        matches!(date.weekday(), jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday)
    };
    let (days, weekday) = (9..16).map(|days| (days, day(days))).find(|(_, date)| !is_off(*date)).unwrap();
    network.put("routes/fares", &with(json!({ "dayType": "weekend_or_holiday" }))).await;
    let of = async || network.search(days).await["routes"][1]["seatClasses"][0]["price"]["amount"].clone();
    assert_eq!(of().await, 5_000);
    let year = format!("/admin/holidays/{}", weekday.year());
    let before = network.admin.get(&year).await;
    let mut holidays = before.body["holidays"].as_array().cloned().unwrap_or_default();
    holidays.push(json!({ "date": weekday.to_string(), "name": name("holiday") }));
    network.admin.put(&year, &json!(holidays)).await.ok();
    assert_eq!(of().await, 6_000);
    network.admin.post(&format!("{year}/restore"), &json!({})).await.ok();
    assert_eq!(of().await, 5_000);
}

#[tokio::test]
async fn r_admin_06_and_07_all_staff_find_who_wrote_what_by_account_kind_and_day_also_what_was_refused() {
    let client = Client::new();
    let network = Network::build(client.clone(), "audited").await;
    let (admin, auditor) = (&network.admin, client.staff("auditor").await);
    let path = "/admin/vehicles/audited";
    let mut wrong = vehicle(2, 'A');
    wrong["name"]["en"] = "".into();
    admin.put(path, &wrong).await.problem(422, "VALIDATION_ERROR");
    let put = admin.put(path, &vehicle(2, 'A')).await.ok();

    let today = day(0);
    let entries = async |query: String| -> Vec<Value> {
        let page = admin.get(&format!("/admin/audit-logs?entity=vehicle&account=admin{query}")).await.ok();
        page["entries"].as_array().unwrap().iter().filter(|entry| entry["id"] == "audited").cloned().collect()
    };
    let all = entries("&limit=100".to_owned()).await;
    let [newest, refused, first] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&newest["version"], &newest["action"]), (&put["version"], &json!("put")));
    assert_eq!(newest["before"]["seats"].as_array().unwrap().len(), 4);
    assert_eq!(newest["after"]["seats"].as_array().unwrap().len(), 2);
    assert_eq!((refused.get("version"), &refused["refusal"]["code"]), (None, &json!("VALIDATION_ERROR")));
    assert_eq!((&first["version"], first.get("before")), (&json!(1), None));
    assert_eq!(entries(format!("&limit=100&from={today}&to={today}")).await, all);
    // A story may go over midnight.
    assert!(entries(format!("&limit=100&date={}", day(-2))).await.is_empty());
    let since = at(&refused["at"]);
    assert_eq!(entries(format!("&limit=100&from={since}")).await.len(), 2);
    assert_eq!(entries(format!("&limit=100&to={since}")).await.len(), 1, "before that instant");

    let first_page = auditor.get("/admin/audit-logs?limit=1&entity=vehicle").await.ok();
    let cursor = text(&first_page["nextCursor"]);
    let next_page = auditor.get(&format!("/admin/audit-logs?limit=1&entity=vehicle&cursor={cursor}")).await.ok();
    assert!(at(&next_page["entries"][0]["at"]) <= at(&first_page["entries"][0]["at"]));
    assert_ne!(next_page["entries"], first_page["entries"]);
    for staff in ["ops", "finance"] {
        client.staff(staff).await.get("/admin/audit-logs").await.ok();
    }
    admin.get(&format!("/admin/audit-logs?date={today}&to={today}")).await.problem(422, "VALIDATION_ERROR");

    let counted = async || {
        let metrics = client.get("/metrics").await.text;
        let line = metrics.lines().find(|line| line.starts_with("admin_routes_updated_total")).map(str::to_owned);
        line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
    };
    let before = counted().await;
    network.put_route(&[("salesWindowDays", json!(31))]).await;
    assert!(counted().await > before, "others may write meanwhile");
}

//! A good request for every operation, to be spoilt.

mod partners;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Person, passenger_name};
use crate::shop::template;

/// A good request.
pub struct Example {
    /// As `POST /orders`.
    pub operation: String,
    /// Token of somebody who may; empty where nobody has to be known.
    pub token: String,
    /// Of a partner, where one asks.
    pub key: String,
    /// Values of the parameters in the path, of the required ones in the query, and of headers.
    pub parameters: Vec<(&'static str, String)>,
    /// Every nested object is there or in one of the others, every field in it need not be.
    pub body: Value,
    /// Bodies of another kind, for the nested objects that only theirs have.
    pub others: Vec<Value>,
    /// Fields that take any text, each with the reason.
    pub any_text: Vec<(&'static str, &'static str)>,
    /// Refused over the raw bytes, before anything in them is looked at.
    pub is_signed: bool,
    /// Of its body.
    pub bytes_max: usize,
}

const BYTES_MAX: usize = 64 * 1024;
/// A route of the demo with this schedule, whose good timetable is not put.
const ROUTE: &str = "hzm-hk-zh";
const SCHEDULE: &str = "hzm-hk-zh-0840";

impl Example {
    fn new(operation: impl Into<String>, person: Option<&Person>) -> Example {
        let token = person.map(|person| person.token.clone()).unwrap_or_default();
        Example {
            operation: operation.into(),
            token,
            key: String::new(),
            parameters: Vec::new(),
            body: Value::Null,
            others: Vec::new(),
            any_text: Vec::new(),
            is_signed: false,
            bytes_max: BYTES_MAX,
        }
    }

    fn with(mut self, parameter: &'static str, value: impl Into<String>) -> Example {
        self.parameters.push((parameter, value.into()));
        self
    }

    fn body(mut self, body: Value) -> Example {
        self.body = body;
        self
    }

    fn or(mut self, other: Value) -> Example {
        self.others.push(other);
        self
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

pub struct Examples(Vec<Example>);

fn order_of(item: &Value) -> Value {
    json!({
        "items": [item],
        "passengers": [{
            "name": passenger_name(1),
            "type": "adult",
            "document": { "type": "passport", "number": "K1234567" },
        }],
        "contact": { "name": passenger_name(1), "phone": "+85291234567", "email": "meizhu@example.org" },
        "locale": "en",
    })
}

/// The operations of a kind of configuration. A put of any id may be good.
fn kind(item: &str, id: &str, body: Value, bytes_max: usize, by: Option<&Person>) -> Vec<Example> {
    let (start, rest) = item.rsplit_once('{').unwrap();
    let list = start.trim_end_matches('/');
    let parameter: &'static str = rest.split_once('}').unwrap().0.to_owned().leak();
    let of = |operation: String| Example {
        any_text: vec![(parameter, "whatever is no id yet may become one")],
        ..Example::new(operation, by)
    };
    let one = |deed: &str, below: &str| of(format!("{deed} {item}{below}")).with(parameter, id);
    let write = |deed: &str, below: &str| one(deed, below).with("Idempotency-Key", "bad-input");
    vec![
        of(format!("GET {list}")),
        Example { bytes_max, ..write("PUT", "").body(body) },
        one("GET", ""),
        write("DELETE", ""),
        one("GET", "/history"),
        write("POST", "/restore").body(json!({ "version": 1 })),
    ]
}

/// Accounts. A put of any user name may be good.
fn people(admin: Option<&Person>) -> Vec<Example> {
    let operator = json!({
        "username": "bad-input", "merchantId": "hzm", "locationIds": ["HZHK"], "entitlementCodes": ["BOARDING"],
        "disabled": false,
    });
    let account = json!({ "username": "bad-input", "roles": ["ops"], "disabled": false });
    let mut examples = Vec::new();
    let kinds = [("/admin/operators", operator, "gate"), ("/admin/accounts", account, "ops")];
    for (list, body, known) in kinds {
        let one = |deed: &str, below: &str| {
            Example::new(format!("{deed} {list}/{{username}}{below}"), admin).with("username", "bad-input")
        };
        examples.extend([
            Example::new(format!("GET {list}"), admin),
            Example {
                any_text: vec![("username", "whatever is no account yet may become one")],
                ..one("PUT", "").with("Idempotency-Key", "bad-input").body(body)
            },
            one("GET", ""),
            one("GET", "/history"),
            Example::new(format!("PUT {list}/{{username}}/password"), admin)
                .with("username", known)
                .body(json!({ "password": "twelve characters" })),
            one("DELETE", "/sessions"),
        ]);
    }
    let own = json!({ "oldPassword": "demo-admin", "newPassword": "twelve characters" });
    examples.push(Example::new("PUT /admin/me/password", admin).body(own));
    examples.push(Example::new("POST /admin/logout", admin));
    examples
}

fn promotion() -> Value {
    json!({
        "code": "bad-input", "name": { "zh": "優惠", "en": "Offer" }, "automatic": false, "kind": "percent", "value": 10,
        "minParty": 2, "passengerTypes": ["adult"], "routeCodes": [], "templateIds": [], "channels": ["direct"],
        "validFrom": "2026-12-01", "validUntil": "2026-12-31", "travelFrom": "2026-12-24", "travelUntil": "2026-12-26",
        "limitTotal": 100, "limitPerTraveller": 1,
    })
}

/// Everything that is put as a whole.
fn configuration(admin: Option<&Person>) -> Vec<Example> {
    let fares = json!({
        "routeCode": "bad-input",
        "fares": [{
            "passengerType": "adult", "seatClass": "standard", "fromStop": 0, "toStop": 1, "dayType": "any",
            "dateFrom": "2026-12-01", "dateTo": "2026-12-31", "timeFrom": "23:30", "timeTo": "06:00",
            "price": { "amount": 100, "currency": "CNY" }, "sourcePrice": { "amount": 110, "currency": "HKD" },
            "assumed": false,
        }],
        "partyTiers": [{ "minParty": 3, "discountPercent": 5 }],
        "seatLockMinutes": 10,
        "blackoutDates": ["2026-12-25"],
    });
    let name = json!({ "zh": "門", "en": "Gate" });
    let named = json!({ "code": "bad-input", "name": name });
    let place =
        json!({ "code": "bad-input", "name": name, "aliases": ["Bad input"], "ports": ["HKSW"], "hotWeight": 1 });
    let vehicle = json!({
        "code": "bad-input",
        "name": name,
        "classes": [{ "code": "standard", "name": name }],
        "seats": [{ "label": "1A", "class": "standard", "row": 1, "column": 1 }],
    });
    let holidays = json!({ "year": 2031, "holidays": [{ "date": "2031-12-25", "name": name, "verified": true }] });
    let stop = |port, minutes| json!({ "port": port, "arrivesMinutes": minutes, "departsMinutes": minutes });
    let route = json!({
        "routeCode": "bad-input", "operator": "hzm", "mode": "coach", "name": name, "timeZone": "Asia/Hong_Kong",
        "stops": [stop("HKSW", 0), stop("MOTP", 60)], "vehicle": "austal48", "bookingClosesMinutes": 10,
        "salesWindowDays": 30, "boardingOpensMinutes": 60, "status": "draft",
        "refundRules": { "direct": "hzm-wechat", "ota": "tjt-voucher" },
    });
    let schedules = json!({
        "routeCode": ROUTE,
        "schedules": [{
            "scheduleId": "bad-input-1", "departs": "24:15", "weekdays": [1, 7], "from": "2026-01-01",
            "until": "2026-12-31", "exceptions": [{ "date": "2026-12-24", "runs": false }],
        }],
    });
    let exceptions = |deed: &str| Example::new(format!("{deed} /admin/schedules/{{scheduleId}}/exceptions"), admin);
    let exceptions = |deed: &str| exceptions(deed).with("scheduleId", SCHEDULE);
    let put_exceptions = Example {
        bytes_max: 2 * BYTES_MAX,
        ..exceptions("PUT")
            .with("Idempotency-Key", "bad-input")
            .body(json!({ "exceptions": [{ "date": "2026-12-24", "runs": false }] }))
    };
    let fee = json!({ "amount": 100, "currency": "CNY" });
    let rule = json!({
        "ruleId": "bad-input", "name": name, "anchor": "departure", "perTicket": true, "perOrder": false,
        "windows": [{ "untilMinutesBefore": 60, "percent": 50, "fee": fee }],
        "afterDeparture": false, "afterFirstUse": "none", "afterChange": true, "pairsTogether": false,
        "change": {
            "allowed": true, "max": 1, "untilMinutesBefore": 60, "fee": fee, "refundDifference": false,
            "sameDay": false, "scope": ["hzm-hk-zh"],
        },
    });
    let merchant = json!({ "merchantId": "bad-input", "name": name, "contact": "Mei" });
    let device =
        json!({ "deviceId": "bad-input", "merchantId": "museum", "locationId": "museum-hall", "disabled": false });
    let location = json!({ "locationId": "bad-input", "merchantId": "museum", "name": name, "portCode": "HKSW" });
    let locations =
        kind("/admin/merchants/{merchantId}/locations/{locationId}", "bad-input", location, BYTES_MAX, admin);
    let locations = locations.into_iter().map(|example| example.with("merchantId", "museum")).collect();
    let partner = json!({ "partnerId": "bad-input", "name": name, "contact": "Mei", "disabled": false });
    let allotments = json!({ "partnerId": "bad-input-caller", "allotments": [{ "productId": 106, "quantity": 1 }] });
    [
        kind("/admin/carriers/{code}", "bad-input", named.clone(), BYTES_MAX, admin),
        kind("/admin/places/{code}", "bad-input", place, BYTES_MAX, admin),
        kind("/admin/vehicles/{code}", "bad-input", vehicle, 512 * 1024, admin),
        kind("/admin/holidays/{year}", "2031", holidays, BYTES_MAX, admin),
        kind("/admin/routes/{routeCode}", "bad-input", route, BYTES_MAX, admin),
        kind("/admin/routes/{routeCode}/schedules", ROUTE, schedules, 2 * 1024 * 1024, admin),
        vec![exceptions("GET"), put_exceptions],
        kind("/admin/routes/fares/{routeCode}", "bad-input", fares, 2 * 1024 * 1024, admin),
        kind("/admin/ports/{code}", "bad-input", named, BYTES_MAX, admin),
        kind("/admin/refund-rules/{ruleId}", "bad-input", rule, BYTES_MAX, admin),
        kind("/admin/merchants/{merchantId}", "bad-input", merchant, BYTES_MAX, admin),
        kind("/admin/devices/{deviceId}", "bad-input", device, BYTES_MAX, admin),
        locations,
        kind("/admin/promotions/{code}", "bad-input", promotion(), BYTES_MAX, admin),
        kind("/admin/ota/partners/{partnerId}", "bad-input", partner, BYTES_MAX, admin),
        kind("/admin/ota/partners/{partnerId}/allotments", "bad-input-caller", allotments, BYTES_MAX, admin),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A template with everything in it that there may be.
fn full_template(mut package: Value) -> Value {
    package["versionToken"] = "v".into();
    package["clientToken"] = "c".into();
    package["description"] = json!({ "zh": "全部", "en": "Everything" });
    package["places"] = json!(["HK"]);
    package["journeys"] = json!([{
        "routeCode": "hzm-hk-zh", "seatClass": "standard", "fromStop": 0, "toStop": 1, "dayOffset": 1,
    }]);
    let mut entitlement = package["entitlements"][0].clone();
    for (field, value) in [("merchantId", json!("hzm")), ("locationIds", json!(["HZHK"])), ("shareWeight", json!(1))] {
        entitlement[field] = value;
    }
    entitlement["validity"]["until"] = "2099-12-31".into();
    package["entitlements"] = json!([entitlement]);
    package["tiers"][0]["dayType"] = "any".into();
    package["stock"] = json!({ "total": 1_000, "perDate": 100 });
    package["blackoutDates"] = json!(["2026-12-25"]);
    package["refundRules"] = json!({});
    package["timeZone"] = "Asia/Hong_Kong".into();
    package
}

/// A single departure.
fn departures(coach: &str, admin: Option<&Person>) -> Vec<Example> {
    let write = |operation: &str| {
        Example::new(operation, admin).with("departureId", coach).with("Idempotency-Key", "bad-input")
    };
    let class = json!({ "code": "standard", "capacity": 30 });
    let partner = json!({ "channel": "ota:klook", "seatClass": "standard", "seats": 1 });
    let list = Example::new("GET /admin/departures", admin);
    vec![
        list.with("routeCode", "hzm-hk-zh").with("date", "2026-12-24"),
        write("PATCH /admin/departures/{departureId}").body(json!({ "classes": [class], "status": "on_sale" })),
        write("PUT /admin/departures/{departureId}/allotments").body(json!({ "allotments": [partner] })),
    ]
}

impl Examples {
    #[track_caller]
    pub fn of(&self, method: &Method, path: &str) -> &Example {
        let operation = format!("{method} {path}");
        let found = self.0.iter().find(|example| example.operation == operation);
        found.unwrap_or_else(|| panic!("{operation} has no example of a good request yet"))
    }

    pub async fn make(client: &Client, mei: &Person) -> Examples {
        let departure = client.departure().await;
        let paid = mei.buy(&departure, 1).await;
        let pending = mei.order(&departure, 1).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (pending, ticket) = (text(&pending["orderId"]), text(&paid["tickets"][0]["ticketId"]));
        let ticket_id = ticket.clone();
        let reserve = json!({ "departureId": departure.id, "seatClass": departure.class, "seats": 1 });
        let reservation = text(&mei.reserve(&reserve).await.ok()["reservationId"]);
        let code = mei.ticket_code(&paid["tickets"][0]).await;
        let operator = client.operator("gate").await;
        let gate = operator.gate(&json!({ "deviceId": "bad-input" })).await;
        let admin = client.administrator().await;
        admin.put("/admin/promotions/bad-input", &promotion()).await.ok();
        let lok = client.traveller("bad-input-out").await;
        let partner = client.partner("bad-input-caller").await;
        let hook = json!({ "url": "https://bad-input.example/", "enabled": false });
        admin.put(&format!("/admin/ota/partners/{}/webhooks", partner.id), &hook).await.ok();
        let package = template("bad-input");
        let package_id = text(&admin.post("/admin/packages/templates", &package).await.ok()["templateId"]);
        let sold = partners::Sold::make(&partner, &package["productId"]).await;
        let journey = json!({ "kind": "journey", "departureId": departure.id, "seatClass": departure.class });
        let included =
            json!({ "kind": "package", "templateId": package_id, "journeys": [{ "departureId": departure.id }] });
        let (mei, operator, admin) = (Some(mei), Some(&operator), Some(&admin));

        let open = |operation| Example::new(operation, None);
        let packages = |example: Example| example.with("templateId", &package_id);
        let order = |operation| Example::new(operation, mei).with("orderId", &pending);
        let ticket = |operation| Example::new(operation, mei).with("ticketId", &ticket);
        let mut examples = vec![
            open("POST /auth/wechat/login").body(json!({ "code": "demo-oT9_bad-input-2" })),
            Example::new("POST /auth/logout", Some(&lok)),
            open("GET /travel/hot-cities"),
            Example {
                any_text: vec![("routeCode", "no route is called so"), ("templateId", "nor a package")],
                ..open("GET /cancellation-policies")
            },
            open("GET /travel/blackout-dates").with("year", "2026"),
            open("GET /travel/search").with("origin", "HK").with("destination", "MO").with("travelDate", "2026-12-24"),
            open("GET /departures/{departureId}").with("departureId", &departure.id),
            open("GET /promotions/{code}").with("code", "bad-input"),
            Example::new("POST /orders", mei)
                .with("Idempotency-Key", "bad-input")
                .body(order_of(&journey))
                .or(order_of(&included)),
            Example::new("POST /reservations", mei).with("Idempotency-Key", "bad-input").body(reserve),
            Example::new("DELETE /reservations/{reservationId}", mei).with("reservationId", &reservation),
            Example::new("GET /orders", mei),
            order("GET /orders/{orderId}"),
            order("POST /orders/{orderId}/cancel"),
            order("GET /orders/{orderId}/qr"),
            Example::new("POST /payments/wechat/session", mei).body(json!({ "orderId": pending })),
            order("GET /payments/{orderId}/status"),
            Example {
                body: json!({ "id": "1", "resource": {} }),
                is_signed: true,
                ..open("POST /payments/wechat/notify")
            },
            Example {
                body: json!({ "id": "1", "resource": {} }),
                is_signed: true,
                ..open("POST /payments/wechat/refund-notify")
            },
            Example::new("GET /my/tickets", mei),
            Example::new("GET /my/refunds", mei),
            ticket("GET /tickets/{ticketId}"),
            ticket("GET /tickets/{ticketId}/qr"),
            open("POST /operators/login").body(json!({ "username": "gate", "password": "demo-gate" })),
            open("POST /admin/login").body(json!({ "username": "admin", "password": "demo-admin" })),
            Example::new("POST /validators/sessions", operator).body(json!({ "deviceId": "bad-input-2" })),
            Example::new("DELETE /validators/sessions/{sessionId}", operator).with("sessionId", &gate.session),
            Example {
                any_text: vec![("code", "a gate is shown whatever people have, and its lamp says no")],
                ..Example::new("POST /tickets/scan", operator)
                    .with("X-Device-Secret", &gate.secret)
                    .body(json!({ "code": code, "sessionId": gate.session, "requestId": "r1" }))
            },
            Example {
                any_text: vec![("code", "a counter is shown whatever people have, and is told no")],
                ..Example::new("POST /merchant/tickets/scan", operator)
                    .with("X-Device-Secret", &gate.secret)
                    .body(json!({ "code": code, "sessionId": gate.session }))
            },
            Example {
                any_text: vec![("code", "as at gates")],
                ..Example::new("POST /merchant/redemptions", operator).with("X-Device-Secret", &gate.secret).body(
                    json!({
                        "code": code, "sessionId": gate.session, "requestId": "r1",
                        "items": [{ "ticketId": ticket_id, "entitlementCode": "BOARDING", "quantity": 1 }],
                    }),
                )
            },
            Example::new("GET /merchant/orders/{orderId}", operator).with("orderId", &pending),
            Example::new("GET /merchant/redemptions", operator).with("date", "2026-12-01"),
            Example {
                any_text: vec![
                    ("merchantId", "nothing is found of what is not there"),
                    ("locationId", "likewise"),
                    ("entitlementCode", "likewise"),
                ],
                ..Example::new("GET /reports/redemptions", admin).with("from", "2026-12-01").with("to", "2026-12-02")
            },
            Example {
                any_text: vec![("account", "whoever has written nothing, or is nobody, has no entries")],
                ..Example::new("GET /admin/audit-logs", admin)
                    .with("from", "2026-12-24")
                    .with("to", "2026-12-24T12:00:00Z")
                    .with("account", "admin")
                    .with("entity", "fares")
            },
            open("GET /travel/calendar").with("origin", "HK").with("destination", "MO").with("month", "2026-12"),
            open("GET /catalog").with("serviceDate", "2099-12-24"),
            packages(open("GET /catalog/{templateId}")),
            Example::new("POST /admin/packages/templates", admin)
                .with("Idempotency-Key", "bad-input")
                .body(full_template(package)),
            Example::new("GET /admin/packages/templates", admin),
            packages(Example::new("GET /admin/packages/templates/{templateId}", admin)),
            packages(Example::new("GET /admin/packages/templates/{templateId}/versions", admin)),
            packages(Example::new("GET /admin/packages/templates/{templateId}/stock", admin)),
            Example::new("GET /admin/quarantine", admin),
            Example {
                any_text: vec![("note", "a line break is no fault of a note")],
                ..Example::new("POST /admin/quarantine/{noticeId}/resolve", admin)
                    .with("noticeId", "bad-input")
                    .body(json!({ "note": "given back by hand" }))
            },
            Example::new("GET /admin/refunds", admin),
            Example::new("POST /admin/refunds/{refundId}/retry", admin).with("refundId", format!("{pending}R1")),
            open("GET /health/live"),
            open("GET /health/ready"),
            Example::new("GET /metrics", admin),
        ];
        examples.extend(departures(&client.coach().await, admin));
        examples.extend(configuration(admin));
        examples.extend(people(admin));
        examples.extend(partners::examples(admin, &partner, &sold));
        Examples(examples)
    }
}

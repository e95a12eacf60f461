//! Who may ask what: every operation of the document, by everybody, as the contract's table says.

mod partners;
mod strangers;

use std::collections::{BTreeMap, BTreeSet};

use deeptravel_domain::webhook::signature::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, Gate, Person, signed};
use crate::shop::{id, journey, new_key, reservation, template, text, wish};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    WithoutToken,
    WithNonsense,
    Traveller,
    Partner,
    Operator,
    Admin,
    Ops,
    Finance,
    Auditor,
}

use Who::{Admin, Auditor, Finance, Operator, Ops, Partner, Traveller, WithNonsense, WithoutToken};

const EVERYBODY: &[Who] = &[WithoutToken, WithNonsense, Traveller, Partner, Operator, Admin, Ops, Finance, Auditor];
const LOGGED_IN: &[Who] = &[Traveller, Operator, Admin, Ops, Finance, Auditor];
const STAFF: &[Who] = &[Operator, Admin, Ops, Finance, Auditor];
const DESKS: &[Who] = &[Admin, Ops, Finance, Auditor];
const CASHIERS: &[Who] = &[Admin, Finance];
/// Who may look at partners, their keys, allotments and webhooks.
const AGENTS: &[Who] = &[Admin, Ops, Auditor];
const PARTNERS: &[Who] = &[Partner];
/// Partners sign it, besides.
const SIGNED: &str = "POST /api/ota/webhooks/payment";
/// WeChat signs what it says; no token stands for a signature.
const WHO_SIGNS: &[Who] = &[];

/// A request that somebody may make.
struct Row {
    operation: String,
    /// Who may get something else than 401 and 403.
    may: &'static [Who],
    path: String,
    body: Value,
}

/// Those who ask, and what they ask about.
struct Cast {
    client: Client,
    tokens: Vec<(Who, String)>,
    /// Of a partner, and of its webhook.
    key: String,
    secret: Secret,
    gate: Gate,
    /// Of the traveller: one paid, one not.
    orders: [String; 2],
    reservation: String,
    ticket: String,
    code: String,
    coach: String,
}

impl Cast {
    async fn meet(client: &Client, mei: &Person, device: &str) -> Cast {
        let operator = client.operator("gate").await;
        let gate = operator.gate(&json!({ "deviceId": device })).await;
        let mut tokens = vec![(Traveller, mei.token.clone()), (Operator, operator.token.clone())];
        for (who, name) in [(Admin, "admin"), (Ops, "ops"), (Finance, "finance"), (Auditor, "auditor")] {
            tokens.push((who, client.staff(name).await.token));
        }
        let coach = client.coach().await;
        let order = mei.place(&[journey(&coach)], 1).await.ok();
        let paid = mei.pay(&order).await;
        let pending = mei.place(&[journey(&coach)], 1).await.ok();
        let code = mei.ticket_code(&paid["tickets"][0]).await;
        let ticket = text(&paid["tickets"][0]["ticketId"]);
        let partner = client.partner(device).await;
        let (secret, key) = (partner.secret().await, partner.key);
        let reservation = text(&mei.reserve(&reservation(&coach, 1)).await.ok()["reservationId"]);
        let orders = [id(&order), id(&pending)];
        Cast { client: client.clone(), tokens, key, secret, gate, orders, reservation, ticket, code, coach }
    }

    /// The contract's table (`api.md`). What ends something stands last.
    fn table(&self) -> Vec<Row> {
        let (none, [order, pending], ticket) = (Value::Null, &self.orders, &self.ticket);
        let scan = json!({ "code": self.code, "sessionId": self.gate.session, "requestId": "r1" });
        let look = json!({ "code": self.code, "sessionId": self.gate.session });
        let items = json!([{ "ticketId": ticket, "quantity": 1 }]);
        let redemption =
            json!({ "code": self.code, "sessionId": self.gate.session, "requestId": "r2", "items": items });
        let session = json!({ "deviceId": "access too" });
        let staff = |name: &str| json!({ "username": name, "password": format!("demo-{name}") });
        let notice = json!({ "id": "1", "resource": {} });
        let search = "/travel/search?origin=HK&destination=ZH&travelDate=2026-12-24";
        let row = |operation: &str, may, path: &str, body: &Value| {
            let (operation, path, body) = (operation.to_owned(), path.to_owned(), body.clone());
            Row { operation, may, path, body }
        };
        let mut table = vec![
            row("POST /auth/wechat/login", EVERYBODY, "/auth/wechat/login", &json!({ "code": "demo-oT9_has-access" })),
            row("GET /cancellation-policies", EVERYBODY, "/cancellation-policies", &none),
            row("GET /travel/hot-cities", EVERYBODY, "/travel/hot-cities", &none),
            row("GET /travel/blackout-dates", EVERYBODY, "/travel/blackout-dates?year=2026", &none),
            row("GET /travel/search", EVERYBODY, search, &none),
            row("GET /departures/{departureId}", EVERYBODY, &format!("/departures/{}", self.coach), &none),
            row("GET /promotions/{code}", EVERYBODY, "/promotions/access", &none),
            row("POST /reservations", &[Traveller], "/reservations", &reservation(&self.coach, 1)),
            row("POST /orders", &[Traveller], "/orders", &wish(&[journey(&self.coach)], 1)),
            row("GET /orders", &[Traveller], "/orders", &none),
            row("GET /orders/{orderId}", &[Traveller], &format!("/orders/{order}"), &none),
            row("GET /orders/{orderId}/qr", &[Traveller], &format!("/orders/{order}/qr"), &none),
            row("GET /orders/{orderId}/qr", &[Traveller], &format!("/orders/{order}/qr?use=print"), &none),
            row(
                "POST /payments/wechat/session",
                &[Traveller],
                "/payments/wechat/session",
                &json!({ "orderId": pending }),
            ),
            row("GET /payments/{orderId}/status", &[Traveller], &format!("/payments/{order}/status"), &none),
            row("POST /payments/wechat/notify", WHO_SIGNS, "/payments/wechat/notify", &notice),
            row("POST /payments/wechat/refund-notify", WHO_SIGNS, "/payments/wechat/refund-notify", &notice),
            row("GET /my/tickets", &[Traveller], "/my/tickets", &none),
            row("GET /my/refunds", &[Traveller], "/my/refunds", &none),
            row("GET /tickets/{ticketId}", &[Traveller], &format!("/tickets/{ticket}"), &none),
            row("GET /tickets/{ticketId}/qr", &[Traveller], &format!("/tickets/{ticket}/qr"), &none),
            row("GET /tickets/{ticketId}/qr", &[Traveller], &format!("/tickets/{ticket}/qr?use=print"), &none),
            row("POST /operators/login", EVERYBODY, "/operators/login", &staff("gate")),
            row("POST /validators/sessions", &[Operator], "/validators/sessions", &session),
            row("POST /tickets/scan", &[Operator], "/tickets/scan", &scan),
            row("POST /merchant/tickets/scan", &[Operator], "/merchant/tickets/scan", &look),
            row("POST /merchant/redemptions", &[Operator], "/merchant/redemptions", &redemption),
            row("GET /merchant/orders/{orderId}", &[Operator], &format!("/merchant/orders/{order}"), &none),
            row("GET /merchant/redemptions", &[Operator], "/merchant/redemptions", &none),
            row("GET /reports/redemptions", STAFF, "/reports/redemptions?from=2026-12-01&to=2026-12-02", &none),
            row("POST /admin/login", EVERYBODY, "/admin/login", &staff("admin")),
            row("GET /admin/audit-logs", DESKS, "/admin/audit-logs", &none),
            row("GET /admin/quarantine", DESKS, "/admin/quarantine", &none),
            row(
                "POST /admin/quarantine/{noticeId}/resolve",
                CASHIERS,
                "/admin/quarantine/EV-1/resolve",
                &json!({ "note": "seen to" }),
            ),
            row("GET /admin/refunds", DESKS, "/admin/refunds", &none),
            row("POST /admin/refunds/{refundId}/retry", CASHIERS, &format!("/admin/refunds/{order}R1/retry"), &none),
            row("GET /health/live", EVERYBODY, "/health/live", &none),
            row("GET /health/ready", EVERYBODY, "/health/ready", &none),
            row("GET /metrics", &[Admin, Ops], "/metrics", &none),
            row(
                "DELETE /reservations/{reservationId}",
                &[Traveller],
                &format!("/reservations/{}", self.reservation),
                &none,
            ),
            row("POST /orders/{orderId}/cancel", &[Traveller], &format!("/orders/{pending}/cancel"), &none),
            row(
                "DELETE /validators/sessions/{sessionId}",
                &[Operator],
                &format!("/validators/sessions/{}", self.gate.session),
                &none,
            ),
        ];
        table.extend(departures(&self.coach));
        table.extend(configuration());
        table.extend(partners::rows());
        table.extend(people());
        table.push(row("POST /admin/logout", DESKS, "/admin/logout", &none));
        table.extend(packages());
        table.push(row("POST /auth/logout", LOGGED_IN, "/auth/logout", &none));
        table
    }

    fn token(&self, who: Who) -> Option<&str> {
        let found = self.tokens.iter().find(|(whose, _)| *whose == who).map(|(_, token)| token.as_str());
        match who {
            WithNonsense => Some("nonsense"),
            Partner => Some(&self.key),
            WithoutToken | Traveller | Operator | Admin | Ops | Finance | Auditor => found,
        }
    }

    async fn ask(&self, who: Who, row: &Row) -> Answer {
        // Ends a session of its own, so that the next row still has one.
        match (row.operation.as_str(), desk(who)) {
            ("POST /admin/logout", Some(name)) => self.send(row, Some(&self.client.staff(name).await.token)).await,
            _ => self.send(row, self.token(who)).await,
        }
    }

    async fn send(&self, row: &Row, token: Option<&str>) -> Answer {
        let method: Method = row.operation.split_once(' ').unwrap().0.parse().unwrap();
        let request = self.client.request(method, &row.path).header("Idempotency-Key", new_key());
        let request = request.header("X-Device-Secret", &self.gate.secret);
        // This machine may read metrics without a login, but not for another.
        let request = request.header("X-Forwarded-For", "192.0.2.1");
        let request = match &row.body {
            Value::Null => request,
            body if row.operation == SIGNED => signed(request, &self.secret, "msg_1", body),
            body => request.json(body),
        };
        // A key is no token, and a token no key.
        let request = match token {
            Some(key) if key == self.key => request.header("X-API-Key", key),
            Some(token) if row.may == PARTNERS => request.bearer_auth(token).header("X-API-Key", token),
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        self.client.send(request).await
    }
}

/// The name of the account of a desk.
fn desk(who: Who) -> Option<&'static str> {
    match who {
        Admin => Some("admin"),
        Ops => Some("ops"),
        Finance => Some("finance"),
        Auditor => Some("auditor"),
        WithoutToken | WithNonsense | Traveller | Partner | Operator => None,
    }
}

/// Accounts: all staff may look, administrators alone write, and everybody at a desk changes the own password.
fn people() -> Vec<Row> {
    let none = Value::Null;
    let mut rows = Vec::new();
    for (list, body) in [("/admin/operators", json!({})), ("/admin/accounts", json!({ "roles": ["ops"] }))] {
        rows.push(Row { operation: format!("GET {list}"), may: DESKS, path: list.to_owned(), body: Value::Null });
        let mut row = |deed: &str, may, below: &str, body: &Value| {
            let (path, operation) =
                (format!("{list}/access-{}{below}", &list[7..]), format!("{deed} {list}/{{username}}{below}"));
            rows.push(Row { operation, may, path, body: body.clone() });
        };
        row("PUT", &[Admin], "", &body);
        row("GET", DESKS, "", &none);
        row("GET", DESKS, "/history", &none);
        row("PUT", &[Admin], "/password", &json!({ "password": "twelve characters" }));
        row("DELETE", &[Admin], "/sessions", &none);
    }
    // Of the wrong one nothing comes but its name.
    let body = json!({ "oldPassword": "not this one", "newPassword": "twelve characters" });
    let (operation, path) = ("PUT /admin/me/password".to_owned(), "/admin/me/password".to_owned());
    rows.push(Row { operation, may: DESKS, path, body });
    rows
}

/// A single departure: all staff may look, operations may stop its sale, administrators alone change its seats.
fn departures(coach: &str) -> Vec<Row> {
    let path = format!("/admin/departures/{coach}");
    let row = |operation: &str, may, path: &str, body: Value| Row {
        operation: operation.to_owned(),
        may,
        path: path.to_owned(),
        body,
    };
    let list = "/admin/departures?routeCode=hzm-hk-zh&date=2026-12-24";
    vec![
        row("GET /admin/departures", DESKS, list, Value::Null),
        row("PATCH /admin/departures/{departureId}", &[Admin, Ops], &path, json!({ "status": "on_sale" })),
        row(
            "PUT /admin/departures/{departureId}/allotments",
            &[Admin],
            &format!("{path}/allotments"),
            json!({ "allotments": [] }),
        ),
    ]
}

/// Everything that is put as a whole: all staff may look, administrators alone write.
fn configuration() -> Vec<Row> {
    let fare = json!({ "passengerType": "adult", "price": { "amount": 100, "currency": "CNY" } });
    let name = json!({ "zh": "門", "en": "Gate" });
    let promotion = json!({
        "name": name, "automatic": false, "kind": "percent", "value": 10, "validFrom": "2026-12-01",
        "validUntil": "2026-12-31",
    });
    let stop = |port, minutes| json!({ "port": port, "arrivesMinutes": minutes, "departsMinutes": minutes });
    let route = json!({
        "operator": "access", "mode": "coach", "name": name, "timeZone": "Asia/Hong_Kong", "vehicle": "access",
        "stops": [stop("access", 0), stop("HKSW", 10)], "bookingClosesMinutes": 0, "salesWindowDays": 1,
        "status": "draft",
    });
    let class = json!({ "code": "standard", "name": name });
    let seat = json!({ "label": "1", "class": "standard", "row": 1, "column": 1 });
    let schedule = json!({
        "scheduleId": "access-1", "departs": "08:00", "weekdays": [1], "from": "2026-01-01", "until": "2026-12-31",
    });
    let exceptions = "/admin/schedules/{scheduleId}/exceptions";
    let of_schedule = |method: &str, may, body| Row {
        operation: format!("{method} {exceptions}"),
        may,
        path: exceptions.replace("{scheduleId}", "access-1"),
        body,
    };
    let kinds = [
        kind("/admin/carriers/{code}", "access", &json!({ "name": name }), &[LISTED, ENDS]),
        kind("/admin/ports/{code}", "access", &json!({ "name": name }), &[LISTED, ENDS]),
        kind("/admin/places/{code}", "access", &json!({ "name": name, "ports": [] }), &[LISTED, ENDS]),
        kind(
            "/admin/vehicles/{code}",
            "access",
            &json!({ "name": name, "classes": [class], "seats": [seat] }),
            &[LISTED, ENDS],
        ),
        kind("/admin/holidays/{year}", "2031", &json!([]), &[LISTED]),
        kind("/admin/routes/fares/{routeCode}", "access", &json!({ "fares": [fare] }), &[LISTED]),
        kind("/admin/routes/{routeCode}", "access", &route, &[LISTED, ENDS]),
        kind("/admin/routes/{routeCode}/schedules", "access", &json!([schedule]), &[]),
        kind("/admin/refund-rules/{ruleId}", "access", &json!({ "name": name, "windows": [] }), &[LISTED, ENDS]),
        kind("/admin/merchants/{merchantId}", "access", &json!({ "name": name }), &[LISTED, ENDS]),
        kind("/admin/devices/{deviceId}", "access", &json!({ "merchantId": "museum" }), &[LISTED, ENDS]),
        kind("/admin/promotions/{code}", "access", &promotion, &[LISTED, ENDS]),
        of_museum(kind(LOCATION, "access", &json!({ "name": name }), &[LISTED, ENDS])),
    ];
    // What is still used is not withdrawn, so every one of them is there for all who ask.
    let single_days = [of_schedule("PUT", &[Admin], json!([])), of_schedule("GET", DESKS, Value::Null)];
    kinds.into_iter().flatten().chain(single_days).collect()
}

const LOCATION: &str = "/admin/merchants/{merchantId}/locations/{locationId}";

fn of_museum(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { path: row.path.replace("{merchantId}", "museum"), ..row }).collect()
}

/// What not every kind has: a list, and an end.
const LISTED: &str = "GET";
const ENDS: &str = "DELETE";

/// The operations of a kind.
fn kind(item: &str, id: &str, body: &Value, has: &[&str]) -> Vec<Row> {
    let (start, rest) = item.rsplit_once('{').unwrap();
    let (_, end) = rest.split_once('}').unwrap();
    let list = start.trim_end_matches('/');
    let one = |operation: &str, may, below: &str, body: &Value| Row {
        operation: format!("{operation} {item}{below}"),
        may,
        path: format!("{start}{id}{end}{below}"),
        body: body.clone(),
    };
    let all = Row { operation: format!("GET {list}"), may: DESKS, path: list.to_owned(), body: Value::Null };
    let rows = [
        one("PUT", &[Admin], "", body),
        one("GET", DESKS, "", &Value::Null),
        one("GET", DESKS, "/history", &Value::Null),
        one("POST", &[Admin], "/restore", &json!({})),
    ];
    let listed = has.contains(&LISTED).then_some(all);
    let ends = has.contains(&ENDS).then(|| one("DELETE", &[Admin], "", &Value::Null));
    listed.into_iter().chain(rows).chain(ends).collect()
}

#[tokio::test]
async fn every_operation_refuses_everybody_who_may_not_and_nobody_else() {
    let client = Client::new();
    let mei = client.traveller("has-access").await;
    let cast = Cast::meet(&client, &mei, "access").await;
    let table = cast.table();
    let known: BTreeSet<String> = table.iter().map(|row| row.operation.clone()).collect();
    let documented: BTreeSet<String> = documented(&client).await.into_keys().collect();
    assert_eq!(known, documented, "the table has every operation of the document, and no other");

    let left = client.available(&cast.coach, "").await;
    for row in &table {
        for who in EVERYBODY.iter().filter(|who| !row.may.contains(who)) {
            let answer = cast.ask(*who, row).await;
            let expected = match who {
                _ if row.may == WHO_SIGNS => (401, "INVALID_SIGNATURE"),
                WithoutToken if row.may == PARTNERS => (401, "API_KEY_REQUIRED"),
                _ if row.may == PARTNERS => (401, "INVALID_API_KEY"),
                WithoutToken | WithNonsense | Partner => (401, "UNAUTHENTICATED"),
                Traveller | Operator | Admin | Ops | Finance | Auditor => (403, "FORBIDDEN"),
            };
            let got = (answer.status, answer.body["code"].as_str().unwrap_or_default());
            assert_eq!(got, expected, "{} by {who:?}: {}", row.operation, answer.text);
            answer.problem(expected.0, expected.1);
        }
    }
    assert_eq!(client.available(&cast.coach, "").await, left, "nothing was sold or freed");
    assert_eq!(mei.status(&json!({ "orderId": cast.orders[1] })).await, "pending");
    assert_eq!(cast.gate.scan(&cast.code, "r2").await["result"], "success", "neither redeemed nor closed");

    for row in &table {
        for who in row.may {
            let answer = cast.ask(*who, row).await;
            let is_answered = !matches!(answer.status, 401 | 403) && answer.status < 500;
            assert!(is_answered, "{} by {who:?}: {}", row.operation, answer.text);
        }
    }
}

/// Packages, and their templates.
fn packages() -> [Row; 8] {
    let row = |operation: &'static str, may, body: &Value| {
        let path = operation.split_once(' ').unwrap().1.replace("{templateId}", "pkg-nowhere");
        Row { operation: operation.to_owned(), may, path, body: body.clone() }
    };
    let (none, mut draft) = (Value::Null, template("Access"));
    draft["status"] = "draft".into();
    draft["productId"] = Value::Null;
    let month = "/travel/calendar?origin=HK&destination=ZH&month=2026-12";
    [
        Row { path: month.to_owned(), ..row("GET /travel/calendar", EVERYBODY, &none) },
        row("GET /catalog", EVERYBODY, &none),
        row("GET /catalog/{templateId}", EVERYBODY, &none),
        row("POST /admin/packages/templates", &[Admin], &draft),
        row("GET /admin/packages/templates", DESKS, &none),
        row("GET /admin/packages/templates/{templateId}", DESKS, &none),
        row("GET /admin/packages/templates/{templateId}/versions", DESKS, &none),
        row("GET /admin/packages/templates/{templateId}/stock", DESKS, &none),
    ]
}

/// Every operation of the document, with its permission.
async fn documented(client: &Client) -> BTreeMap<String, String> {
    let document = client.get("/openapi.json").await.ok();
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let permission = operation["x-permission"].as_str();
            let permission = permission.unwrap_or_else(|| panic!("{name} has a permission"));
            assert_eq!(permission == "public", operation["security"].is_null(), "{name}: {permission}");
            found.insert(name, permission.to_owned());
        }
    }
    found
}

#[tokio::test]
async fn what_is_public_needs_no_token() {
    let client = Client::new();
    let coach = client.coach().await;
    for path in [
        "/travel/hot-cities",
        "/travel/blackout-dates?year=2026",
        &format!("/departures/{coach}"),
        "/health/live",
        "/health/ready",
        "/openapi.json",
    ] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    client.get("/departures/nothing.20261224").await.problem(404, "DEPARTURE_NOT_FOUND");
    client.get("/nowhere").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn after_logging_out_a_travellers_token_is_worth_nothing() {
    let client = Client::new();
    let (mei, again) = (client.traveller("leaves").await, client.traveller("leaves").await);
    assert_eq!(mei.post("/auth/logout", &json!({})).await.status, 204);
    mei.get("/orders").await.problem(401, "UNAUTHENTICATED");
    assert_eq!(again.get("/orders").await.status, 200, "the other session goes on");
}

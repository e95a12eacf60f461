//! What scenarios need before the clock runs: travellers, departures, paid tickets with their codes, gates.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::ToSpan;
use serde_json::{Value, json};

use super::search::Search;
use crate::api::{Api, Call, list, spread, text};
use crate::http::Target;
use crate::timetable::{DAYS, today};

/// Calls of the set-up in flight.
pub const WIDTH: usize = 16;
/// Passengers of an order that is made for its tickets: the most there may be.
pub const PARTY: usize = 10;
/// From the payment at the provider until the order is paid.
const PAID_TIME_MAX: Duration = Duration::from_mins(1);
/// Searches whose departures are looked at: a week and more.
const SEARCHES: u64 = 70;
/// Between two looks whether an order is paid.
const PAID_PAUSE: Duration = Duration::from_millis(20);
/// Templates of packages: what a large operator has on sale at once.
const TEMPLATES: usize = 20;
/// Units of a package: the most there may be. Counting them is part of an order, and none of a run is refused for them.
const UNITS: u32 = 10_000_000;
/// What a package costs an adult, in minor units.
const PACKAGE_MINOR: u32 = 20_000;

/// Something to buy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Departure {
    pub id: String,
    pub seat_class: String,
    pub available: u64,
    /// `None` when the server does not say.
    pub departs_at: Option<jiff::Timestamp>,
}

impl Departure {
    /// As an order names it.
    pub fn item(&self) -> Value {
        json!({ "kind": "journey", "departureId": self.id, "seatClass": self.seat_class })
    }
}

/// A ticket to scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaidTicket {
    pub ticket: String,
    /// Whose token sees it.
    pub traveller: usize,
    /// As its QR symbol holds it.
    pub code: String,
}

/// A validator session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gate {
    pub session: String,
    pub device_secret: String,
}

/// The bearer tokens of so many travellers, who log in now.
pub async fn travellers(target: &Target, number: usize) -> anyhow::Result<Vec<String>> {
    spread(target, 0..number, WIDTH, async |api: &mut Api, index| {
        let body = json!({ "code": format!("demo-load-{index}") });
        let answer = api.expect(Call::post("/auth/wechat/login"), Some(&body)).await?;
        Ok(text(&answer, "token")?.to_owned())
    })
    .await
    .context("logging travellers in")
}

/// The departures of days that follow each other, all between the same two places: of the first day with any, and of so
/// many days more that `seats` are on sale, if there are as many. Each day has at most `per_day` departures.
pub async fn departures(target: &Target, seats: u64, per_day: usize) -> anyhow::Result<Vec<Vec<Departure>>> {
    departures_from(1, target, seats, per_day, DAYS).await
}

/// As [`departures`], from so many days ahead on and up to so many days ahead, which is left out.
pub async fn departures_from(
    first: i32,
    target: &Target,
    seats: u64,
    per_day: usize,
    end: i32,
) -> anyhow::Result<Vec<Vec<Departure>>> {
    let mut api = Api::new(target.clone());
    let cities = cities(&mut api).await?;
    let mut days: Vec<Vec<Departure>> = Vec::new();
    let mut places = None;
    let mut on_sale = 0;
    for ahead in first..end {
        let date = today().checked_add(ahead.days())?;
        let (pair, mut best) = best_pair(&mut api, &pairs(&cities, places), date).await?;
        places = places.or(pair);
        best.truncate(per_day);
        on_sale += seats_of(&best);
        if !best.is_empty() {
            days.push(best);
        }
        if on_sale >= seats && !days.is_empty() {
            break;
        }
    }
    ensure!(!days.is_empty(), "the server has no departures on sale between any two of {cities:?}");
    Ok(days)
}

async fn cities(api: &mut Api) -> anyhow::Result<Vec<String>> {
    let cities = api.expect(Call::get("/travel/hot-cities"), None).await?;
    list(&cities, "cities")?.iter().map(|city| Ok(text(city, "code")?.to_owned())).collect()
}

/// Of pairs of places the one with the most seats on sale that day, if any, and its departures.
async fn best_pair<'a>(
    api: &mut Api,
    pairs: &[(&'a str, &'a str)],
    date: jiff::civil::Date,
) -> anyhow::Result<(Option<(&'a str, &'a str)>, Vec<Departure>)> {
    let (mut places, mut best) = (None, Vec::new());
    for (origin, destination) in pairs {
        let path = format!(
            "/travel/search?origin={origin}&destination={destination}&travelDate={date}&adults=1&children=0&seniors=0"
        );
        // A pair that no route connects, or a date that is not sold, is no reason to give up.
        let (status, answer) = api.call(Call::get(&path), None).await?;
        let found = if status == 200 { sellable(&answer)? } else { Vec::new() };
        if seats_of(&found) > seats_of(&best) {
            (places, best) = (Some((*origin, *destination)), found);
        }
    }
    Ok((places, best))
}

/// The two places with the most seats on sale tomorrow.
pub async fn busiest_pair(target: &Target) -> anyhow::Result<(String, String)> {
    let mut api = Api::new(target.clone());
    let cities = cities(&mut api).await?;
    let (pair, _) = best_pair(&mut api, &pairs(&cities, None), today().checked_add(1.days())?).await?;
    let (origin, destination) = pair.with_context(|| format!("nothing is on sale between any two of {cities:?}"))?;
    Ok((origin.to_owned(), destination.to_owned()))
}

/// The departures that some searches find.
pub async fn found(target: &Target, search: &Search) -> anyhow::Result<Vec<String>> {
    let mut api = Api::new(target.clone());
    let mut found = std::collections::BTreeSet::new();
    for n in 0..SEARCHES {
        let answer = api.expect(Call::get(search.path(n)), None).await?;
        found.extend(sellable(&answer)?.into_iter().map(|departure| departure.id));
    }
    Ok(found.into_iter().collect())
}

fn seats_of(departures: &[Departure]) -> u64 {
    departures.iter().map(|departure| departure.available).sum()
}

/// All ordered pairs, or the one that was decided on.
fn pairs<'a>(codes: &'a [String], decided: Option<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    if let Some(pair) = decided {
        return vec![pair];
    }
    let with = |a: &'a String| codes.iter().filter(move |b| a != *b).map(move |b| (a.as_str(), b.as_str()));
    codes.iter().flat_map(with).collect()
}

/// Of each departure the class with the most seats left.
fn sellable(answer: &Value) -> anyhow::Result<Vec<Departure>> {
    let mut found = Vec::new();
    for departure in list(answer, "routes")? {
        let classes = list(departure, "seatClasses")?;
        let available = |class: &Value| class.get("available").and_then(Value::as_u64).unwrap_or(0);
        let Some(class) = classes.iter().max_by_key(|class| available(class)) else { continue };
        if available(class) > 0 {
            found.push(Departure {
                id: text(departure, "departureId")?.to_owned(),
                seat_class: text(class, "code")?.to_owned(),
                available: available(class),
                departs_at: text(departure, "departsAt").ok().and_then(|at| at.parse().ok()),
            });
        }
    }
    Ok(found)
}

/// Packages that an administrator puts on sale: one entitlement for each passenger, to be redeemed at gates and counters, on
/// any date. A server that has them keeps them. The ids of their templates.
pub async fn packages(target: &Target) -> anyhow::Result<Vec<String>> {
    let mut api = Api::new(target.clone());
    let token = &administrator(&mut api).await?;
    let mut templates = Vec::with_capacity(TEMPLATES);
    for index in 0..TEMPLATES {
        let call = Call::post("/admin/packages/templates").token(token);
        let put = api.expect(call, Some(&template(index))).await.context("putting a package on sale")?;
        templates.push(text(&put, "templateId")?.to_owned());
    }
    Ok(templates)
}

/// The token of the demo's administrator.
pub async fn administrator(api: &mut Api) -> anyhow::Result<String> {
    let body = json!({ "username": "admin", "password": "demo-admin" });
    let login = api.expect(Call::post("/admin/login"), Some(&body)).await.context("logging the administrator in")?;
    Ok(text(&login, "token")?.to_owned())
}

/// A package that is the load's, by its number among them.
pub fn template(index: usize) -> Value {
    let name = json!({ "zh": format!("负载套票 {index}"), "en": format!("Load package {index}") });
    json!({
        "name": name, "clientToken": format!("load-package-{index}"), "status": "active", "stock": { "total": UNITS },
        "entitlements": [{
            "code": "LOAD", "name": name, "quantity": 1, "redemptionChannel": "any", "requiresIdentity": false,
            "shared": false, "validity": { "kind": "relative", "days": 30, "startsAt": "payment" },
        }],
        "tiers": [{
            "passengerType": "adult", "minParty": 1, "price": { "amount": PACKAGE_MINOR, "currency": "CNY" },
        }],
    })
}

/// A package as an order names it.
pub fn package_item(template: &str) -> Value {
    json!({ "kind": "package", "templateId": template })
}

/// Orders of one item and so many passengers each, paid at the simulator; with the travellers whose they are.
pub async fn paid_orders(
    target: &Target,
    simulator: &Target,
    tokens: &[String],
    items: &[Value],
    number: usize,
    party: usize,
) -> anyhow::Result<Vec<(String, usize)>> {
    let placed = pending_orders(target, tokens, items, number, party).await?;
    // The payment's answer is at the provider; each worker has a connection there as well as to the server.
    spread(target, placed, WIDTH, async |api: &mut Api, (order, traveller): (String, usize)| {
        let mut provider = Api::new(simulator.clone());
        pay(api, &mut provider, &tokens[traveller], &order).await.with_context(|| format!("paying order {order}"))?;
        Ok((order, traveller))
    })
    .await
}

/// Unpaid orders; with the travellers whose they are.
pub async fn pending_orders(
    target: &Target,
    tokens: &[String],
    items: &[Value],
    number: usize,
    party: usize,
) -> anyhow::Result<Vec<(String, usize)>> {
    ensure!(!items.is_empty() && !tokens.is_empty(), "orders need something to buy, and travellers");
    let run = run_number();
    spread(target, 0..number, WIDTH, async |api: &mut Api, index| {
        let (traveller, item) = (index % tokens.len(), &items[index % items.len()]);
        let key = format!("gate-{index}-{run:x}");
        place(api, &tokens[traveller], item, &key, party).await.map(|order| (order, traveller))
    })
    .await
    .context("ordering for the set-up")
}

/// The codes of tickets of paid orders of so many passengers: first the first tickets of all orders, then the second ones, so
/// that scans in this order spread over the orders.
pub async fn paid_tickets(
    target: &Target,
    simulator: &Target,
    tokens: &[String],
    items: &[Value],
    number: usize,
    party: usize,
) -> anyhow::Result<Vec<PaidTicket>> {
    let paid = paid_orders(target, simulator, tokens, items, number.div_ceil(party), party).await?;
    let paid = spread(target, paid, WIDTH, async |api: &mut Api, (order, traveller): (String, usize)| {
        Ok((tickets_of(api, &tokens[traveller], &order, party).await?, traveller))
    })
    .await?;

    let seen = paid.iter().map(|(tickets, _)| tickets.len()).max().unwrap_or(0);
    let interleaved = (0..seen)
        .flat_map(|place| paid.iter().filter_map(move |(tickets, who)| Some((tickets.get(place)?.clone(), *who))))
        .take(number);
    spread(target, interleaved, WIDTH, async |api: &mut Api, (ticket, traveller): (String, usize)| {
        // To be printed: it is scanned once, and perhaps long after.
        let path = format!("/tickets/{ticket}/qr?format=json&use=print");
        let answer = api.expect(Call::get(&path).token(&tokens[traveller]), None).await?;
        Ok(PaidTicket { code: text(&answer, "code")?.to_owned(), ticket, traveller })
    })
    .await
    .context("fetching the codes of tickets")
}

/// The codes of paid orders of one ticket each.
pub async fn order_codes(
    target: &Target,
    tokens: &[String],
    orders: Vec<(String, usize)>,
) -> anyhow::Result<Vec<PaidTicket>> {
    spread(target, orders, WIDTH, async |api: &mut Api, (order, traveller): (String, usize)| {
        let path = format!("/orders/{order}/qr?format=json&use=print");
        let answer = api.expect(Call::get(&path).token(&tokens[traveller]), None).await?;
        Ok(PaidTicket { code: text(&answer, "code")?.to_owned(), ticket: format!("{order}-1"), traveller })
    })
    .await
    .context("fetching the codes of orders")
}

async fn place(api: &mut Api, token: &str, item: &Value, key: &str, party: usize) -> anyhow::Result<String> {
    let passengers: Vec<Value> =
        (0..party).map(|number| json!({ "name": format!("Gate Tester {number}"), "type": "adult" })).collect();
    let body = json!({
        "items": [item],
        "passengers": passengers,
        "contact": { "name": "Load Test", "phone": "+85251234567" },
    });
    let call = Call::post("/orders").token(token);
    let answer = api.expect(call.headers(&[("idempotency-key", key)]), Some(&body)).await?;
    Ok(text(&answer, "orderId")?.to_owned())
}

async fn pay(api: &mut Api, provider: &mut Api, token: &str, order: &str) -> anyhow::Result<()> {
    let call = Call::post("/payments/wechat/session").token(token);
    let session = api.expect(call, Some(&json!({ "orderId": order }))).await?;
    let path = format!("/_sim/transactions/{}/pay", text(&session, "outTradeNo")?);
    provider.expect(Call::post(&path), Some(&json!({}))).await?;

    let deadline = Instant::now() + PAID_TIME_MAX;
    let path = format!("/payments/{order}/status");
    while Instant::now() < deadline {
        let answer = api.expect(Call::get(&path).token(token), None).await?;
        match text(&answer, "status")? {
            "pending" => tokio::time::sleep(PAID_PAUSE).await,
            "paid" => return Ok(()),
            status => bail!("it became {status}"),
        }
    }
    bail!("it was not paid within {PAID_TIME_MAX:?}")
}

async fn tickets_of(api: &mut Api, token: &str, order: &str, party: usize) -> anyhow::Result<Vec<String>> {
    let path = format!("/orders/{order}");
    let answer = api.expect(Call::get(&path).token(token), None).await?;
    let tickets = list(&answer, "tickets")?;
    ensure!(tickets.len() == party, "order {order} of {party} has {} tickets", tickets.len());
    tickets.iter().map(|ticket| Ok(text(ticket, "ticketId")?.to_owned())).collect()
}

/// Logs the demo operator in and opens so many validator sessions; also the operator's token.
pub async fn gates(target: &Target, number: usize) -> anyhow::Result<(String, Vec<Gate>)> {
    let mut api = Api::new(target.clone());
    let body = json!({ "username": "gate", "password": "demo-gate" });
    let login = api.expect(Call::post("/operators/login"), Some(&body)).await.context("logging the operator in")?;
    let token = text(&login, "operatorToken")?.to_owned();
    let gates = spread(target, 0..number, WIDTH, async |api: &mut Api, index| {
        let body = json!({ "deviceId": format!("load-gate-{index}") });
        let session = api.expect(Call::post("/validators/sessions").token(&token), Some(&body)).await?;
        let (session, secret) = (text(&session, "sessionId")?, text(&session, "deviceSecret")?);
        Ok(Gate { session: session.to_owned(), device_secret: secret.to_owned() })
    })
    .await
    .context("opening validator sessions")?;
    Ok((token, gates))
}

/// A number that differs from load to load and from run to run, for keys that must be fresh.
pub fn run_number() -> u64 {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        AtomicU64::new(since.as_nanos() as u64 ^ u64::from(std::process::id()) << 48)
    });
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_with_the_most_seats_is_bought_and_full_departures_are_not() {
        let answer = json!({ "routes": [
            { "departureId": "a", "seatClasses": [{ "code": "x", "available": 1 }, { "code": "y", "available": 9 }] },
            { "departureId": "b", "seatClasses": [{ "code": "x", "available": 0 }] },
        ]});
        let expected = Departure { id: "a".into(), seat_class: "y".into(), available: 9, departs_at: None };
        assert_eq!(sellable(&answer).unwrap(), [expected]);
    }

    #[test]
    fn every_pair_is_tried_until_one_is_decided_on() {
        let codes = ["a".to_owned(), "b".to_owned()];
        assert_eq!(pairs(&codes, None), [("a", "b"), ("b", "a")]);
        assert_eq!(pairs(&codes, Some(("b", "a"))), [("b", "a")]);
    }
}

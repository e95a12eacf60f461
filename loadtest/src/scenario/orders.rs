//! `orders`: each request buys one seat, in turn on each departure of a day; when a day's seats are used up, on the
//! next day's. Each has a fresh Idempotency-Key, and the travellers take turns.

use std::borrow::Cow;
use std::io::Write as _;

use serde::Deserialize;
use serde_json::Value;

use super::setup::{Departure, run_number};
use super::unexpected;
use crate::drive::Load;
use crate::http::{Head, RequestBuffer, Target};
use crate::tally::Outcome;

/// An acknowledged order: what must be there afterwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AckedOrder {
    pub order: Box<str>,
    pub departure: Box<str>,
    pub seats: Box<[Box<str>]>,
    /// Whose token sees it.
    pub traveller: u32,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Orders {
    tokens: Vec<String>,
    days: Vec<Day>,
    run: u64,
}

/// A day's departures take their share of orders before the next day's begin.
#[derive(Debug)]
struct Day {
    /// The number of the day's first order.
    first: u64,
    /// The body of an order of each departure.
    bodies: Vec<Vec<u8>>,
}

impl Orders {
    /// `days` and `tokens` must not be empty.
    pub fn new(tokens: Vec<String>, days: &[Vec<Departure>]) -> Orders {
        let mut first = 0;
        let days = days.iter().filter(|departures| !departures.is_empty()).map(|departures| {
            let least = departures.iter().map(|departure| departure.available).min().unwrap_or(0);
            let day = Day { first, bodies: departures.iter().map(|departure| body(&departure.item())).collect() };
            first += least * departures.len() as u64;
            day
        });
        Orders { tokens, days: days.collect(), run: run_number() }
    }

    /// All orders go to one departure until its seats are used up, then all to the next: each is a day of its own.
    pub fn hot(tokens: Vec<String>, departures: &[Departure]) -> Orders {
        let days: Vec<Vec<Departure>> = departures.iter().map(|departure| vec![departure.clone()]).collect();
        Orders::new(tokens, &days)
    }

    /// The departure of the n-th order. The last day goes on for ever: then it is refused as sold out, visibly.
    fn body(&self, n: u64) -> Option<&[u8]> {
        let day = self.days.partition_point(|day| day.first <= n).checked_sub(1).and_then(|day| self.days.get(day))?;
        let index = (n - day.first) % day.bodies.len() as u64;
        day.bodies.get(index as usize).map(Vec::as_slice)
    }

    fn traveller(&self, n: u64) -> u32 {
        (n % self.tokens.len() as u64) as u32
    }
}

/// Of an order of this item for one.
pub(super) fn body(item: &Value) -> Vec<u8> {
    let body = serde_json::json!({
        "items": [item],
        "passengers": [{ "name": "Load Tester", "type": "adult" }],
        "contact": { "name": "Load Tester", "phone": "+85251234567" },
    });
    body.to_string().into_bytes()
}

/// Writes an order's request; `run` and `n` are its key.
pub(super) fn write_order(
    (run, n): (u64, u64),
    body: &[u8],
    token: &str,
    target: &Target,
    request: &mut RequestBuffer,
) {
    request.body.clear();
    request.body.extend_from_slice(body);
    let mut key = [0; 34];
    let length = {
        let mut rest = &mut key[..];
        // Two numbers of at most sixteen digits and a dash fit.
        let _ = write!(rest, "{run:x}-{n:x}");
        34 - rest.len()
    };
    let key = std::str::from_utf8(key.get(..length).unwrap_or_default()).unwrap_or_default();
    let headers = [("idempotency-key", key)];
    request.finish(target, &Head { method: "POST", path: "/orders", token: Some(token), headers: &headers });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "I: Deserialize<'de>"))]
struct Answer<'a, I> {
    #[serde(borrow)]
    order_id: Cow<'a, str>,
    items: Vec<I>,
}

/// The id and the one item of an order that was placed.
pub(super) fn placed<'a, I: Deserialize<'a>>(status: u16, body: &'a [u8]) -> Result<(Box<str>, I), Outcome> {
    if status != 201 {
        return Err(unexpected(status, body));
    }
    let Ok(answer) = serde_json::from_slice::<Answer<'a, I>>(body) else {
        return Err(Outcome::Failed("201 that cannot be read".into()));
    };
    let Ok([item]) = <[I; 1]>::try_from(answer.items) else {
        return Err(Outcome::Failed("201 without its one item".into()));
    };
    Ok((answer.order_id.into(), item))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    departure_id: Cow<'a, str>,
    seat_numbers: Box<[Box<str>]>,
}

impl Load for Orders {
    type Ack = AckedOrder;

    fn request(&self, n: u64, target: &Target, request: &mut RequestBuffer) -> bool {
        let (Some(body), Some(token)) = (self.body(n), self.tokens.get(self.traveller(n) as usize)) else {
            return false;
        };
        write_order((self.run, n), body, token, target, request);
        true
    }

    fn judge(&self, n: u64, status: u16, body: &[u8], acks: &mut Vec<AckedOrder>) -> Outcome {
        let (order, item) = match placed::<Item<'_>>(status, body) {
            Ok(placed) => placed,
            Err(outcome) => return outcome,
        };
        if item.seat_numbers.len() != 1 {
            return Outcome::Failed("201 without its one seat".into());
        }
        acks.push(AckedOrder {
            order,
            departure: item.departure_id.as_ref().into(),
            seats: item.seat_numbers,
            traveller: self.traveller(n),
        });
        Outcome::Accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departures(names: &[&str], available: u64) -> Vec<Departure> {
        let departure =
            |name: &&str| Departure { id: (*name).into(), seat_class: "standard".into(), available, departs_at: None };
        names.iter().map(departure).collect()
    }

    fn orders() -> Orders {
        let days = [departures(&["a", "b"], 2), departures(&["c"], 1)];
        Orders::new(vec!["t0".into(), "t1".into(), "t2".into()], &days)
    }

    #[test]
    fn orders_spread_over_a_day_and_then_go_to_the_next() {
        let orders = orders();
        let departure = |n| {
            let body: Value = serde_json::from_slice(orders.body(n).unwrap()).unwrap();
            body["items"][0]["departureId"].as_str().unwrap().to_owned()
        };
        let bought: Vec<String> = (0..6).map(departure).collect();
        assert_eq!(bought, ["a", "b", "a", "b", "c", "c"]);
    }

    #[test]
    fn every_request_has_a_key_of_its_own() {
        let orders = orders();
        let target = Target::parse("http://127.0.0.1:1").unwrap();
        let mut request = RequestBuffer::default();
        let mut keys = std::collections::BTreeSet::new();
        for n in 0..100 {
            assert!(orders.request(n, &target, &mut request));
            let text = String::from_utf8(request.bytes().to_vec()).unwrap();
            let key = text.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap().to_owned();
            assert!((1..=64).contains(&key.len()));
            keys.insert(key);
        }
        assert_eq!(keys.len(), 100);
    }

    #[test]
    fn only_a_whole_answer_is_an_acknowledgement() {
        let orders = orders();
        let mut acks = Vec::new();
        let good = br#"{"orderId":"o1","status":"pending","items":[{"kind":"journey","departureId":"a","seatNumbers":["01A"]}]}"#;
        assert_eq!(orders.judge(4, 201, good, &mut acks), Outcome::Accepted);
        let expected =
            AckedOrder { order: "o1".into(), departure: "a".into(), seats: ["01A".into()].into(), traveller: 1 };
        assert_eq!(acks, [expected]);
        let seatless = br#"{"orderId":"o1","items":[{"departureId":"a","seatNumbers":[]}]}"#;
        assert!(matches!(orders.judge(0, 201, seatless, &mut acks), Outcome::Failed(_)));
        assert!(matches!(orders.judge(0, 201, b"{", &mut acks), Outcome::Failed(_)));
        assert!(matches!(orders.judge(0, 409, b"{}", &mut acks), Outcome::Refused(_)));
        assert_eq!(acks.len(), 1);
    }
}

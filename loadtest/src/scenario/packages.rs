//! `packages`: each request buys one package for one, in turn of each template. Packages have no date, and more units than a
//! run can use up. Each has a fresh Idempotency-Key, and the travellers take turns.

use std::borrow::Cow;

use serde::Deserialize;

use super::orders::{body, placed, write_order};
use super::setup::{package_item, run_number};
use crate::drive::Load;
use crate::http::{RequestBuffer, Target};
use crate::tally::Outcome;

/// An acknowledged order: what must be there afterwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AckedPackage {
    pub order: Box<str>,
    pub template: Box<str>,
    /// Whose token sees it.
    pub traveller: u32,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Packages {
    tokens: Vec<String>,
    /// The body of an order of each template.
    bodies: Vec<Vec<u8>>,
    run: u64,
}

impl Packages {
    /// `tokens` and `templates` must not be empty.
    pub fn new(tokens: Vec<String>, templates: &[String]) -> Packages {
        let bodies = templates.iter().map(|template| body(&package_item(template)));
        Packages { tokens, bodies: bodies.collect(), run: run_number() }
    }

    fn traveller(&self, n: u64) -> u32 {
        (n % self.tokens.len() as u64) as u32
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    template_id: Cow<'a, str>,
}

impl Load for Packages {
    type Ack = AckedPackage;

    fn request(&self, n: u64, target: &Target, request: &mut RequestBuffer) -> bool {
        let body = self.bodies.get((n % self.bodies.len() as u64) as usize);
        let (Some(body), Some(token)) = (body, self.tokens.get(self.traveller(n) as usize)) else { return false };
        write_order((self.run, n), body, token, target, request);
        true
    }

    fn judge(&self, n: u64, status: u16, body: &[u8], acks: &mut Vec<AckedPackage>) -> Outcome {
        let (order, item) = match placed::<Item<'_>>(status, body) {
            Ok(placed) => placed,
            Err(outcome) => return outcome,
        };
        acks.push(AckedPackage { order, template: item.template_id.as_ref().into(), traveller: self.traveller(n) });
        Outcome::Accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_bought_in_turn_and_only_a_package_is_an_acknowledgement() {
        let packages = Packages::new(vec!["t0".into(), "t1".into()], &["a".into(), "b".into(), "c".into()]);
        let target = Target::parse("http://127.0.0.1:1").unwrap();
        let mut request = RequestBuffer::default();
        let mut bought = |n| {
            assert!(packages.request(n, &target, &mut request));
            let (_, body) = std::str::from_utf8(request.bytes()).unwrap().split_once("\r\n\r\n").unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            (body["items"][0]["kind"].clone(), body["items"][0]["templateId"].as_str().unwrap().to_owned())
        };
        let templates: Vec<String> = (0..4).map(|n| bought(n).1).collect();
        assert_eq!(templates, ["a", "b", "c", "a"]);
        assert_eq!(bought(0).0, "package");

        let mut acks = Vec::new();
        let good = br#"{"orderId":"o1","status":"pending","items":[{"kind":"package","templateId":"b","quantity":1}]}"#;
        assert_eq!(packages.judge(1, 201, good, &mut acks), Outcome::Accepted);
        assert_eq!(acks, [AckedPackage { order: "o1".into(), template: "b".into(), traveller: 1 }]);
        let journey = br#"{"orderId":"o1","items":[{"kind":"journey","departureId":"d"}]}"#;
        assert!(matches!(packages.judge(1, 201, journey, &mut acks), Outcome::Failed(_)));
        assert!(matches!(packages.judge(1, 409, b"{}", &mut acks), Outcome::Refused(_)));
    }
}

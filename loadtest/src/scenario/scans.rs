//! `scans`: every ticket is shown once. Some are shown again a little later: with the same request, which must give the
//! same answer, or with another one at another gate, which must be refused (R-SCAN-03). `redemptions` are the same at
//! counters: the operator sends the code with the one item that is to be redeemed (R-SCAN-01).
//!
//! Nothing makes the second showing wait for the first one's answer. When both are under way at once either may win, so
//! answers are judged together, after the run.

use std::borrow::Cow;
use std::io::Write as _;

use serde::Deserialize;

use super::setup::{Gate, PaidTicket};
use super::unexpected;
use crate::drive::Load;
use crate::http::{Head, RequestBuffer, Target};
use crate::tally::Outcome;

/// One ticket in so many is shown again; these take turns in how.
const AGAIN_EVERY: usize = 50;
/// So many scans lie between a ticket's first and second showing.
const AGAIN_AFTER: usize = 500;
/// The reason of a refused second showing.
const ALREADY_REDEEMED: &str = "ALREADY_REDEEMED";

/// Why a ticket is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Showing {
    First,
    /// The first one's request again.
    Repeated,
    /// A request of its own, at another gate.
    Second,
}

/// A scan to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shot {
    /// Index of the ticket.
    pub ticket: u32,
    pub showing: Showing,
}

/// An answered scan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AckedScan {
    pub shot: Shot,
    /// When it was redeemed, as the answer says; `None`: refused.
    pub redeemed_at: Option<Box<str>>,
    /// Of a refusal.
    pub reason: Option<Box<str>>,
}

/// Where tickets are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Gates,
    Counters,
}

impl Place {
    fn path(self) -> &'static str {
        match self {
            Place::Gates => "/tickets/scan",
            Place::Counters => "/merchant/redemptions",
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Scans {
    place: Place,
    operator: String,
    gates: Vec<Gate>,
    tickets: Vec<PaidTicket>,
    shots: Vec<Shot>,
}

/// All tickets once, and the second showings among them.
pub fn shots(tickets: usize) -> Vec<Shot> {
    let shot = |ticket: usize, showing| Shot { ticket: ticket as u32, showing };
    let mut shots = Vec::with_capacity(tickets + tickets / AGAIN_EVERY);
    let again = |ticket: usize| {
        let turn = ticket / AGAIN_EVERY;
        let showing = if turn.is_multiple_of(2) { Showing::Repeated } else { Showing::Second };
        ticket.is_multiple_of(AGAIN_EVERY).then(|| shot(ticket, showing))
    };
    for ticket in 0..tickets {
        shots.push(shot(ticket, Showing::First));
        shots.extend(ticket.checked_sub(AGAIN_AFTER).and_then(again));
    }
    shots.extend((tickets.saturating_sub(AGAIN_AFTER)..tickets).filter_map(again));
    shots
}

/// The request id of a showing.
pub fn request_id(ticket: u32, showing: Showing) -> String {
    match showing {
        Showing::First | Showing::Repeated => format!("load-{ticket}"),
        Showing::Second => format!("load-{ticket}-second"),
    }
}

impl Scans {
    /// `gates` must not be empty.
    pub fn new(place: Place, operator: String, gates: Vec<Gate>, tickets: Vec<PaidTicket>) -> Scans {
        let shots = shots(tickets.len());
        Scans { place, operator, gates, tickets, shots }
    }

    /// How many scans there are.
    pub fn number(&self) -> u64 {
        self.shots.len() as u64
    }

    fn gate(&self, shot: Shot) -> Option<&Gate> {
        let other = usize::from(shot.showing == Showing::Second);
        self.gates.get((shot.ticket as usize + other) % self.gates.len())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    result: Cow<'a, str>,
    reason: Option<Box<str>>,
    redeemed_at: Option<Box<str>>,
    /// Of a counter.
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    redeemed_at: Option<Box<str>>,
}

impl Load for Scans {
    type Ack = AckedScan;

    fn request(&self, n: u64, target: &Target, request: &mut RequestBuffer) -> bool {
        let Some(shot) = self.shots.get(n as usize).copied() else { return false };
        let (Some(gate), Some(ticket)) = (self.gate(shot), self.tickets.get(shot.ticket as usize)) else {
            return false;
        };
        let suffix = if shot.showing == Showing::Second { "-second" } else { "" };
        request.body.clear();
        // Codes are base45 and ids are letters, digits and dashes: nothing in them needs escaping in JSON.
        let written = write!(
            request.body,
            r#"{{"code":"{}","sessionId":"{}","requestId":"load-{}{suffix}""#,
            ticket.code, gate.session, shot.ticket
        );
        let named = match self.place {
            Place::Gates => write!(request.body, "}}"),
            Place::Counters => {
                write!(request.body, r#","items":[{{"ticketId":"{}","quantity":1}}]}}"#, ticket.ticket)
            }
        };
        let headers = [("x-device-secret", gate.device_secret.as_str())];
        let head = Head { method: "POST", path: self.place.path(), token: Some(&self.operator), headers: &headers };
        request.finish(target, &head);
        written.and(named).is_ok()
    }

    fn judge(&self, n: u64, status: u16, body: &[u8], acks: &mut Vec<AckedScan>) -> Outcome {
        let Some(shot) = self.shots.get(n as usize).copied() else {
            return Outcome::Failed("an answer to nothing".into());
        };
        if status != 200 {
            return unexpected(status, body);
        }
        let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
            return Outcome::Failed("200 that cannot be read".into());
        };
        let redeemed_at = match self.place {
            Place::Gates => answer.redeemed_at,
            Place::Counters => answer.items.into_iter().next().and_then(|item| item.redeemed_at),
        };
        let (outcome, redeemed_at) = match (answer.result.as_ref(), redeemed_at) {
            ("success", Some(at)) => (Outcome::Accepted, Some(at)),
            ("success", None) => return Outcome::Failed("success without redeemedAt".into()),
            ("reject", _) => {
                let reason = answer.reason.as_deref().unwrap_or("no reason");
                let expected = shot.showing == Showing::Second && reason == ALREADY_REDEEMED;
                let refused = || Outcome::Refused(format!("reject {reason}").into());
                (if expected { Outcome::Accepted } else { refused() }, None)
            }
            _ => return Outcome::Failed("200 with an unknown result".into()),
        };
        let reason = answer.reason.filter(|_| redeemed_at.is_none());
        acks.push(AckedScan { shot, redeemed_at, reason });
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_scan_03_every_ticket_is_shown_once_and_some_again_later() {
        for tickets in [0, 1, 100, 3000] {
            let shots = shots(tickets);
            let firsts: Vec<u32> =
                shots.iter().filter(|shot| shot.showing == Showing::First).map(|shot| shot.ticket).collect();
            assert_eq!(firsts, (0..tickets as u32).collect::<Vec<_>>());
            let place = |ticket, showing| shots.iter().position(|shot| *shot == Shot { ticket, showing });
            let again: Vec<&Shot> = shots.iter().filter(|shot| shot.showing != Showing::First).collect();
            assert_eq!(again.len(), tickets.div_ceil(AGAIN_EVERY));
            for shot in again {
                assert!(place(shot.ticket, shot.showing) > place(shot.ticket, Showing::First));
            }
        }
        assert!(shots(3000).iter().any(|shot| shot.showing == Showing::Repeated));
        assert!(shots(3000).iter().any(|shot| shot.showing == Showing::Second));
    }

    fn target() -> Target {
        Target::parse("http://127.0.0.1:1").unwrap()
    }

    fn scans_at(place: Place) -> Scans {
        let gate = |name: &str| Gate { session: name.into(), device_secret: format!("secret of {name}") };
        let ticket = |n: usize| PaidTicket { ticket: format!("o-{n}"), traveller: 0, code: format!("DT1 {n}") };
        Scans::new(place, "op".into(), vec![gate("g0"), gate("g1")], (0..60).map(ticket).collect())
    }

    fn scans() -> Scans {
        scans_at(Place::Gates)
    }

    fn sent(scans: &Scans, n: u64) -> (String, serde_json::Value) {
        let mut request = RequestBuffer::default();
        assert!(scans.request(n, &target(), &mut request));
        let text = String::from_utf8(request.bytes().to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    #[test]
    fn r_scan_03_a_repeat_is_the_same_request_and_a_second_showing_is_not() {
        let scans = scans();
        // 60 tickets, then ticket 0 repeated and ticket 50 shown a second time.
        assert_eq!(sent(&scans, 0), sent(&scans, 60));
        let ((first_head, first), (second_head, second)) = (sent(&scans, 50), sent(&scans, 61));
        assert_eq!(first["code"], second["code"]);
        assert_ne!(first["requestId"], second["requestId"]);
        assert_ne!(first["sessionId"], second["sessionId"]);
        assert_eq!(second["requestId"], request_id(50, Showing::Second));
        assert!(first_head.contains("x-device-secret: secret of g0") && second_head.contains("secret of g1"));
        assert!(!scans.request(62, &target(), &mut RequestBuffer::default()));
    }

    #[test]
    fn a_refusal_is_expected_only_of_a_second_showing() {
        let scans = scans();
        let mut acks = Vec::new();
        let refused = br#"{"result":"reject","reason":"ALREADY_REDEEMED","redeemedAt":"t"}"#;
        assert_eq!(scans.judge(61, 200, refused, &mut acks), Outcome::Accepted);
        assert_eq!(scans.judge(0, 200, refused, &mut acks), Outcome::Refused("reject ALREADY_REDEEMED".into()));
        let success = br#"{"result":"success","ticket":{"x":1},"remaining":0,"redeemedAt":"2026-11-21T10:00:00Z"}"#;
        assert_eq!(scans.judge(0, 200, success, &mut acks), Outcome::Accepted);
        assert!(matches!(scans.judge(0, 200, br#"{"result":"success"}"#, &mut acks), Outcome::Failed(_)));
        assert_eq!(acks.len(), 3);
        assert_eq!(acks[2].redeemed_at.as_deref(), Some("2026-11-21T10:00:00Z"));
    }

    #[test]
    fn r_scan_01_a_counter_is_asked_for_one_item_and_says_when_that_was_redeemed() {
        let counters = scans_at(Place::Counters);
        let (head, body) = sent(&counters, 7);
        assert!(head.starts_with("POST /merchant/redemptions "), "{head}");
        assert_eq!((&body["code"], &body["requestId"]), (&"DT1 7".into(), &"load-7".into()));
        assert_eq!(body["items"], serde_json::json!([{ "ticketId": "o-7", "quantity": 1 }]));

        let mut acks = Vec::new();
        let success = br#"{"result":"success","items":[{"ticketId":"o-0","result":"success","redeemedAt":"t"}]}"#;
        assert_eq!(counters.judge(0, 200, success, &mut acks), Outcome::Accepted);
        assert_eq!(acks[0].redeemed_at.as_deref(), Some("t"));
        assert!(matches!(counters.judge(0, 200, br#"{"result":"success","items":[]}"#, &mut acks), Outcome::Failed(_)));
        let refused = br#"{"result":"reject","reason":"ALREADY_REDEEMED","items":[{"result":"reject"}]}"#;
        assert_eq!(counters.judge(61, 200, refused, &mut acks), Outcome::Accepted);
    }
}

//! A scan at the gate: one request scans and redeems (R-SCAN-02). The hottest path there is: the session is read from
//! memory, the code is opened without a look-up, and the order's owner is asked once.

use std::cell::RefCell;
use std::num::NonZero;
use std::sync::Arc;

use actix_web::HttpRequest;
use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::code::{self, Opened, Subject};
use deeptravel_domain::identity::{Attempt, Command, Validator};
use deeptravel_domain::ids::{EntitlementCode, SessionId};
use deeptravel_domain::order::{Gate, Order, Place, Scan, ScanOutcome, ScanTarget, Take, TicketOutcome, Verdict};
use deeptravel_domain::rejection::{Rejection, ScanRejection};
use deeptravel_domain::time::Timestamp;
use metrics::Counter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::presented;
use crate::api::frame::{
    Allowed, Answered, Api, Body, Language, Problem, Redeem, Routes, Staff, is_visible_ascii, ok, ok_of, written,
};
use crate::api::views::ticket::{self, TicketView};
use crate::api::views::{self, Zoned};

/// Longest request id, in characters (`api.md`).
const REQUEST_ID_MAX: usize = 64;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_scan_code, scan_code);
}

pub(super) const SUCCESS: &str = "success";
pub(super) const PARTIAL: &str = "partial";
pub(super) const REJECT: &str = "reject";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScanRequest {
    /// As scanned: a ticket's or an order's.
    code: Box<str>,
    #[schema(value_type = String)]
    session_id: SessionId,
    /// The gate's own id of this scan: sent again, it gets the same answer. 1 to 64 visible ASCII characters.
    #[schema(min_length = 1, max_length = 64)]
    request_id: Box<str>,
    /// What this gate redeems; without it, whatever the ticket gives.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "BOARDING")]
    entitlement_code: Option<EntitlementCode>,
    /// Uses that it takes of each; 1 without it.
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 65_535)]
    quantity: Option<NonZero<u16>>,
}

/// The answer to a scan.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Scanned<'a> {
    /// `success`; `partial`: some tickets of an order code were refused; `reject`.
    #[schema(example = "success")]
    result: &'static str,
    /// Why not, or why not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ALREADY_REDEEMED")]
    reason: Option<&'static str>,
    /// As it is now; null when the code stands for none, for several, or for another merchant's.
    ticket: Option<TicketView<'a>>,
    /// With an order code: each ticket behind it that is not another merchant's.
    #[serde(skip_serializing_if = "Option::is_none")]
    tickets: Option<Vec<ScannedTicket<'a>>>,
    /// Uses that are left on the shown tickets.
    remaining: u32,
    /// With `success` and `partial`: when. A repeated request gets the time of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    redeemed_at: Option<Zoned>,
    /// With `ALREADY_REDEEMED` and `REPLAYED`: the use before.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousUse<'a>>,
}

/// One ticket behind an order code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ScannedTicket<'a> {
    #[serde(flatten)]
    ticket: TicketView<'a>,
    /// `success` or `reject`.
    #[schema(example = "success")]
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redeemed_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousUse<'a>>,
}

/// When and where a ticket was used before.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PreviousUse<'a> {
    at: Zoned,
    /// Null: at a device without a location.
    location: Option<&'a str>,
}

/// Scans a code and redeems what this gate redeems. A refusal is an answer too, with a reason.
///
/// Reasons: `ALREADY_REDEEMED`, `NOT_YET_VALID`, `EXPIRED`, `REFUNDED`, `CHANGED`, `CANCELLED`, `REFUND_PENDING`,
/// `NOT_ACTIVATED`, `NO_REMAINING`, `WRONG_ENTITLEMENT`, `WRONG_LOCATION`, `WRONG_DEPARTURE`, `DEPARTURE_CANCELLED`,
/// `NOT_YOUR_MERCHANT`, `INVALID_CODE`, `CODE_EXPIRED`, `REPLAYED`.
#[utoipa::path(
    post, path = "/tickets/scan",
    params(("X-Device-Secret" = String, Header, description = "The secret of the validator session")),
    request_body = ScanRequest,
    responses(
        (status = 200, body = Scanned),
        (status = 401, description = "Also `SESSION_ENDED`, `DEVICE_MISMATCH`"),
        (status = 403, description = "Not an operator"),
        (status = 503, description = "Nothing was redeemed that is not durable; repeat with the same `requestId`"),
    )
)]
async fn scan_code(Allowed(by): Allowed<Redeem>, http: HttpRequest, language: Language, body: Body) -> Answered {
    let request: ScanRequest = body.json()?;
    let validator = presented(&by, request.session_id, http.headers())?;
    check_request_id(&request.request_id)?;
    let opened = match code::open_for_scan(&by.api.code_keys.load(), &request.code, by.api.engine.now()) {
        Ok(opened) => opened,
        Err(reason) => return refuse_without_ticket(&by.api, &validator, request, &reason).await,
    };
    if let Some(reason) = by.api.engine.without_order(opened.code.subject.order()) {
        return refuse_without_ticket(&by.api, &validator, request, &reason).await;
    }

    let scan = Scan {
        gate: gate(&by, &validator),
        request_id: request.request_id.clone(),
        place: Place::Gate,
        target: target(opened.code.subject),
        take: Take {
            entitlement: request.entitlement_code.clone(),
            quantity: request.quantity.map_or(1, NonZero::get),
        },
        code: Some(opened),
        // The order's owner knows whose they are.
        overrides: Box::default(),
    };
    let api = by.api.clone();
    let shown = move |outcome: &ScanOutcome, order: &Order| {
        outcome.verdict().is_some().then(|| answer(&api, language, outcome, order))
    };
    match by.noted(by.api.engine.redeem(opened.code.subject.order(), scan, shown).await)? {
        Ok(Some(Shown { body, result, reason })) => {
            count(result, reason);
            Ok(ok_of(body))
        }
        // It was sealed with a key of ours, but it is over, there is no such ticket, or it says to be older than that.
        Ok(None) | Err(Rejection::OrderNotFound) => {
            let reason = nothing_behind(&opened, by.api.engine.now());
            refuse_without_ticket(&by.api, &validator, request, &reason).await
        }
        Err(rejection) => Err(rejection.into()),
    }
}

pub(super) fn check_request_id(id: &str) -> Result<(), Problem> {
    Problem::unless(is_visible_ascii(id, REQUEST_ID_MAX), "requestId", "is not 1 to 64 visible ASCII characters")
}

/// The session as it is opened, and the operator as the account is now.
pub(super) fn gate(by: &Staff, validator: &Validator) -> Gate {
    let Validator { id, username, device, location, departure, .. } = validator.clone();
    let redeems = Arc::clone(&by.who.redeems);
    let port = location.as_ref().and_then(|location| by.api.engine.services().catalogue.load().port_at(location));
    Gate { session: id, operator: username, device, redeems, location, port, departure }
}

/// What a code asks for by itself.
pub(super) fn target(subject: Subject) -> ScanTarget {
    match subject {
        Subject::Order(_) => ScanTarget::Order,
        Subject::Item { item, .. } => ScanTarget::Item(item),
        Subject::Ticket { id, .. } => ScanTarget::Ticket(id),
    }
}

/// Why a code that was sealed with a key of ours shows nothing.
pub(super) fn nothing_behind(opened: &Opened, now: Timestamp) -> ScanRejection {
    if now >= opened.code.closes_at() { ScanRejection::CodeExpired } else { ScanRejection::InvalidCode }
}

/// There is no ticket whose order could write the attempt down: the session does (R-SCAN-05).
pub(super) async fn log_without_ticket(
    api: &Api,
    validator: &Validator,
    request_id: Box<str>,
    entitlement: Option<EntitlementCode>,
    reason: &ScanRejection,
) -> Result<(), Problem> {
    let attempt = Attempt {
        session: validator.id,
        request_id,
        at: api.engine.now(),
        username: validator.username.clone(),
        device: validator.device.clone(),
        location: validator.location.clone(),
        entitlement,
        reason: reason.clone(),
    };
    api.engine.identify(Command::LogAttempt(attempt)).await?.outcome?;
    count(REJECT, reason.code());
    Ok(())
}

async fn refuse_without_ticket(
    api: &Api,
    validator: &Validator,
    request: ScanRequest,
    reason: &ScanRejection,
) -> Answered {
    log_without_ticket(api, validator, request.request_id, request.entitlement_code, reason).await?;
    Ok(ok(&Scanned { result: REJECT, reason: Some(reason.code()), ..Scanned::default() }))
}

/// An answer that is written, and what it is counted as once it is given.
struct Shown {
    body: Vec<u8>,
    result: &'static str,
    reason: &'static str,
}

fn answer(api: &Api, language: Language, outcome: &ScanOutcome, order: &Order) -> Shown {
    let catalogue = api.engine.services().catalogue.load();
    let answer = scanned(&catalogue, language, outcome, order);
    Shown { body: written(&answer), result: answer.result, reason: answer.reason.unwrap_or("") }
}

fn scanned<'a>(
    catalogue: &'a Catalogue,
    language: Language,
    outcome: &'a ScanOutcome,
    order: &'a Order,
) -> Scanned<'a> {
    let (result, reason) = match outcome.verdict() {
        Some(Verdict::Success) => (SUCCESS, None),
        Some(Verdict::Partial(reason)) => (PARTIAL, Some(reason.code())),
        Some(Verdict::Rejected(reason)) => (REJECT, Some(reason.code())),
        None => (REJECT, Some(ScanRejection::InvalidCode.code())),
    };
    let mut answer = Scanned { result, reason, redeemed_at: redeemed_at(outcome), ..Scanned::default() };
    // Tenants never meet: of another merchant's ticket nothing is shown but the reason.
    let shown = || outcome.tickets.iter().filter(|(_, outcome)| !is_anothers(outcome));
    for (id, outcome) in shown() {
        answer.remaining += order.ticket(*id).map_or(0, |ticket| u32::from(ticket.entitlement().remaining));
        answer.previous = answer.previous.or_else(|| previous(outcome));
    }
    let shows_several = match outcome.scan.target {
        ScanTarget::Order | ScanTarget::Item(_) => true,
        ScanTarget::Ticket(_) | ScanTarget::Chosen(_) => false,
    };
    if shows_several {
        let tickets = shown().filter_map(|(id, outcome)| {
            let ticket = ticket::view(catalogue, language, order, order.ticket(*id)?);
            Some(scanned_ticket(ticket, outcome))
        });
        answer.tickets = Some(tickets.collect());
    }
    if outcome.tickets.len() == 1 {
        let only = shown().next().and_then(|(id, _)| order.ticket(*id));
        answer.ticket = only.map(|only| ticket::view(catalogue, language, order, only));
    }
    answer
}

fn scanned_ticket<'a>(ticket: TicketView<'a>, outcome: &'a TicketOutcome) -> ScannedTicket<'a> {
    let (result, reason, redeemed_at) = match outcome {
        TicketOutcome::Redeemed { at, .. } => (SUCCESS, None, Some(views::time(*at))),
        TicketOutcome::Refused { reason, .. } => (REJECT, Some(reason.code()), None),
    };
    ScannedTicket { ticket, result, reason, redeemed_at, previous: previous(outcome) }
}

pub(super) fn is_anothers(outcome: &TicketOutcome) -> bool {
    matches!(outcome, TicketOutcome::Refused { reason: ScanRejection::NotYourMerchant, .. })
}

/// The latest, should a request have redeemed at two times.
fn redeemed_at(outcome: &ScanOutcome) -> Option<Zoned> {
    let times = outcome.tickets.iter().filter_map(|(_, outcome)| match outcome {
        TicketOutcome::Redeemed { at, .. } => Some(*at),
        TicketOutcome::Refused { .. } => None,
    });
    times.max().map(views::time)
}

pub(super) fn previous(outcome: &TicketOutcome) -> Option<PreviousUse<'_>> {
    let TicketOutcome::Refused { previous: Some(previous), .. } = outcome else { return None };
    Some(PreviousUse { at: views::time(previous.at), location: previous.location.as_deref() })
}

thread_local! {
    /// Scans by result and reason. Looking a counter up by its labels costs more than counting.
    static SCANS: RefCell<Vec<(&'static str, &'static str, Counter)>> = const { RefCell::new(Vec::new()) };
}

/// `reason` is empty for a success.
pub(super) fn count(result: &'static str, reason: &'static str) {
    SCANS.with_borrow_mut(|scans| {
        let found = scans.iter().find(|(of, why, _)| (*of, *why) == (result, reason));
        if let Some((_, _, total)) = found {
            return total.increment(1);
        }
        let total = metrics::counter!("scans_total", "result" => result, "reason" => reason);
        total.increment(1);
        scans.push((result, reason, total));
    });
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::ids::TicketId;
    use deeptravel_domain::order::Previous;

    use super::*;

    #[test]
    fn a_request_id_is_1_to_64_visible_characters() {
        assert!(check_request_id("gate-07/000123").is_ok());
        assert!(check_request_id(&"r".repeat(64)).is_ok());
        for id in ["", "a b", "é", "\u{7f}", &"r".repeat(65)] {
            assert!(check_request_id(id).is_err(), "{id:?}");
        }
    }

    /// One ticket has been redeemed before, the other is redeemed now.
    #[test]
    fn r_scan_02_an_answer_is_written_as_ever() {
        use crate::api::views::golden;
        let order = golden::paid();
        let [used, usable, ..] = order.tickets() else { panic!("the order has tickets") };
        let at = Timestamp::from_ms(1_798_158_500_250);
        let previous = used.redemptions.first().map(|used| Previous { at: used.at, location: used.location.clone() });
        let tickets = vec![
            (used.id, TicketOutcome::Refused { reason: ScanRejection::AlreadyRedeemed, previous }),
            (usable.id, TicketOutcome::Redeemed { at, remaining: 0, repeated: false }),
        ];
        let gate = Gate {
            session: SessionId::from_bits(1),
            operator: "gate".into(),
            device: "gate-07".into(),
            redeems: Arc::default(),
            location: None,
            port: None,
            departure: None,
        };
        let scan = Scan {
            gate,
            request_id: "r2".into(),
            place: Place::Gate,
            target: ScanTarget::Order,
            take: Take::ONE,
            code: None,
            overrides: Box::default(),
        };
        let written = |target: ScanTarget, tickets: &[(TicketId, TicketOutcome)]| {
            let outcome = ScanOutcome { scan: Scan { target, ..scan.clone() }, at, tickets: tickets.to_vec() };
            serde_json::to_string(&scanned(&golden::catalogue(), Language::Chinese, &outcome, &order)).unwrap()
        };
        let one = |index: usize| written(ScanTarget::Ticket(tickets[index].0), &tickets[index..=index]);
        let lines = [written(ScanTarget::Order, &tickets), one(0), one(1)].join("\n");
        assert_eq!(lines, include_str!("../views/golden/scans.zh.json").trim_end());
    }

    #[test]
    fn a_scan_request_takes_no_other_field_and_names_what_is_wrong() {
        use crate::api::frame::parse_json;
        let field = |body: &str| parse_json::<ScanRequest>(body.as_bytes()).unwrap_err().errors()[0].field.to_string();
        let id = "01JAAAAAAAAAAAAAAAAAAAAAAA";
        let body = |rest: &str| format!(r#"{{"code":"DT1X","sessionId":"{id}","requestId":"r1"{rest}}}"#);
        assert!(parse_json::<ScanRequest>(body("").as_bytes()).is_ok());
        assert!(parse_json::<ScanRequest>(body(r#","entitlementCode":null"#).as_bytes()).is_ok());
        assert_eq!(field(&body(r#","entitlementCode":"a b""#)), "entitlementCode");
        assert_eq!(field(&body(r#","device":"d""#)), "device");
        assert_eq!(field(r#"{"code":"DT1X","sessionId":"none","requestId":"r1"}"#), "sessionId");
    }
}

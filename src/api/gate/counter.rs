//! The counter: an operator looks at what a code shows and redeems it item by item, with quantities, in one request and one
//! record (R-SCAN-01). A look at an order lets its session redeem of it without the code for a while.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;
use deeptravel_actors::services::chance;
use deeptravel_domain::code::{self, Opened, Subject};
use deeptravel_domain::ids::{EntitlementCode, OrderId, SessionId, TicketId};
use deeptravel_domain::order::{Choice, Order, Place, Scan, ScanOutcome, ScanTarget, Take, TicketOutcome, Verdict};
use deeptravel_domain::rejection::{Rejection, ScanRejection};
use deeptravel_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scan::{self, PARTIAL, PreviousUse, REJECT, SUCCESS, check_request_id};
use super::sessions::presented;
use crate::api::frame::{Allowed, Answered, Body, Language, Problem, Redeem, Routes, ok, ok_of, refusals, written};
use crate::api::views::ticket::{self, TicketView};
use crate::api::views::{self, Zoned};

/// How long a session may redeem of an order that it has looked at (`api.md`).
const LOOK_MS: i64 = 10 * 60 * 1_000;
/// Looks that are remembered at once: all counters of a large operator for ten minutes.
const LOOKS_MAX: usize = 100_000;
/// Most items of a request, so that it fits a body. A larger party is served in parts.
const ITEMS_MAX: usize = 500;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_look_at_code, look_at_code).mount(__path_redeem_items, redeem_items);
}

/// What sessions have looked at, and by which code. In memory only: after a restart the operator looks again. Clones are the
/// same ones.
#[derive(Clone, Debug, Default)]
pub struct Looks(Arc<Mutex<Generations>>);

/// The looks of the last ten minutes and some older ones: nobody has to go through all of them to forget those.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<(SessionId, OrderId), Look>,
    /// When the first of `young` came.
    since: Option<Timestamp>,
    old: HashMap<(SessionId, OrderId), Look>,
}

/// The code that was shown, and when.
type Look = (Opened, Timestamp);

impl Looks {
    fn remember(&self, session: SessionId, opened: Opened, now: Timestamp) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, since, old } = &mut *looks;
        if since.is_none_or(|since| now.ms_since(since) >= LOOK_MS) || young.len() >= LOOKS_MAX / 2 {
            *old = std::mem::take(young);
            *since = Some(now);
        }
        young.insert((session, opened.code.subject.order()), (opened, now));
    }

    /// The code by which a session has looked at an order lately, and when.
    fn of(&self, session: SessionId, order: OrderId, now: Timestamp) -> Option<Look> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = looks.young.get(&(session, order)).or_else(|| looks.old.get(&(session, order)));
        look.copied().filter(|(_, at)| now.ms_since(*at) < LOOK_MS)
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LookRequest {
    /// As scanned: a ticket's or an order's.
    code: Box<str>,
    #[schema(value_type = String)]
    session_id: SessionId,
}

/// What could be redeemed.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Looked<'a> {
    /// `success`, or `reject`: the code shows nothing.
    #[schema(example = "success")]
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    /// Those that the code stands for and that are not another merchant's.
    tickets: Vec<LookedTicket<'a>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LookedTicket<'a> {
    #[serde(flatten)]
    ticket: TicketView<'a>,
    /// One use of it, here and now.
    redeemable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "WRONG_LOCATION")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousUse<'a>>,
}

/// Shows the tickets behind a code and what can be redeemed of them here and now. Changes nothing; the look is logged.
#[utoipa::path(
    post, path = "/merchant/tickets/scan",
    params(("X-Device-Secret" = String, Header, description = "The secret of the validator session")),
    request_body = LookRequest,
    responses(
        (status = 200, body = Looked),
        (status = 401, description = "Also `SESSION_ENDED`, `DEVICE_MISMATCH`"),
        (status = 403, description = "Not an operator"),
    )
)]
async fn look_at_code(Allowed(by): Allowed<Redeem>, http: HttpRequest, language: Language, body: Body) -> Answered {
    let request: LookRequest = body.json()?;
    let validator = presented(&by, request.session_id, http.headers())?;
    let request_id: Box<str> = format!("look-{:016x}", chance()).into();
    let now = by.api.engine.now();
    let refuse = async |reason: &ScanRejection| {
        scan::log_without_ticket(&by.api, &validator, request_id.clone(), None, reason).await?;
        Ok(ok(&Looked { result: REJECT, reason: Some(reason.code()), ..Looked::default() }))
    };
    let opened = match code::open_for_scan(&by.api.code_keys.load(), &request.code, now) {
        Ok(opened) => opened,
        Err(reason) => return refuse(&reason).await,
    };
    if let Some(reason) = by.api.engine.without_order(opened.code.subject.order()) {
        return refuse(&reason).await;
    }
    let scan = Scan {
        gate: scan::gate(&by, &validator),
        request_id: request_id.clone(),
        place: Place::Counter { shown_at: now },
        target: scan::target(opened.code.subject),
        take: Take::ONE,
        code: Some(opened),
        // As at gates.
        overrides: Box::default(),
    };
    let order = opened.code.subject.order();
    let (outcome, order) = match by.api.engine.look(order, scan).await?.outcome {
        Ok((outcome, order)) if outcome.verdict().is_some() => (outcome, order),
        Ok(_) | Err(Rejection::OrderNotFound) => return refuse(&scan::nothing_behind(&opened, now)).await,
        Err(rejection) => return Err(rejection.into()),
    };
    if let Some(looks) = http.app_data::<Looks>() {
        looks.remember(validator.id, opened, now);
    }
    let catalogue = by.api.engine.services().catalogue.load();
    let shown = outcome.tickets.iter().filter(|(_, outcome)| !scan::is_anothers(outcome));
    let tickets = shown.filter_map(|(id, outcome)| {
        let ticket = ticket::view(&catalogue, language, &order, order.ticket(*id)?);
        let reason = reason_of(outcome);
        Some(LookedTicket { ticket, redeemable: reason.is_none(), reason, previous: scan::previous(outcome) })
    });
    let order_id = Some(order.id());
    Ok(ok(&Looked { result: SUCCESS, reason: None, order_id, tickets: tickets.collect() }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RedemptionRequest {
    #[schema(value_type = String)]
    session_id: SessionId,
    /// The device's own id of this request: sent again, it gets the same answer. 1 to 64 visible ASCII characters.
    #[schema(min_length = 1, max_length = 64)]
    request_id: Box<str>,
    /// As it was shown; without it the session must have looked at the order in the last 10 minutes.
    #[serde(default)]
    code: Option<Box<str>>,
    /// Of one order, no ticket twice.
    #[schema(min_items = 1, max_items = 500)]
    items: Vec<RedemptionItem>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RedemptionItem {
    #[schema(value_type = String)]
    ticket_id: TicketId,
    /// Without it, whatever the ticket gives.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    entitlement_code: Option<EntitlementCode>,
    /// Uses.
    #[schema(value_type = u16, minimum = 1, maximum = 65_535)]
    quantity: NonZero<u16>,
}

/// What was redeemed, item by item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Redeemed<'a> {
    /// `success`; `partial`: some items were refused; `reject`.
    #[schema(example = "success")]
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    items: Vec<RedeemedItem<'a>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RedeemedItem<'a> {
    #[schema(value_type = String)]
    ticket_id: TicketId,
    entitlement_code: &'a str,
    /// `success` or `reject`.
    #[schema(example = "success")]
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Uses that are left.
    remaining: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    redeemed_at: Option<Zoned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousUse<'a>>,
}

/// Redeems items that an operator has chosen, each by itself: what cannot be redeemed is refused with a reason, as at gates.
#[utoipa::path(
    post, path = "/merchant/redemptions",
    params(("X-Device-Secret" = String, Header, description = "The secret of the validator session")),
    request_body = RedemptionRequest,
    responses(
        (status = 200, body = Redeemed),
        (status = 401, description = "Also `SESSION_ENDED`, `DEVICE_MISMATCH`"),
        (status = 403, description = "Not an operator"),
        (status = 409, description = "`LOOK_REQUIRED`: no code, and no look at the order in the last 10 minutes"),
        (status = 422, description = "`VALIDATION_ERROR`"),
        (status = 503, description = "Nothing was redeemed that is not durable; repeat with the same `requestId`"),
    )
)]
async fn redeem_items(Allowed(by): Allowed<Redeem>, http: HttpRequest, body: Body) -> Answered {
    let request: RedemptionRequest = body.json()?;
    let validator = presented(&by, request.session_id, http.headers())?;
    check_request_id(&request.request_id)?;
    let order = order_of(&request.items)?;
    let now = by.api.engine.now();
    let refuse = async |reason: &ScanRejection| {
        scan::log_without_ticket(&by.api, &validator, request.request_id.clone(), None, reason).await?;
        Ok(ok(&Redeemed { result: REJECT, reason: Some(reason.code()), items: Vec::new() }))
    };
    let (opened, shown_at) = if let Some(code) = &request.code {
        match code::open_for_scan(&by.api.code_keys.load(), code, now) {
            Ok(opened) => (opened, now),
            Err(reason) => return refuse(&reason).await,
        }
    } else {
        let look = http.app_data::<Looks>().and_then(|looks| looks.of(validator.id, order, now));
        look.ok_or(refusals::LOOK_REQUIRED)?
    };
    check_behind(&opened, order, &request.items)?;
    if let Some(reason) = by.api.engine.without_order(order) {
        return refuse(&reason).await;
    }

    let choice = |item: RedemptionItem| Choice {
        ticket: item.ticket_id,
        take: Take { entitlement: item.entitlement_code, quantity: item.quantity.get() },
    };
    let scan = Scan {
        gate: scan::gate(&by, &validator),
        request_id: request.request_id.clone(),
        place: Place::Counter { shown_at },
        target: ScanTarget::Chosen(request.items.into_iter().map(choice).collect()),
        take: Take::ONE,
        code: Some(opened),
        // As at gates.
        overrides: Box::default(),
    };
    let shown =
        |outcome: &ScanOutcome, order: &Order| outcome.verdict().map(|verdict| answer(outcome, order, &verdict));
    match by.noted(by.api.engine.redeem(order, scan, shown).await)? {
        Ok(Some((body, result, reason))) => {
            scan::count(result, reason);
            Ok(ok_of(body))
        }
        Ok(None) | Err(Rejection::OrderNotFound) => refuse(&scan::nothing_behind(&opened, now)).await,
        Err(rejection) => Err(rejection.into()),
    }
}

/// The order whose tickets they are.
fn order_of(items: &[RedemptionItem]) -> Result<OrderId, Problem> {
    Problem::unless((1..=ITEMS_MAX).contains(&items.len()), "items", "1 to 500 items")?;
    let order = items.first().map(|item| item.ticket_id.order);
    let mut seen = std::collections::HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let field = || format!("items[{index}].ticketId");
        if Some(item.ticket_id.order) != order {
            return Err(Problem::field(field(), "is of another order than the first"));
        }
        if !seen.insert(item.ticket_id) {
            return Err(Problem::field(field(), "is named twice"));
        }
    }
    order.ok_or_else(|| Problem::field("items", "is empty"))
}

/// What is redeemed must be what was shown.
fn check_behind(opened: &Opened, order: OrderId, items: &[RedemptionItem]) -> Result<(), Problem> {
    let is_behind = |ticket: TicketId| match opened.code.subject {
        // Which tickets an item has, its order knows: others come to nothing there.
        Subject::Order(shown) | Subject::Item { order: shown, .. } => shown == order,
        Subject::Ticket { id, .. } => id == ticket,
    };
    match items.iter().position(|item| !is_behind(item.ticket_id)) {
        Some(index) => Err(Problem::field(format!("items[{index}].ticketId"), "is not behind the code that was shown")),
        None => Ok(()),
    }
}

fn reason_of(outcome: &TicketOutcome) -> Option<&'static str> {
    match outcome {
        TicketOutcome::Redeemed { .. } => None,
        TicketOutcome::Refused { reason, .. } => Some(reason.code()),
    }
}

/// The answer as it is written, and what it is counted as.
fn answer(outcome: &ScanOutcome, order: &Order, verdict: &Verdict<'_>) -> (Vec<u8>, &'static str, &'static str) {
    let nothing = ScanRejection::InvalidCode.code();
    let unknown = unknown(outcome);
    let (result, reason) = match verdict {
        Verdict::Success if !unknown.is_empty() => (PARTIAL, Some(nothing)),
        Verdict::Success => (SUCCESS, None),
        Verdict::Partial(reason) => (PARTIAL, Some(reason.code())),
        Verdict::Rejected(reason) => (REJECT, Some(reason.code())),
    };
    let items = outcome.tickets.iter().filter_map(|(id, outcome)| {
        let entitlement = order.ticket(*id)?.entitlement();
        // Tenants never meet: of another merchant's ticket nothing is told but the reason.
        let shown = Some(entitlement).filter(|_| !scan::is_anothers(outcome));
        let (result, redeemed_at, remaining) = match outcome {
            TicketOutcome::Redeemed { at, remaining, .. } => (SUCCESS, Some(views::time(*at)), *remaining),
            TicketOutcome::Refused { .. } => (REJECT, None, shown.map_or(0, |shown| shown.remaining)),
        };
        Some(RedeemedItem {
            ticket_id: *id,
            entitlement_code: shown.map_or("", |shown| shown.code.as_str()),
            result,
            reason: reason_of(outcome),
            remaining,
            redeemed_at,
            previous: scan::previous(outcome),
        })
    });
    let no_ticket = |ticket_id| RedeemedItem {
        ticket_id,
        entitlement_code: "",
        result: REJECT,
        reason: Some(nothing),
        remaining: 0,
        redeemed_at: None,
        previous: None,
    };
    let items = items.chain(unknown.into_iter().map(no_ticket)).collect();
    (written(&Redeemed { result, reason, items }), result, reason.unwrap_or(""))
}

/// Tickets that were chosen and that are not behind the code: the order, or the item of it, does not have them.
fn unknown(outcome: &ScanOutcome) -> Vec<TicketId> {
    match &outcome.scan.target {
        ScanTarget::Chosen(choices) => {
            let chosen = choices.iter().map(|choice| choice.ticket);
            chosen.filter(|ticket| outcome.tickets.iter().all(|(judged, _)| judged != ticket)).collect()
        }
        ScanTarget::Order | ScanTarget::Item(_) | ScanTarget::Ticket(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use deeptravel_domain::code::{Code, CodeToken};

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_795_147_200_000);

    fn order(number: u64) -> OrderId {
        OrderId::from_bits(number.into())
    }

    fn look(looks: &Looks, session: SessionId, order: OrderId, now: Timestamp) {
        let code = Code::one_time(Subject::Order(order), now, 60);
        looks.remember(session, Opened { code, token: CodeToken(1) }, now);
    }

    #[test]
    fn r_scan_01_a_look_is_remembered_for_ten_minutes_whoever_looks_meanwhile() {
        let looks = Looks::default();
        let session = SessionId::from_bits(1);
        let at = |seconds| NOW.plus_seconds(seconds);
        for number in 0..13 {
            let looked_at = at(60 * number);
            look(&looks, session, order(number.cast_unsigned()), looked_at);
            let knows = |number: i64| looks.of(session, order(number.cast_unsigned()), looked_at).is_some();
            assert!((0..=number).all(|before| knows(before) == (number - before < 10)), "after {number} minutes");
        }
        assert!(looks.of(SessionId::from_bits(2), order(12), at(60 * 12)).is_none(), "another session");
    }

    #[test]
    fn r_scan_01_of_more_looks_than_are_remembered_the_oldest_are_forgotten() {
        let looks = Looks::default();
        let session = SessionId::from_bits(1);
        for number in 0..=LOOKS_MAX as u64 {
            look(&looks, session, order(number), NOW);
        }
        let knows = |number| looks.of(session, order(number), NOW).is_some();
        assert!(!knows(0) && knows(LOOKS_MAX as u64) && knows((LOOKS_MAX / 2) as u64));
        let Generations { young, old, .. } = &*looks.0.lock().unwrap();
        assert!(young.len() + old.len() <= LOOKS_MAX);
    }
}

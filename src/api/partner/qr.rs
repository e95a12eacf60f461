//! What is printed for tickets: codes as text, as images, and as sheets to be cut apart (R-OTA-04, R-TICKET-04). A code is sealed
//! anew for every answer, and good as long as what it stands for. Of a batch those tickets are printed that can still be used.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use deeptravel_actors::partner_tickets::PartnerTicket;
use deeptravel_domain::batch::{Batch, Plan, TicketState};
use deeptravel_domain::catalogue;
use deeptravel_domain::code::{Code, CodeKeys, Sealed, Subject, seal};
use deeptravel_domain::order::{ItemKind, Order, UnitId, UnitStatus};
use deeptravel_domain::package::EntitlementTerms;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::ticket::{Entitlement, Ticket};
use deeptravel_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{
    Allowed, Answered, Language, Partner, Problem, Resell, Routes, never_cached, ok_of, parse_query, refusals,
    secret_bytes, written,
};
use crate::api::views::code::{EXPIRES_HEADER, ImageFormat, image};
use crate::api::views::{self, Zoned};
use crate::print::{Entry, PrintError, Printed, Sheet, Symbol, SymbolError, Valid, pdf};

/// Codes of a page when nothing is said, and at most.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1_000;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_show_ticket_code, show_ticket_code).mount(__path_show_batch_codes, show_batch_codes);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Json,
    Svg,
    Png,
    Pdf,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TicketCodeQuery {
    /// `json` (default), `svg`, `png` or `pdf`.
    #[param(pattern = "^(json|svg|png|pdf)$")]
    format: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BatchCodesQuery {
    /// `json` (default) or `pdf`.
    #[param(pattern = "^(json|pdf)$")]
    format: Option<String>,
    /// From 1. A PDF has all tickets without it.
    #[param(minimum = 1)]
    page: Option<u32>,
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TicketCodeView {
    #[schema(value_type = String)]
    ticket_code: UnitId,
    /// What the QR symbol says.
    qr_code: String,
    expires_at: Zoned,
}

impl TicketCodeView {
    fn of(ticket_code: UnitId, sealed: Sealed) -> TicketCodeView {
        TicketCodeView { ticket_code, qr_code: sealed.text, expires_at: views::time(sealed.expires_at) }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BatchCodes<'a> {
    batch_id: &'a str,
    /// Those that can still be used, by their numbers.
    codes: Vec<TicketCodeView>,
    /// On all pages.
    total_count: usize,
    page: u32,
    page_size: u32,
}

/// Seals what is printed for tickets of a batch.
struct Sealing<'a> {
    plan: &'a Plan,
    keys: &'a CodeKeys,
    now: Timestamp,
}

impl Sealing<'_> {
    fn view(&self, number: u16) -> TicketCodeView {
        let unit = UnitId { order: self.plan.id.ticket(number), item: 0 };
        TicketCodeView::of(unit, seal(self.keys, &self.plan.code(number), self.now, secret_bytes()))
    }

    fn printed(&self, number: u16) -> Result<Printed, SymbolError> {
        let TicketCodeView { ticket_code, qr_code, .. } = self.view(number);
        Ok(Printed { ticket_code: ticket_code.to_string(), symbol: Symbol::of(&qr_code)? })
    }

    /// The sheets of these tickets.
    fn pdf(&self, language: Language, partner: &catalogue::Partner, numbers: &[u16]) -> Result<Vec<u8>, Problem> {
        let sheet = promised(language, partner, self.plan);
        pdf(&sheet, numbers.iter().map(|number| self.printed(*number))).map_err(|error| not_printed(&error))
    }
}

/// A ticket that may be printed.
struct Printable {
    unit: UnitId,
    ticket: PartnerTicket,
    /// Of its batch, if it was generated in advance: what is printed for it stays the same when it is activated.
    batch: Option<(Arc<Plan>, u16)>,
}

impl Printable {
    fn code(&self, now: Timestamp) -> Result<Code, Rejection> {
        if let Some((plan, number)) = &self.batch {
            return Ok(plan.code(*number));
        }
        let UnitId { order, item } = self.unit;
        let code = match &self.ticket {
            PartnerTicket::Sold(sold) => {
                let tickets: Vec<&Ticket> = sold.tickets_of(item).collect();
                Code::print(Subject::Item { order, item }, tickets.iter().copied(), now)
            }
            PartnerTicket::Unsold { .. } => None,
        };
        code.ok_or(Rejection::TicketNotFound)
    }

    fn pdf(&self, language: Language, partner: &catalogue::Partner, qr_code: &str) -> Result<Vec<u8>, Problem> {
        let sheet = match &self.ticket {
            PartnerTicket::Unsold { batch, .. } => Some(promised(language, partner, batch.plan())),
            PartnerTicket::Sold(order) => sold(language, partner, order, self.unit.item),
        };
        let sheet = sheet.ok_or(Rejection::TicketNotFound)?;
        let printed = Symbol::of(qr_code).map(|symbol| Printed { ticket_code: self.unit.to_string(), symbol });
        pdf(&sheet, std::iter::once(printed)).map_err(|error| not_printed(&error))
    }
}

impl Partner {
    /// A ticket of the partner's that can still be used. Another's is not there.
    async fn printable(&self, code: &str) -> Result<Printable, Problem> {
        let (unit, ticket) = self.own_ticket(code).await?;
        match &ticket {
            PartnerTicket::Unsold { state, .. } => match state {
                TicketState::Cancelled => return Err(Rejection::TicketCancelled.into()),
                TicketState::Expired => return Err(Rejection::TicketExpired.into()),
                TicketState::PreGenerated | TicketState::Active | TicketState::Used | TicketState::Refunded => {}
            },
            PartnerTicket::Sold(order) => match order.unit_status(unit.item, self.api.engine.now()) {
                UnitStatus::Active => {}
                UnitStatus::Used => return Err(Rejection::TicketUsed.into()),
                UnitStatus::Refunded => return Err(Rejection::TicketCancelled.into()),
                UnitStatus::Expired => return Err(Rejection::TicketExpired.into()),
            },
        }
        let board = &self.api.engine.services().batch_board;
        let batch = unit.order.of_batch();
        let batch = batch.and_then(|(id, number)| Some((Arc::clone(board.get(id)?.plan()), number)));
        Ok(Printable { unit, ticket, batch })
    }
}

/// As the product promises.
fn promised<'a>(language: Language, partner: &'a catalogue::Partner, plan: &'a Plan) -> Sheet<'a> {
    let terms = &plan.offer.terms;
    let entry = |one: &'a EntitlementTerms| Entry {
        names: &one.names,
        quantity: one.quantity,
        valid: Valid::Promised(one.validity),
    };
    Sheet {
        product: &terms.names,
        partner: language.of(&partner.names),
        reseller: plan.reseller.as_ref().map(|reseller| &*reseller.name),
        zone: &terms.zone,
        entitlements: terms.entitlements.iter().map(entry).collect(),
    }
}

/// As it was activated.
fn sold<'a>(language: Language, partner: &'a catalogue::Partner, order: &'a Order, item: u16) -> Option<Sheet<'a>> {
    let ItemKind::Package(terms) = &order.items().get(usize::from(item))?.kind else { return None };
    let entry = |ticket: &'a Ticket| {
        let &Entitlement { total, valid_from: from, valid_until: until, .. } = ticket.entitlement();
        Some(Entry { names: &order.terms(ticket)?.names, quantity: total, valid: Valid::Between { from, until } })
    };
    Some(Sheet {
        product: &terms.names,
        partner: language.of(&partner.names),
        reseller: None,
        zone: &terms.zone,
        entitlements: order.tickets_of(item).filter_map(entry).collect(),
    })
}

fn not_printed(error: &PrintError) -> Problem {
    Problem::fault("Tickets cannot be printed", error)
}

/// The numbers of the tickets that can still be used.
fn usable(batch: &Batch, now: Timestamp) -> Vec<u16> {
    let is_usable = |number: &u16| match batch.known(*number, now) {
        Ok(TicketState::PreGenerated | TicketState::Active) => true,
        Ok(TicketState::Used | TicketState::Refunded | TicketState::Cancelled | TicketState::Expired) | Err(_) => false,
    };
    batch.plan().numbers().filter(is_usable).collect()
}

fn of_pdf(bytes: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/pdf")));
    response.insert_header((CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"tickets.pdf\"")));
    response.body(bytes)
}

/// What is printed for one ticket: its code, its symbol, or a sheet with it.
#[utoipa::path(
    get, path = "/api/ota/tickets/{ticketCode}/qr", params(("ticketCode" = String, Path), TicketCodeQuery),
    responses(
        (
            status = 200,
            description = "As JSON, as an image, or as a sheet to be printed",
            content(
                (TicketCodeView = "application/json"), (String = "image/svg+xml"), (Vec<u8> = "image/png"),
                (Vec<u8> = "application/pdf")
            ),
        ),
        (status = 404, description = "`TICKET_NOT_FOUND`: not there, or not yours"),
        (status = 409, description = "`TICKET_CANCELLED`, `TICKET_EXPIRED`, `TICKET_USED`"),
        (status = 422, description = "`INVALID_PARAMETER`"),
    )
)]
async fn show_ticket_code(
    Allowed(by): Allowed<Resell>,
    language: Language,
    code: web::Path<String>,
    request: HttpRequest,
) -> Answered {
    let query: TicketCodeQuery = parse_query(request.query_string())?;
    let format = match query.format.as_deref() {
        None | Some("json") => Format::Json,
        Some("svg") => Format::Svg,
        Some("png") => Format::Png,
        Some("pdf") => Format::Pdf,
        Some(_) => {
            let wrong = "is none of json, svg, png, pdf";
            return Err(Problem::from(refusals::INVALID_PARAMETER).naming("format", wrong));
        }
    };
    let printable = by.printable(&code).await?;
    // In this order: the keys seal from the instant on in which they were loaded.
    let keys = by.api.code_keys.load_full();
    let now = by.api.engine.now();
    let view = TicketCodeView::of(printable.unit, seal(&keys, &printable.code(now)?, now, secret_bytes()));
    let image_of = |format| {
        let (media_type, bytes) = image(&view.qr_code, format)?;
        let mut response = HttpResponse::Ok();
        response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        response.insert_header((EXPIRES_HEADER, view.expires_at.to_string()));
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static(media_type)));
        Ok(response.body(bytes))
    };
    match format {
        Format::Json => Ok(never_cached(&view)),
        Format::Svg => image_of(ImageFormat::Svg),
        Format::Png => image_of(ImageFormat::Png),
        Format::Pdf => {
            let who = Arc::clone(&by.who);
            let written = by.api.apart(move || printable.pdf(language, &who, &view.qr_code));
            Ok(of_pdf(written.await??))
        }
    }
}

/// What is printed for the tickets of a batch that can still be used: a page of their codes, or sheets of them.
#[utoipa::path(
    get, path = "/api/ota/batches/{batchId}/qr", params(("batchId" = String, Path), BatchCodesQuery),
    responses(
        (
            status = 200,
            description = "A page of codes; or a page of tickets, or all of them, to be printed",
            content((BatchCodes = "application/json"), (Vec<u8> = "application/pdf")),
        ),
        (status = 404, description = "`BATCH_NOT_FOUND`: not there, or not yours"),
        (status = 422, description = "`INVALID_PARAMETER`"),
        (status = 503, description = "`OVERLOADED`: too much is being printed"),
    )
)]
async fn show_batch_codes(
    Allowed(by): Allowed<Resell>,
    language: Language,
    id: web::Path<String>,
    request: HttpRequest,
) -> Answered {
    let query: BatchCodesQuery = parse_query(request.query_string())?;
    let invalid = |field, wrong: &'static str| Err(Problem::from(refusals::INVALID_PARAMETER).naming(field, wrong));
    let is_pdf = match query.format.as_deref() {
        None | Some("json") => false,
        Some("pdf") => true,
        Some(_) => return invalid("format", "is neither json nor pdf"),
    };
    if query.page == Some(0) {
        return invalid("page", "is not 1 or more");
    }
    if query.limit.is_some_and(|limit| !(1..=PAGE_MAX).contains(&limit)) {
        return invalid("limit", "is not between 1 and 1000");
    }
    let batch = by.own_batch(&id).await?;
    // In this order: the keys seal from the instant on in which they were loaded.
    let keys = by.api.code_keys.load_full();
    let now = by.api.engine.now();
    let mut numbers = usable(&batch, now);
    let total_count = numbers.len();
    let (page, page_size) = (query.page.unwrap_or(1), query.limit.unwrap_or(PAGE));
    if !is_pdf || query.page.is_some() || query.limit.is_some() {
        let passed = u64::from(page - 1) * u64::from(page_size);
        let passed = usize::try_from(passed).unwrap_or(usize::MAX);
        numbers = numbers.into_iter().skip(passed).take(page_size as usize).collect();
    }
    if is_pdf {
        let who = Arc::clone(&by.who);
        let written = by.api.heavy(move || {
            let sealing = Sealing { plan: batch.plan(), keys: &keys, now };
            sealing.pdf(language, &who, &numbers)
        });
        return Ok(of_pdf(written.await??));
    }
    let written = by.api.apart(move || {
        let sealing = Sealing { plan: batch.plan(), keys: &keys, now };
        let codes = numbers.into_iter().map(|number| sealing.view(number)).collect();
        let batch_id = batch.plan().own_id.as_str();
        written(&BatchCodes { batch_id, codes, total_count, page, page_size })
    });
    Ok(ok_of(written.await?))
}

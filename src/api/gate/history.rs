//! What has been redeemed: of one order, of a day, and in reports with totals, as JSON or as CSV (R-SCAN-07). An operator of
//! a merchant sees that merchant's.

use std::collections::BTreeMap;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use deeptravel_actors::lists::{Redemption, RedemptionFilter, RedemptionTotal};
use deeptravel_actors::ports::ListCursor;
use deeptravel_domain::catalogue::Zone;
use deeptravel_domain::identity::{Account, Role};
use deeptravel_domain::ids::{MerchantCode, OrderId, TicketId};
use deeptravel_domain::order::Order;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::ticket::{Entitlement, Holder};
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{
    Allowed, Answered, Language, Page, Paging, Problem, Redeem, Routes, SeeRedemptions, Staff, ok, parse_date,
    parse_word, refusals,
};
use crate::api::views::ticket::{self, TicketPassenger, TicketView};
use crate::api::views::{self, Zoned};

/// Rows of a CSV file: a month of a busy merchant. More are asked for in parts.
const CSV_ROWS_MAX: usize = 200_000;
/// Days of one report.
const DAYS_MAX: i32 = 366;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_show_merchant_order, show_merchant_order)
        .mount(__path_list_redemptions, list_redemptions)
        .mount(__path_report_redemptions, report_redemptions);
}

/// The tickets of an order, by whose they are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MerchantOrder<'a> {
    #[schema(value_type = String)]
    order_id: OrderId,
    status: &'static str,
    passengers: Vec<TicketsOf<'a>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TicketsOf<'a> {
    /// Absent: the whole party's.
    #[serde(skip_serializing_if = "Option::is_none")]
    passenger: Option<TicketPassenger<'a>>,
    tickets: Vec<TicketView<'a>>,
}

/// An order with those of its tickets that the operator's merchant redeems, or that the operator may redeem as everybody's.
#[utoipa::path(
    get, path = "/merchant/orders/{orderId}",
    responses(
        (status = 200, body = MerchantOrder),
        (status = 403, description = "Not an operator"),
        (status = 404, description = "`ORDER_NOT_FOUND`: not there, or nothing in it is the merchant's"),
    )
)]
async fn show_merchant_order(Allowed(by): Allowed<Redeem>, language: Language, id: web::Path<String>) -> Answered {
    let no_such = || Problem::from(Rejection::OrderNotFound).naming("orderId", "is no order of the merchant");
    let id: OrderId = id.parse().map_err(|_| no_such())?;
    let order = by.api.engine.order(id).await?.outcome.map_err(|_| no_such())?;
    let catalogue = by.api.engine.services().catalogue.load();
    let redeems = &by.who.redeems;
    let is_own = |Entitlement { merchant, code, .. }: &Entitlement| match merchant {
        Some(merchant) => redeems.of_merchant(merchant),
        None => redeems.entitled(code),
    };
    let mut groups: BTreeMap<u16, TicketsOf<'_>> = BTreeMap::new();
    for ticket in order.tickets().iter().filter(|ticket| is_own(ticket.entitlement())) {
        let view = ticket::view(&catalogue, language, &order, ticket);
        let (place, passenger) = match ticket.holder {
            Holder::Passenger(passenger) => (passenger, ticket_passenger(&order, passenger)),
            Holder::Party => (u16::MAX, None),
        };
        groups.entry(place).or_insert(TicketsOf { passenger, tickets: Vec::new() }).tickets.push(view);
    }
    if groups.is_empty() {
        return Err(no_such());
    }
    let passengers = groups.into_values().collect();
    Ok(ok(&MerchantOrder { order_id: order.id(), status: order.status().code(), passengers }))
}

fn ticket_passenger(order: &Order, passenger: u16) -> Option<TicketPassenger<'_>> {
    let passenger = order.details().passengers.get(usize::from(passenger))?;
    Some(TicketPassenger { name: &passenger.name, kind: passenger.kind.code() })
}

/// One redemption.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RedemptionView {
    redeemed_at: Zoned,
    #[schema(value_type = String)]
    ticket_id: TicketId,
    #[schema(value_type = String)]
    order_id: OrderId,
    /// Absent: the whole party's ticket; and for auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    passenger: Option<String>,
    entitlement_code: String,
    quantity: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location_id: Option<String>,
    operator: String,
    device_id: String,
}

impl RedemptionView {
    fn of(redemption: Redemption, sees_names: bool) -> RedemptionView {
        let Redemption { ticket, at, passenger, entitlement, quantity, merchant, location, operator, device, .. } =
            redemption;
        RedemptionView {
            redeemed_at: views::time(at),
            ticket_id: ticket,
            order_id: ticket.order,
            passenger: passenger.filter(|_| sees_names),
            entitlement_code: entitlement,
            quantity,
            merchant_id: merchant,
            location_id: location,
            operator,
            device_id: device,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RedemptionList {
    /// The newest first.
    redemptions: Vec<RedemptionView>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DayFilter {
    /// `YYYY-MM-DD`; today without it.
    date: Option<String>,
}

/// What the operator's merchant has redeemed on a day.
#[utoipa::path(
    get, path = "/merchant/redemptions", params(DayFilter, Paging),
    responses(
        (status = 200, body = RedemptionList),
        (status = 403, description = "Not an operator"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn list_redemptions(Allowed(by): Allowed<Redeem>, page: Page<ListCursor, DayFilter>) -> Answered {
    let zone = Zone::of_sale();
    let today = zone.local(by.api.engine.now()).date();
    let date = page.filter.date.as_deref().map_or(Ok(today), |given| parse_date("date", given))?;
    let (from, until) = days(&zone, date, date)?;
    let merchant = by.who.redeems.merchant.clone();
    let filter = RedemptionFilter { from, until, merchant, location: None, entitlement: None };
    let mut found =
        page.read(&by, |lists, before, count| async move { lists.redemptions(&filter, before, count).await }).await?;
    let next_cursor = page.cut(&mut found, Redemption::cursor);
    let redemptions = found.into_iter().map(|found| RedemptionView::of(found, true)).collect();
    Ok(ok(&RedemptionList { redemptions, next_cursor }))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReportFilter {
    /// The first day, `YYYY-MM-DD`.
    #[param(required = true)]
    from: Option<String>,
    /// The last day, at most 366 after the first.
    #[param(required = true)]
    to: Option<String>,
    merchant_id: Option<String>,
    location_id: Option<String>,
    entitlement_code: Option<String>,
    /// `json` (default), or `csv`: all rows at once.
    #[param(pattern = "^(json|csv)$")]
    format: Option<String>,
}

/// Redemptions of some days.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// The newest first.
    events: Vec<RedemptionView>,
    /// Of all pages together, by day and entitlement.
    totals: Vec<TotalView>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TotalView {
    #[schema(value_type = String, format = Date)]
    date: Date,
    entitlement_code: String,
    redemptions: u64,
    /// Quantities, added up.
    uses: u64,
}

/// Redemptions by merchant, location, entitlement and day, with totals.
#[utoipa::path(
    get, path = "/reports/redemptions", params(ReportFilter, Paging),
    responses(
        (
            status = 200,
            description = "As JSON, or as CSV",
            content((Report = "application/json"), (String = "text/csv")),
        ),
        (status = 403, description = "Not staff, or another merchant's"),
        (status = 422, description = "`VALIDATION_ERROR`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn report_redemptions(Allowed(by): Allowed<SeeRedemptions>, page: Page<ListCursor, ReportFilter>) -> Answered {
    let zone = Zone::of_sale();
    let ReportFilter { from, to, merchant_id, location_id, entitlement_code, format } = &page.filter;
    let date = |name, given: &Option<String>| {
        let given = given.as_deref().ok_or_else(|| Problem::field(name, "is missing"))?;
        parse_date(name, given)
    };
    let (from, until) = days(&zone, date("from", from)?, date("to", to)?)?;
    let filter = RedemptionFilter {
        from,
        until,
        merchant: merchant_of(&by, parse_word("merchantId", merchant_id.as_deref(), "is no merchant id")?)?,
        location: parse_word("locationId", location_id.as_deref(), "is no location id")?,
        entitlement: parse_word("entitlementCode", entitlement_code.as_deref(), "is no code of an entitlement")?,
    };
    let sees_names = sees_names(&by.who);
    match format.as_deref().unwrap_or("json") {
        "json" => report(&by, &page, filter, &zone, sees_names).await,
        "csv" => csv_of(&by, &page, filter, sees_names).await,
        _ => Err(Problem::field("format", "is neither json nor csv")),
    }
}

async fn report(
    by: &Staff,
    page: &Page<ListCursor, ReportFilter>,
    filter: RedemptionFilter,
    zone: &Zone,
    sees_names: bool,
) -> Answered {
    let zone = zone.to_string();
    let (mut found, totals) = page
        .read(by, |lists, before, count| async move {
            let found = lists.redemptions(&filter, before, count).await?;
            Ok((found, lists.redemption_totals(&filter, &zone).await?))
        })
        .await?;
    let next_cursor = page.cut(&mut found, Redemption::cursor);
    let total = |RedemptionTotal { day, entitlement, redemptions, uses }| TotalView {
        date: day,
        entitlement_code: entitlement,
        redemptions,
        uses,
    };
    Ok(ok(&Report {
        events: found.into_iter().map(|found| RedemptionView::of(found, sees_names)).collect(),
        totals: totals.into_iter().map(total).collect(),
        next_cursor,
    }))
}

async fn csv_of(
    by: &Staff,
    page: &Page<ListCursor, ReportFilter>,
    filter: RedemptionFilter,
    sees_names: bool,
) -> Answered {
    let found = page
        .read(by, |lists, _, _| async move { lists.redemptions(&filter, None, CSV_ROWS_MAX as u32 + 1).await })
        .await?;
    Problem::unless(found.len() <= CSV_ROWS_MAX, "to", "more than 200,000 rows: ask for fewer days")?;
    let mut file = csv::Writer::from_writer(Vec::new());
    let header = [
        "redeemedAt",
        "orderId",
        "ticketId",
        "passenger",
        "entitlementCode",
        "quantity",
        "merchantId",
        "locationId",
        "operator",
        "deviceId",
    ];
    let broken = |error: csv::Error| Problem::fault("A report cannot be written", &error);
    file.write_record(header).map_err(broken)?;
    for found in found {
        let view = RedemptionView::of(found, sees_names);
        let cells = [
            view.redeemed_at.to_string(),
            view.order_id.to_string(),
            view.ticket_id.to_string(),
            view.passenger.unwrap_or_default(),
            view.entitlement_code,
            view.quantity.to_string(),
            view.merchant_id.unwrap_or_default(),
            view.location_id.unwrap_or_default(),
            view.operator,
            view.device_id,
        ];
        file.write_record(cells.map(as_text)).map_err(broken)?;
    }
    let body = file.into_inner().map_err(|error| Problem::fault("A report cannot be written", error.error()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"redemptions.csv\""))
        .body(body))
}

/// A cell that a spreadsheet shows as it is: what it would take for a formula begins with an apostrophe.
fn as_text(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

/// An operator of a merchant sees that one's; others see everybody's.
fn merchant_of(by: &Staff, wanted: Option<MerchantCode>) -> Result<Option<MerchantCode>, Problem> {
    match by.who.redeems.merchant.as_ref().filter(|_| by.who.roles.contains(&Role::Operator)) {
        Some(own) if wanted.as_ref().is_some_and(|wanted| wanted != own) => {
            Err(refusals::FORBIDDEN.saying("an operator sees what the own merchant has redeemed"))
        }
        Some(own) => Ok(Some(own.clone())),
        None => Ok(wanted),
    }
}

/// Auditors read without personal data (R-ADMIN-07).
fn sees_names(account: &Account) -> bool {
    account.roles.iter().any(|role| *role != Role::Auditor)
}

/// From the beginning of the first day to the end of the last.
fn days(zone: &Zone, from: Date, to: Date) -> Result<(Timestamp, Timestamp), Problem> {
    Problem::unless(from <= to, "to", "is before from")?;
    let fits = from.until(to).is_ok_and(|span| span.get_days() <= DAYS_MAX);
    Problem::unless(fits, "to", "is more than 366 days after from")?;
    let bounds = zone.instant(from, 0).zip(to.tomorrow().ok().and_then(|after| zone.instant(after, 0)));
    bounds.ok_or_else(|| Problem::field("from", "is beyond the calendar"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_scan_07_no_cell_is_a_formula_and_columns_stay_right() {
        let mut file = csv::ReaderBuilder::new();
        for name in ["=HYPERLINK(\"x\")", "+852 9123", "@x", "-1", "a,\"b\"\nc", "陈大文"] {
            let mut written = csv::Writer::from_writer(Vec::new());
            written.write_record([as_text(name.to_owned()), as_text("BOARDING".to_owned())]).unwrap();
            let bytes = written.into_inner().unwrap();
            let record = file.has_headers(false).from_reader(&*bytes).records().next().unwrap().unwrap();
            assert_eq!((record.len(), &record[1]), (2, "BOARDING"), "{name}");
            assert!(!record[0].starts_with(['=', '+', '-', '@']) && record[0].ends_with(name), "{name}");
        }
    }

    #[test]
    fn r_scan_07_a_report_is_of_whole_local_days() {
        let zone = Zone::of_sale();
        let date = |text: &str| text.parse::<Date>().unwrap();
        let (from, until) = days(&zone, date("2026-11-30"), date("2026-12-01")).unwrap();
        assert_eq!(until.ms_since(from), 2 * 86_400_000);
        assert!(days(&zone, date("2026-12-01"), date("2026-11-30")).is_err());
        assert!(days(&zone, date("2026-01-01"), date("2027-06-01")).is_err());
    }
}

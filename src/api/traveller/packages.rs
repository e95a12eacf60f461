//! The catalogue of packages (套票): what there is, whatever way somebody travels.

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use deeptravel_actors::engine::Engine;
use deeptravel_domain::catalogue::{Catalogue, Template, Zone};
use deeptravel_domain::ids::TemplateId;
use deeptravel_domain::register::Entry;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::frame::{
    Allowed, Answered, Api, Language, Page, Paging, Problem, Public, Routes, ok, parse_date, parse_query,
};
use crate::api::views::package::{self, PackageView};

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_packages, list_packages).mount(__path_show_package, show_package);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CatalogQuery {
    /// What is left is that of this day, in the package's zone, and included journeys have their departures.
    #[param(example = "2026-12-24", format = Date, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    service_date: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Packages<'a> {
    /// What is on sale, by id.
    packages: Vec<PackageView<'a>>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl CatalogQuery {
    fn date(&self) -> Result<Option<Date>, Problem> {
        self.service_date.as_deref().map(|date| parse_date("serviceDate", date)).transpose()
    }
}

/// The packages on sale.
#[utoipa::path(get, path = "/catalog", params(CatalogQuery, Paging), responses((status = 200, body = Packages)))]
async fn list_packages(
    _: Allowed<Public>,
    api: Api,
    language: Language,
    page: Page<TemplateId, CatalogQuery>,
) -> Answered {
    let date = page.filter.date()?;
    let catalogue = api.engine.services().catalogue.load();
    let now = api.engine.now();
    let today = Zone::of_sale().local(now).date();
    // The last day of a package's own zone may be one more.
    Problem::unless(date.is_none_or(|date| date >= today), "serviceDate", "is in the past")?;
    let (entries, next_cursor) =
        page.of_memory(catalogue.packages().filter(|entry| is_sold(entry, now)), |entry| entry.content.id.clone());
    let packages = entries.into_iter().map(|entry| shown(&api.engine, &catalogue, language, entry, date));
    Ok(ok(&Packages { packages: packages.collect(), next_cursor }))
}

/// A package.
#[utoipa::path(
    get, path = "/catalog/{templateId}", params(("templateId" = String, Path), CatalogQuery),
    responses((status = 200, body = PackageView), (status = 404, description = "`TEMPLATE_NOT_FOUND`"))
)]
async fn show_package(
    _: Allowed<Public>,
    api: Api,
    language: Language,
    path: Path<String>,
    request: HttpRequest,
) -> Answered {
    let date = parse_query::<CatalogQuery>(request.query_string())?.date()?;
    let catalogue = api.engine.services().catalogue.load();
    let entry = catalogue
        .package(&path)
        .and_then(|entry| if is_sold(entry, api.engine.now()) { Ok(entry) } else { Err(Rejection::TemplateNotFound) })
        .map_err(|unknown| Problem::from(unknown).naming("templateId", "is no package on sale"))?;
    match date.map(|date| catalogue.check_service_date(entry, Some(date), "serviceDate", api.engine.now())) {
        None | Some(Ok(()) | Err(Rejection::Blackout)) => {
            Ok::<HttpResponse, Problem>(ok(&shown(&api.engine, &catalogue, language, entry, date)))
        }
        Some(Err(refused)) => Err(refused.into()),
    }
}

/// Whether nothing that it gives has ended.
fn is_sold(entry: &Entry<Template>, now: Timestamp) -> bool {
    entry.sold_until().is_none_or(|until| now < until)
}

fn shown<'a>(
    engine: &Engine,
    catalogue: &'a Catalogue,
    language: Language,
    entry: &'a Entry<Template>,
    date: Option<Date>,
) -> PackageView<'a> {
    let mut view = package::view(catalogue, language, entry);
    view.available = package::units_left(&engine.services().stock_board, entry, date);
    let Some(date) = date else { return view };
    if catalogue.check_service_date(entry, Some(date), "serviceDate", engine.now()).is_err() {
        view.available = Some(0);
        return view;
    }
    let choices = package::departures(catalogue, &engine.services().board, entry, date, engine.now());
    for (journey, departures) in view.journeys.iter_mut().zip(choices) {
        let most = departures.iter().map(|departure| u32::from(departure.available)).max().unwrap_or(0);
        view.available = Some(view.available.map_or(most, |units| units.min(most)));
        journey.departures = Some(departures);
    }
    view
}

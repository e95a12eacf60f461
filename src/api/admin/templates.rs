//! Templates of packages (R-ADMIN-01, R-ADMIN-02). They are known by their name: a write says it in its body, and is a
//! version for ever.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use deeptravel_actors::lists::AuditEntry;
use deeptravel_domain::catalogue::{Catalogue, Command, SpokenTemplate, StockLimits, Template, Version};
use deeptravel_domain::ids::TemplateId;
use deeptravel_domain::register::{Entity as _, Entry};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::stock::StockId;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::configuration::{NamesView, author};
use crate::api::frame::{
    Allowed, Answered, Api, Body, Configure, OptionalKey, Page, Paging, Problem, Routes, SeeConfiguration, json, ok,
};
use crate::api::views::{self, MoneyView, Zoned, package};

/// Counts the versions that were made.
const CREATED: &str = "admin_templates_created_total";

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes
        .mount(__path_put_template, put_template)
        .mount(__path_list_templates, list_templates)
        .mount(__path_show_template, show_template)
        .mount(__path_show_versions, show_versions)
        .mount(__path_show_stock, show_stock);
}

/// A template as a whole: what is left out has its default.
#[derive(ToSchema)]
#[schema(as = PackageTemplate, rename_all = "camelCase")]
#[allow(dead_code)] // the document alone reads it: on the wire it is the domain's `SpokenTemplate`
struct TemplateBody {
    /// Tells which template it is.
    name: NamesView,
    /// Names the version: used again it stands for the same content. Without it, the content's hash does.
    #[schema(min_length = 1, max_length = 64)]
    version_token: Option<String>,
    /// Names the write: told again it is the same one.
    #[schema(min_length = 1, max_length = 64)]
    client_token: Option<String>,
    /// Only what is active is sold.
    #[schema(pattern = "^(draft|active|withdrawn)$")]
    status: String,
    description: Option<NamesView>,
    /// By which partners and reports know it.
    #[schema(minimum = 1, maximum = 999_999_999)]
    product_id: Option<u32>,
    /// Codes of places at which it is offered; none: everywhere.
    #[schema(max_items = 64)]
    places: Option<Vec<String>>,
    #[schema(max_items = 4)]
    journeys: Option<Vec<JourneyBody>>,
    #[schema(max_items = 32)]
    entitlements: Option<Vec<EntitlementBody>>,
    /// At least one for adults.
    #[schema(min_items = 1, max_items = 90)]
    tiers: Vec<TierBody>,
    /// Units, at most; what is left out is not limited.
    stock: Option<StockBody>,
    /// Service dates that are not sold, each once.
    #[schema(max_items = 3000)]
    blackout_dates: Option<Vec<Date>>,
    refund_rules: Option<RulesBody>,
    /// IANA name: in it days are counted.
    #[schema(example = "Asia/Hong_Kong")]
    time_zone: Option<String>,
}

/// A journey that the package includes. Without stops it goes from the first to the last.
#[derive(ToSchema)]
#[schema(as = PackageTemplateJourney, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct JourneyBody {
    route_code: String,
    #[schema(example = "standard")]
    seat_class: String,
    /// Numbers of stops, from 0. One needs the other.
    from_stop: Option<u8>,
    to_stop: Option<u8>,
    /// So many days after the service date.
    #[schema(maximum = 31, default = 0)]
    day_offset: Option<u8>,
}

#[derive(ToSchema)]
#[schema(as = PackageTemplateEntitlement, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct EntitlementBody {
    /// Once in a template.
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$")]
    code: String,
    name: NamesView,
    /// Uses, for each passenger; of a shared one for all together.
    #[schema(minimum = 1, maximum = 500)]
    quantity: u16,
    /// Who redeems it; left out: whoever may redeem the code.
    merchant_id: Option<String>,
    /// Where; left out: at all of the merchant's.
    #[schema(max_items = 64)]
    location_ids: Option<Vec<String>>,
    #[schema(pattern = "^(gate|counter|any)$")]
    redemption_channel: String,
    requires_identity: bool,
    /// The party uses it up together.
    shared: bool,
    /// Its part of the price; if none has one, they have equal parts.
    #[schema(maximum = 1_000_000)]
    share_weight: Option<u32>,
    validity: ValidityBody,
}

/// `absolute` has `from` and `until`, `relative` has `days` and may have the others.
#[derive(ToSchema)]
#[schema(as = PackageTemplateValidity, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct ValidityBody {
    #[schema(pattern = "^(absolute|relative)$")]
    kind: String,
    /// A local day, or an instant with its offset.
    #[schema(example = "2026-12-01")]
    from: Option<String>,
    /// A local day, which is part of it, or an instant with its offset. A relative validity ends no later.
    #[schema(example = "2027-02-28")]
    until: Option<String>,
    /// Until the end of so many local days after what it starts at.
    #[schema(minimum = 1, maximum = 1095)]
    days: Option<u16>,
    #[schema(pattern = "^(payment|first_use)$", default = "payment")]
    starts_at: Option<String>,
}

/// What the package costs a passenger of one type in a party of at least this size.
#[derive(ToSchema)]
#[schema(as = PackageTemplateTier, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct TierBody {
    #[schema(pattern = "^(adult|child|senior)$")]
    passenger_type: String,
    #[schema(minimum = 1, maximum = 10)]
    min_party: u16,
    /// By the service date.
    #[schema(pattern = "^(any|weekday|weekend_or_holiday)$", default = "any")]
    day_type: Option<String>,
    /// In the currency of sale.
    price: MoneyView,
}

#[derive(ToSchema)]
#[schema(as = PackageTemplateStock, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct StockBody {
    /// Ever.
    #[schema(maximum = 10_000_000)]
    total: Option<u32>,
    /// For each service date.
    #[schema(maximum = 10_000_000)]
    per_date: Option<u32>,
}

/// Under which refund rules it is sold; without one nothing comes back.
#[derive(ToSchema)]
#[schema(as = PackageTemplateRules, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct RulesBody {
    direct: Option<String>,
    /// By every partner.
    ota: Option<String>,
}

/// The version that a write has made, or had made before.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateWritten {
    #[schema(value_type = String)]
    template_id: TemplateId,
    version: u32,
    version_token: String,
    since: Zoned,
    /// It was so already, and no version was made.
    idempotent: bool,
}

/// A template in its newest version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateShown<'a> {
    template_id: &'a str,
    version: u32,
    since: Zoned,
    #[serde(flatten)]
    #[schema(value_type = TemplateBody, inline)]
    content: SpokenTemplate,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateList<'a> {
    /// By id.
    templates: Vec<TemplateShown<'a>>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One version of a template.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateVersion {
    version: u32,
    version_token: String,
    #[schema(pattern = "^(draft|active|withdrawn)$")]
    status: String,
    since: Zoned,
    /// User name of the account that wrote it.
    account: String,
    #[schema(value_type = TemplateBody)]
    content: Box<RawValue>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateVersions {
    template_id: String,
    /// The newest first.
    versions: Vec<TemplateVersion>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What is left of a package.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TemplateStock {
    template_id: String,
    version: u32,
    #[schema(value_type = StockBody)]
    limits: StockLimits,
    /// Units held and sold, of all channels and dates.
    in_use: u64,
    /// Left for direct sale, whatever the date; absent where nothing limits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u32>,
    /// Today and later, those of which units are held or sold.
    dates: Vec<DateStock>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TemplateDateStock)]
struct DateStock {
    #[schema(value_type = Date)]
    service_date: Date,
    in_use: u32,
    /// Left for direct sale; absent where nothing limits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u32>,
}

fn known<'a>(catalogue: &'a Catalogue, path: &str) -> Result<&'a Entry<Template>, Problem> {
    catalogue.template(path).map(|entry| &**entry).ok_or_else(|| {
        let unknown = Rejection::NotConfigured { entity: Template::NAME, id: path.to_owned() };
        Problem::from(unknown).naming("templateId", "is no template")
    })
}

/// Makes a new version of the template of this name, in force for the very next request. Orders keep what they were sold.
#[utoipa::path(
    post, path = "/admin/packages/templates", params(OptionalKey), request_body = TemplateBody,
    responses(
        (status = 201, body = TemplateWritten),
        (status = 200, body = TemplateWritten, description = "This write had made its version before"),
        (
            status = 409,
            description = "`VERSION_CONFLICT`: the token stands for something else; `BELOW_USE`: more is sold than the stock \
                would be; nothing is changed"
        ),
        (status = 422, description = "`VALIDATION_ERROR`, `IDEMPOTENCY_MISMATCH`; the newest version stays in force"),
    )
)]
async fn put_template(Allowed(by): Allowed<Configure>, key: OptionalKey, body: Body) -> Answered {
    let template = Template::try_from(body.json::<SpokenTemplate>()?)?;
    let template_id = template.id.clone();
    let standing = by.shown(by.api.engine.configure(Command::new(template, author(&by, key))).await)?;
    metrics::counter!(CREATED).increment(u64::from(standing.changed));
    let catalogue = by.api.engine.services().catalogue.load();
    let version_token = token(&catalogue, &template_id, standing.revision);
    let status = if standing.changed { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json(
        status,
        &TemplateWritten {
            template_id,
            version: standing.revision,
            version_token,
            since: views::time(standing.since),
            idempotent: !standing.changed,
        },
    ))
}

/// What a version is called.
fn token(catalogue: &Catalogue, template: &TemplateId, number: u32) -> String {
    let version = catalogue.versions_of(template).iter().find(|version| version.number == number);
    version.map(Version::token).unwrap_or_default()
}

fn shown(entry: &Entry<Template>) -> TemplateShown<'_> {
    TemplateShown {
        template_id: entry.content.id.as_str(),
        version: entry.revision,
        since: views::time(entry.since),
        content: SpokenTemplate::from(Template::clone(&entry.content)),
    }
}

/// Every template in its newest version, whether it is sold or not.
#[utoipa::path(get, path = "/admin/packages/templates", params(Paging), responses((status = 200, body = TemplateList)))]
async fn list_templates(_: Allowed<SeeConfiguration>, api: Api, page: Page<TemplateId>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    let (entries, next_cursor) =
        page.of_memory(catalogue.registers().templates.entries(), |entry| entry.content.id.clone());
    Ok(ok(&TemplateList { templates: entries.into_iter().map(|entry| shown(entry)).collect(), next_cursor }))
}

/// A template in its newest version.
#[utoipa::path(
    get, path = "/admin/packages/templates/{templateId}",
    responses((status = 200, body = TemplateShown), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn show_template(_: Allowed<SeeConfiguration>, api: Api, path: Path<String>) -> Answered {
    let catalogue = api.engine.services().catalogue.load();
    Ok(ok(&shown(known(&catalogue, &path)?)))
}

/// All versions of a template that there have been.
#[utoipa::path(
    get, path = "/admin/packages/templates/{templateId}/versions", params(("templateId" = String, Path), Paging),
    responses(
        (status = 200, body = TemplateVersions),
        (status = 404, description = "`NOT_CONFIGURED`"),
        (status = 503, description = "`STORAGE_UNAVAILABLE`"),
    )
)]
async fn show_versions(Allowed(by): Allowed<SeeConfiguration>, path: Path<String>, page: Page<u64>) -> Answered {
    let catalogue = by.api.engine.services().catalogue.load_full();
    let template = known(&catalogue, &path)?.content.id.clone();
    let id = template.to_string();
    let mut entries = page
        .read(&by, |lists, before, count| async move { lists.history(Template::NAME, &id, before, count).await })
        .await?;
    let next_cursor = page.cut(&mut entries, |entry| entry.number);
    let version = |entry| version(&catalogue, &template, entry);
    let versions = entries.into_iter().map(version).collect::<Result<_, _>>()?;
    Ok(ok(&TemplateVersions { template_id: template.to_string(), versions, next_cursor }))
}

fn version(catalogue: &Catalogue, template: &TemplateId, entry: AuditEntry) -> Result<TemplateVersion, Problem> {
    /// What is read of the content to be said of the version.
    #[derive(Deserialize)]
    struct Said {
        status: String,
    }
    let unread = |error: serde_json::Error| Problem::fault("What the audit holds is no template", &error);
    let content = entry.after.unwrap_or_default();
    let Said { status } = serde_json::from_str(&content).map_err(unread)?;
    let number = entry.revision.unwrap_or_default();
    Ok(TemplateVersion {
        version: number,
        version_token: token(catalogue, template, number),
        status,
        since: views::time(entry.at),
        account: entry.account,
        content: RawValue::from_string(content).map_err(unread)?,
    })
}

/// What is held, sold and left of a package now.
#[utoipa::path(
    get, path = "/admin/packages/templates/{templateId}/stock",
    responses((status = 200, body = TemplateStock), (status = 404, description = "`NOT_CONFIGURED`"))
)]
async fn show_stock(_: Allowed<SeeConfiguration>, api: Api, path: Path<String>) -> Answered {
    let services = api.engine.services();
    let catalogue = services.catalogue.load();
    let entry = known(&catalogue, &path)?;
    let shown = services.stock_board.get(&StockId::Package(entry.content.id.clone()));
    let today = entry.zone().local(api.engine.now()).date();
    let in_use = shown.as_ref().map(|shown| shown.in_use_by_date()).unwrap_or_default();
    let left = |date| package::units_left(&services.stock_board, entry, date);
    let dates = in_use.range(today..).filter(|(_, in_use)| **in_use > 0).map(|(date, in_use)| DateStock {
        service_date: *date,
        in_use: *in_use,
        available: left(Some(*date)),
    });
    Ok(ok(&TemplateStock {
        template_id: entry.content.id.to_string(),
        version: entry.revision,
        limits: entry.stock,
        in_use: shown.as_ref().map_or(0, |shown| shown.in_use()),
        available: left(None),
        dates: dates.collect(),
    }))
}

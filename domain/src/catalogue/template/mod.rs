//! Templates of packages (R-ADMIN-01, R-ADMIN-02): what is sold once and made of entitlements and journeys. A template is
//! known by its name; every write of it is a version that never changes and is kept for ever. The newest one says what is
//! sold, if it is active. Orders keep their own copy of what they were sold ([`PackageTerms`](crate::package::PackageTerms)).

mod check;
mod rows;
mod sale;
mod spoken;
#[cfg(test)]
pub(super) mod tests;
mod versions;

use std::collections::BTreeSet;

use aws_lc_rs::digest::{self, SHA256};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Catalogue, Names, RulesByChannel, Zone};
use crate::departure::Stretch;
use crate::fare::DayType;
use crate::ids::{PlaceCode, RouteCode, SeatClassCode, TemplateId, codes};
use crate::money::Money;
use crate::package::{self, EntitlementTerms};
use crate::party::PassengerType;
use crate::register::{Entity, Entry, Standing, Written};
use crate::rejection::Rejection;
use crate::row::{Damage, Row as _, Rows, Table, part};
use crate::time::Timestamp;

pub use check::SOLD_AHEAD_DAYS_MAX;
pub use rows::{TemplateEntitlementRow, TemplateRow, TemplateTierRow};
pub use sale::{PackageLine, PackageQuote, UnitPrice, unit_prices};
pub(crate) use sale::{check_day, tier_for};
pub use spoken::SpokenTemplate;
pub use versions::{Version, Versions};

/// Of a template's id, in hexadecimal digits: enough that no two names share it.
const ID_DIGITS: usize = 20;

/// Whether a version is sold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TemplateStatus {
    Draft,
    Active,
    Withdrawn,
}

codes!(TemplateStatus, "template status: known are draft, active and withdrawn":
    Draft = "draft",
    Active = "active",
    Withdrawn = "withdrawn",
);

/// A journey that a package includes: everybody who has the package travels on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IncludedJourney {
    pub route: RouteCode,
    pub class: SeatClassCode,
    /// `None`: from the first stop to the last.
    pub stretch: Option<Stretch>,
    /// So many days after the service date it is boarded.
    pub day_offset: u8,
}

part!(IncludedJourney {
    1 route as "route_code": RouteCode,
    2 class as "seat_class": SeatClassCode,
    3 stretch: Option<Stretch>,
    4 day_offset: u8,
} => Some(IncludedJourney { route, class, stretch, day_offset }));

/// What the package costs a passenger of one type in a party of at least this size (阶梯定价).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tier {
    pub passenger_type: PassengerType,
    pub min_party: u16,
    /// By the service date.
    pub day_type: DayType,
    pub price: Money,
}

part!(Tier {
    1 passenger_type: PassengerType,
    2 min_party: u16,
    3 day_type: DayType,
    4 price: Money,
} => Some(Tier { passenger_type, min_party, day_type, price }));

impl Tier {
    /// Whether it is for some days only.
    pub fn depends_on_day(&self) -> bool {
        self.day_type != DayType::Any
    }
}

/// How many units are sold at most; `None`: as many as are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StockLimits {
    /// Ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// For each service date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_date: Option<u32>,
}

/// A version of a template, put as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "SpokenTemplate", try_from = "SpokenTemplate")]
pub struct Template {
    pub id: TemplateId,
    pub names: Names,
    /// What the client calls the version. `None`: what it holds tells it apart.
    pub version_token: Option<String>,
    /// What the client calls the write.
    pub client_token: Option<String>,
    pub status: TemplateStatus,
    pub description: Option<Names>,
    /// Partners and reports know it by this number.
    pub product: Option<u32>,
    /// It is offered where one of them lies at origin or destination. None: everywhere.
    pub places: Vec<PlaceCode>,
    pub journeys: Vec<IncludedJourney>,
    pub entitlements: Vec<EntitlementTerms>,
    pub tiers: Vec<Tier>,
    pub stock: StockLimits,
    /// Service dates that are not sold (禁售日).
    pub blackout: BTreeSet<Date>,
    pub refund_rules: RulesByChannel,
    /// In which its days are counted. `None`: where we sell.
    pub time_zone: Option<Zone>,
}

impl Template {
    /// The id of the template of this name.
    pub fn id_of(names: &Names) -> TemplateId {
        // No name has a line break.
        let digest = digest::digest(&SHA256, format!("{}\n{}", names.zh, names.en).as_bytes());
        let mut id = "pkg-".to_owned();
        id.extend(hex(digest.as_ref()).take(ID_DIGITS));
        id.parse().unwrap_or_else(|error| unreachable!("{id}: {error}"))
    }

    pub fn zone(&self) -> Zone {
        self.time_zone.clone().unwrap_or_else(Zone::of_sale)
    }

    pub fn is_on_sale(&self) -> bool {
        self.status == TemplateStatus::Active
    }

    /// From then on it is not sold any more, though it is active. `None`: it always is.
    pub fn sold_until(&self) -> Option<Timestamp> {
        package::sold_until(&self.entitlements, &self.zone())
    }

    /// Whether whoever buys it has to say for which day.
    pub fn needs_service_date(&self) -> bool {
        self.stock.per_date.is_some()
            || !self.blackout.is_empty()
            || !self.journeys.is_empty()
            || self.tiers.iter().any(Tier::depends_on_day)
    }

    /// SHA-256 of what it holds, without what the client calls it. A field that is to come is left out where nothing is said,
    /// so that versions of before keep theirs.
    pub fn digest(&self) -> [u8; 32] {
        let content = Template { version_token: None, client_token: None, ..self.clone() };
        let text = serde_json::to_vec(&content).unwrap_or_else(|error| unreachable!("texts and numbers only: {error}"));
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&SHA256, &text).as_ref());
        hash
    }
}

/// The digits of bytes.
fn hex(bytes: &[u8]) -> impl Iterator<Item = char> {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(move |byte| [digit(byte >> 4), digit(byte & 15)])
}

impl Entity for Template {
    type Id = TemplateId;
    type World = Catalogue;

    const NAME: &'static str = "template";
    const TABLE: &'static Table = TemplateRow::TABLE;

    fn id(&self) -> &TemplateId {
        &self.id
    }

    fn made_before(&self, catalogue: &Catalogue) -> Result<Option<Standing>, Rejection> {
        catalogue.index.versions.made_before(self)
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        check::check(self, catalogue)
    }

    /// Orders name it by id and version for ever. It is taken off sale by a version that says so.
    fn used_by(_: &TemplateId, _: &Catalogue) -> Option<String> {
        Some("orders".to_owned())
    }

    fn put_rows(written: &Written<Template>, _: &Catalogue, version: u64, rows: &mut Rows) {
        rows::put(&written.after, version, rows);
    }

    fn read_rows(rows: &Rows, _: &[TemplateId]) -> Result<Vec<Entry<Template>>, Damage> {
        rows::read(rows)
    }
}

impl Catalogue {
    /// A template in its newest version, whether that is sold or not.
    pub fn template(&self, id: &str) -> Option<&std::sync::Arc<Entry<Template>>> {
        self.registers.templates.entry(id)
    }

    /// The template, in its newest version, that partners know by this number.
    pub fn product(&self, product: u32) -> Option<&std::sync::Arc<Template>> {
        self.registers.templates.iter().find(|template| template.product == Some(product))
    }

    /// What versions of a template there are, rising. Empty: there is no such template.
    pub fn versions_of(&self, template: &TemplateId) -> &[Version] {
        self.index.versions.of(template)
    }

    /// The first template, in its newest version, of which this holds. For whoever may be referred to by one.
    pub(super) fn template_that(&self, holds: impl Fn(&Template) -> bool) -> Option<String> {
        let template = self.registers.templates.iter().find(|template| holds(template));
        template.map(|template| format!("template {}", template.id))
    }
}

//! What is sold: administration and imports write it, everybody else reads the snapshot of its newest durable version.

use std::sync::Arc;

use deeptravel_domain::catalogue::{
    Catalogue, Command, Event, OWNER, Registers, TemplateEntitlementRow, TemplateTierRow,
};
use deeptravel_domain::money::Currency;
use deeptravel_domain::register::{AuditRow, RevisionRow, Standing};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::time::Timestamp;

use crate::keeper::{Keeping, Shown};
use crate::ports::{KeyVersionRow, Load, Parameter, Statement};
use crate::services::Services;

/// The currency of sale: mainland WeChat Pay takes no other (R-PRICE-02).
pub const SALE_CURRENCY: Currency = Currency::Cny;

/// What an entity held in one of its revisions, as the audit has it.
pub const LOAD_AUDITED: Load = Load::of(&[Statement::new("load/audited_revision", AuditRow::TABLE)]);

/// See the module's documentation.
#[derive(Debug)]
pub enum Sold {}

impl Keeping for Sold {
    type Machine = Arc<Catalogue>;
    type Answer = Standing;

    const KEY: &'static str = OWNER;
    const KIND: &'static str = "catalogue";
    const SHOWN: Shown = Shown::Durable;
    /// Everything, and the newest version of any write, also of one that was refused.
    const LOAD: Load = Load::of_whole(
        Registers::TABLES,
        &[
            Statement::by("load/config_revisions", RevisionRow::TABLE, "owner"),
            Statement::new("load/template_entitlements", TemplateEntitlementRow::TABLE),
            Statement::new("load/template_pricing_tiers", TemplateTierRow::TABLE),
            Statement::new("load/audit_version", KeyVersionRow::TABLE),
        ],
    );

    fn parameters(_: Timestamp) -> Vec<Parameter> {
        vec![OWNER.to_owned().into()]
    }

    fn read(rows: &Rows, _: Timestamp) -> Result<Arc<Catalogue>, Damage> {
        Catalogue::from_rows(SALE_CURRENCY, rows).map(Arc::new)
    }

    fn begin(services: &Services, catalogue: &Arc<Catalogue>) {
        services.catalogue.store(Arc::clone(catalogue));
    }

    fn answer(catalogue: &Arc<Catalogue>, command: &Command, events: &[Event]) -> Result<Standing, Rejection> {
        catalogue.answer(command, events)
    }
}

//! Partners, who sell packages under their own name (R-OTA-01). A partner's keys stand with the identities, what is set aside
//! for it is configured beside it.

use serde::{Deserialize, Serialize};

use super::{Catalogue, Names, checks};
use crate::ids::PartnerCode;
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Table};

/// Each may have a window of instants and a dozen keys in memory.
const PARTNERS_MAX: usize = 1_000;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partner {
    #[serde(rename = "partnerId")]
    pub id: PartnerCode,
    #[serde(rename = "name")]
    pub names: Names,
    /// Whom to call, on one line.
    pub contact: String,
    /// None of its keys is good any more. What it has sold stays.
    #[serde(default)]
    pub disabled: bool,
}

row! {
    pub struct PartnerRow<'a>: 71 "partners", First::Unknown;
    1 partner_code [Key]: PartnerCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
    5 contact: &'a str,
    6 disabled: bool,
}

impl Entity for Partner {
    type Id = PartnerCode;
    type World = Catalogue;

    const NAME: &'static str = "partner";
    const TABLE: &'static Table = PartnerRow::TABLE;

    fn id(&self) -> &PartnerCode {
        &self.id
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        let partners = &catalogue.registers().partners;
        let has_room = partners.has(&self.id) || partners.iter().count() < PARTNERS_MAX;
        ensure(has_room, "partnerId", "is one more than the partners that there may be")?;
        checks::names("name", &self.names)?;
        checks::line("contact", &self.contact)
    }

    /// Tickets and orders name it for ever. Whoever sells no more is disabled.
    fn used_by(_: &PartnerCode, _: &Catalogue) -> Option<String> {
        Some("tickets".to_owned())
    }

    fn put_rows(written: &Written<Partner>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Partner { id, names, contact, disabled } = &**written.after;
        rows.put(&PartnerRow {
            partner_code: id.clone(),
            version,
            name_zh: &names.zh,
            name_en: &names.en,
            contact,
            disabled: *disabled,
        });
    }

    fn read_rows(rows: &Rows, _: &[PartnerCode]) -> Result<Vec<Entry<Partner>>, Damage> {
        let partner = |row: PartnerRow<'_>| Partner {
            id: row.partner_code,
            names: Names::new(row.name_zh, row.name_en),
            contact: row.contact.to_owned(),
            disabled: row.disabled,
        };
        rows.of().map(|row| Ok(Entry::uncounted(partner(row?)))).collect()
    }
}

impl Catalogue {
    /// A partner, disabled or not.
    pub fn partner(&self, id: &str) -> Option<&std::sync::Arc<Partner>> {
        self.registers.partners.get(id)
    }
}

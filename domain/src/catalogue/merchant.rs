//! Merchants: whose staff redeems tickets.

use serde::{Deserialize, Serialize};

use super::{Catalogue, Names, checks};
use crate::ids::MerchantCode;
use crate::package::EntitlementTerms;
use crate::register::{Entity, Entry, Written};
use crate::rejection::Rejection;
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Table};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Merchant {
    #[serde(rename = "merchantId")]
    pub id: MerchantCode,
    #[serde(rename = "name")]
    pub names: Names,
    /// Whom to call, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

row! {
    pub struct MerchantRow<'a>: 38 "merchants", First::Unknown;
    1 merchant_code [Key]: MerchantCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
    5 contact: Option<&'a str>,
}

impl Entity for Merchant {
    type Id = MerchantCode;
    type World = Catalogue;

    const NAME: &'static str = "merchant";
    const TABLE: &'static Table = MerchantRow::TABLE;

    fn id(&self) -> &MerchantCode {
        &self.id
    }

    fn check(&self, _: &Catalogue) -> Result<(), Rejection> {
        checks::names("name", &self.names)?;
        self.contact.iter().try_for_each(|contact| checks::line("contact", contact))
    }

    /// Accounts of operators are kept elsewhere: one that names a merchant that has gone redeems nothing.
    fn used_by(id: &MerchantCode, catalogue: &Catalogue) -> Option<String> {
        let registers = catalogue.registers();
        let location = registers.locations.iter().find(|location| location.merchant == *id);
        let device = || registers.devices.iter().find(|device| device.merchant == *id);
        let location = location.map(|location| format!("location {}", location.id));
        let device = || device().map(|device| format!("device {}", device.id));
        let redeems = |entitlement: &EntitlementTerms| entitlement.merchant.as_ref() == Some(id);
        let template = || catalogue.template_that(|template| template.entitlements.iter().any(redeems));
        location.or_else(device).or_else(template)
    }

    fn put_rows(written: &Written<Merchant>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Merchant { id, names, contact } = &**written.after;
        rows.put(&MerchantRow {
            merchant_code: id.clone(),
            version,
            name_zh: &names.zh,
            name_en: &names.en,
            contact: contact.as_deref(),
        });
    }

    fn read_rows(rows: &Rows, _: &[MerchantCode]) -> Result<Vec<Entry<Merchant>>, Damage> {
        let merchant = |row: MerchantRow<'_>| Merchant {
            id: row.merchant_code,
            names: Names::new(row.name_zh, row.name_en),
            contact: row.contact.map(str::to_owned),
        };
        rows.of().map(|row| Ok(Entry::uncounted(merchant(row?)))).collect()
    }
}

//! Gates and venues of merchants, where tickets are redeemed. A location's id is its own over all merchants, because
//! sessions, scans and reports name it alone; and it stays its merchant's, also when it was withdrawn.

use serde::{Deserialize, Serialize};

use super::checks::known;
use super::{Catalogue, Names, checks};
use crate::ids::{LocationCode, MerchantCode, PortCode};
use crate::package::EntitlementTerms;
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Table};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Location {
    #[serde(rename = "locationId")]
    pub id: LocationCode,
    #[serde(rename = "merchantId")]
    pub merchant: MerchantCode,
    #[serde(rename = "name")]
    pub names: Names,
    /// The port that it stands at: there journeys board. `None`: no journey boards here.
    #[serde(default, rename = "portCode", skip_serializing_if = "Option::is_none")]
    pub port: Option<PortCode>,
}

row! {
    pub struct LocationRow<'a>: 39 "locations", First::Unknown;
    1 location_code [Key]: LocationCode,
    2 version: u64,
    3 merchant_code: MerchantCode,
    4 name_zh: &'a str,
    5 name_en: &'a str,
    6 port_code: Option<PortCode>,
}

impl Entity for Location {
    type Id = LocationCode;
    type World = Catalogue;

    const NAME: &'static str = "location";
    const TABLE: &'static Table = LocationRow::TABLE;

    fn id(&self) -> &LocationCode {
        &self.id
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        known(catalogue.merchant(self.merchant.as_str()), "merchantId", &self.merchant)?;
        let before = catalogue.registers().locations.entry(&self.id);
        let is_its = before.is_none_or(|before| before.merchant == self.merchant);
        ensure(is_its, "locationId", "is another merchant's: ids of locations are unique over all merchants")?;
        checks::names("name", &self.names)?;
        if let Some(port) = &self.port {
            known(catalogue.port(port.as_str()), "portCode", port)?;
        }
        let fits = catalogue.port(self.id.as_str()).is_none_or(|port| stands_for(self, &port.code));
        ensure(fits, "locationId", "is a port: sessions name it as their location already")
    }

    fn used_by(id: &LocationCode, catalogue: &Catalogue) -> Option<String> {
        let device = catalogue.registers().devices.iter().find(|device| device.location.as_ref() == Some(id));
        let device = device.map(|device| format!("device {}", device.id));
        let is_there = |entitlement: &EntitlementTerms| entitlement.locations.contains(id);
        device.or_else(|| catalogue.template_that(|template| template.entitlements.iter().any(is_there)))
    }

    fn put_rows(written: &Written<Location>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Location { id, merchant, names, port } = &**written.after;
        rows.put(&LocationRow {
            location_code: id.clone(),
            version,
            merchant_code: merchant.clone(),
            name_zh: &names.zh,
            name_en: &names.en,
            port_code: port.clone(),
        });
    }

    fn read_rows(rows: &Rows, _: &[LocationCode]) -> Result<Vec<Entry<Location>>, Damage> {
        let location = |row: LocationRow<'_>| Location {
            id: row.location_code,
            merchant: row.merchant_code,
            names: Names::new(row.name_zh, row.name_en),
            port: row.port_code,
        };
        rows.of().map(|row| Ok(Entry::uncounted(location(row?)))).collect()
    }
}

/// A location may have the code of a port if it is at that port: whoever names either means the same.
pub fn stands_for(location: &Location, port: &PortCode) -> bool {
    location.port.as_ref() == Some(port)
}

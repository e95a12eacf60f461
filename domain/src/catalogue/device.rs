//! Devices of merchants. A device that is not configured may be used too; one that is may only be used as it is configured.

use serde::{Deserialize, Serialize};

use super::Catalogue;
use super::checks::known;
use crate::ids::{DeviceCode, LocationCode, MerchantCode};
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Table};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    #[serde(rename = "deviceId")]
    pub id: DeviceCode,
    #[serde(rename = "merchantId")]
    pub merchant: MerchantCode,
    /// Where a session on it is, unless it says otherwise.
    #[serde(default, rename = "locationId", skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationCode>,
    #[serde(default)]
    pub disabled: bool,
}

row! {
    pub struct DeviceRow: 40 "devices", First::Unknown;
    1 device_code [Key]: DeviceCode,
    2 version: u64,
    3 merchant_code: MerchantCode,
    4 location_code: Option<LocationCode>,
    5 disabled: bool,
}

impl Entity for Device {
    type Id = DeviceCode;
    type World = Catalogue;

    const NAME: &'static str = "device";
    const TABLE: &'static Table = DeviceRow::TABLE;

    fn id(&self) -> &DeviceCode {
        &self.id
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        known(catalogue.merchant(self.merchant.as_str()), "merchantId", &self.merchant)?;
        let Some(id) = &self.location else { return Ok(()) };
        let location = known(catalogue.location(id.as_str()), "locationId", id)?;
        ensure(location.merchant == self.merchant, "locationId", "is another merchant's")
    }

    fn used_by(_: &DeviceCode, _: &Catalogue) -> Option<String> {
        None
    }

    fn put_rows(written: &Written<Device>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Device { id, merchant, location, disabled } = &**written.after;
        rows.put(&DeviceRow {
            device_code: id.clone(),
            version,
            merchant_code: merchant.clone(),
            location_code: location.clone(),
            disabled: *disabled,
        });
    }

    fn read_rows(rows: &Rows, _: &[DeviceCode]) -> Result<Vec<Entry<Device>>, Damage> {
        let device = |row: DeviceRow| Device {
            id: row.device_code,
            merchant: row.merchant_code,
            location: row.location_code,
            disabled: row.disabled,
        };
        rows.of().map(|row| Ok(Entry::uncounted(device(row?)))).collect()
    }
}

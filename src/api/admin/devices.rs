//! Devices of merchants, at which operators open their sessions (R-ADMIN-05).

use deeptravel_domain::catalogue::Device;
use deeptravel_domain::ids::{DeviceCode, LocationCode, MerchantCode};
use deeptravel_domain::register::Change;
use serde::Deserialize;
use utoipa::ToSchema;

use super::configuration::{Kind, same_id};
use crate::api::frame::Problem;

/// A device of a merchant. Operators of no other merchant open a session on it.
#[derive(Deserialize, ToSchema)]
#[schema(as = Device)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "gate-07")]
    device_id: Option<DeviceCode>,
    #[schema(value_type = String, example = "museum")]
    merchant_id: MerchantCode,
    /// Where a session on it is, unless it says otherwise; one of the merchant's.
    #[schema(value_type = Option<String>, example = "museum-hall")]
    location_id: Option<LocationCode>,
    /// No session is opened on it, and none on it redeems.
    #[serde(default)]
    disabled: bool,
}

impl Kind for Device {
    type Body = DeviceBody;
    type Shown = DeviceBody;
    type Listed = DeviceBody;

    const ITEM: &'static str = "/admin/devices/{deviceId}";
    const LIST: Option<&'static str> = Some("devices");
    const ONE: &'static str = "a device";
    const PUT: &'static str = "A device that is not configured may be used, too.";

    fn change(id: DeviceCode, body: DeviceBody) -> Result<Change<Device>, Problem> {
        same_id("deviceId", &id, body.device_id.as_ref())?;
        let DeviceBody { merchant_id: merchant, location_id: location, disabled, .. } = body;
        Ok(Device { id, merchant, location, disabled }.into())
    }
}

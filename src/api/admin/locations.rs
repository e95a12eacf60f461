//! Gates and venues of a merchant (R-ADMIN-05).

use deeptravel_domain::catalogue::{Catalogue, Location, Names};
use deeptravel_domain::ids::{LocationCode, MerchantCode, PortCode};
use deeptravel_domain::register::Change;
use serde::Deserialize;
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

const MERCHANT: &str = "merchantId";

/// A gate or venue of a merchant. Its id is its own over all merchants.
#[derive(Deserialize, ToSchema)]
#[schema(as = Location)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocationBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "museum-hall")]
    location_id: Option<LocationCode>,
    /// As in the path.
    #[schema(value_type = Option<String>, example = "museum")]
    merchant_id: Option<MerchantCode>,
    #[schema(value_type = NamesView)]
    name: Names,
    /// The port that it is at: there journeys board.
    #[schema(value_type = Option<String>, example = "HKSW")]
    port_code: Option<PortCode>,
}

impl Kind for Location {
    type Body = LocationBody;
    type Shown = LocationBody;
    type Listed = LocationBody;

    const ITEM: &'static str = "/admin/merchants/{merchantId}/locations/{locationId}";
    const LIST: Option<&'static str> = Some("locations");
    const ONE: &'static str = "a location";
    const PUT: &'static str = "A location stays its merchant's; where it is at a port, journeys board there.";

    fn change(id: LocationCode, body: LocationBody) -> Result<Change<Location>, Problem> {
        same_id("locationId", &id, body.location_id.as_ref())?;
        let merchant = body.merchant_id.ok_or_else(|| Problem::field(MERCHANT, "is missing"))?;
        Ok(Location { id, merchant, names: body.name, port: body.port_code }.into())
    }

    fn place_below(body: &mut LocationBody, above: &str) -> Result<(), Problem> {
        let merchant: MerchantCode = above.parse().map_err(|_| Problem::field(MERCHANT, "is no code"))?;
        same_id(MERCHANT, &merchant, body.merchant_id.as_ref())?;
        body.merchant_id = Some(merchant);
        Ok(())
    }

    fn knows_above(catalogue: &Catalogue, above: &str) -> bool {
        catalogue.registers().merchants.entry(above).is_some()
    }

    fn is_below(&self, above: &str) -> bool {
        self.merchant.as_str() == above
    }
}

//! The companies that run departures (R-ADMIN-04). `operators` are people, to the API.

use deeptravel_domain::catalogue::{Names, Operator};
use deeptravel_domain::ids::OperatorCode;
use deeptravel_domain::register::Change;
use serde::Deserialize;
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

/// A company that runs departures: the `operator` of routes.
#[derive(Deserialize, ToSchema)]
#[schema(as = Carrier)]
#[serde(deny_unknown_fields)]
pub struct CarrierBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "tjt")]
    code: Option<OperatorCode>,
    #[schema(value_type = NamesView)]
    name: Names,
}

impl Kind for Operator {
    type Body = CarrierBody;
    type Shown = CarrierBody;
    type Listed = CarrierBody;

    const ITEM: &'static str = "/admin/carriers/{code}";
    const LIST: Option<&'static str> = Some("carriers");
    const ONE: &'static str = "a carrier";

    fn change(code: OperatorCode, body: CarrierBody) -> Result<Change<Operator>, Problem> {
        same_id("code", &code, body.code.as_ref())?;
        Ok(Operator { code, names: body.name }.into())
    }
}

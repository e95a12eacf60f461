//! Terminals and border crossings (R-ADMIN-04).

use deeptravel_domain::catalogue::{Names, Port};
use deeptravel_domain::ids::PortCode;
use deeptravel_domain::register::Change;
use serde::Deserialize;
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

/// A terminal or border crossing where departures stop.
#[derive(Deserialize, ToSchema)]
#[schema(as = Port)]
#[serde(deny_unknown_fields)]
pub struct PortBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "HKSW")]
    code: Option<PortCode>,
    #[schema(value_type = NamesView)]
    name: Names,
}

impl Kind for Port {
    type Body = PortBody;
    type Shown = PortBody;
    type Listed = PortBody;

    const ITEM: &'static str = "/admin/ports/{code}";
    const LIST: Option<&'static str> = Some("ports");
    const ONE: &'static str = "a port";

    fn change(code: PortCode, body: PortBody) -> Result<Change<Port>, Problem> {
        same_id("code", &code, body.code.as_ref())?;
        Ok(Port { code, names: body.name }.into())
    }
}

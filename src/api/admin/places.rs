//! Cities and districts in which travellers search (R-ADMIN-04).

use deeptravel_domain::catalogue::{Names, Place};
use deeptravel_domain::ids::{PlaceCode, PortCode};
use deeptravel_domain::register::Change;
use serde::Deserialize;
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

/// A city or district in which travellers search. A port may belong to several.
#[derive(Deserialize, ToSchema)]
#[schema(as = Place)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlaceBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "HK")]
    code: Option<PlaceCode>,
    #[schema(value_type = NamesView)]
    name: Names,
    /// Other spellings. No two places share one, whatever the case.
    #[serde(default)]
    #[schema(max_items = 32)]
    aliases: Vec<String>,
    #[schema(value_type = Vec<String>, max_items = 64)]
    ports: Vec<PortCode>,
    /// Those with more stand first among the hot cities; 0 is not hot.
    #[serde(default)]
    hot_weight: u32,
}

impl Kind for Place {
    type Body = PlaceBody;
    type Shown = PlaceBody;
    type Listed = PlaceBody;

    const ITEM: &'static str = "/admin/places/{code}";
    const LIST: Option<&'static str> = Some("places");
    const ONE: &'static str = "a place";

    fn change(code: PlaceCode, body: PlaceBody) -> Result<Change<Place>, Problem> {
        same_id("code", &code, body.code.as_ref())?;
        let PlaceBody { name: names, aliases, ports, hot_weight, .. } = body;
        Ok(Place { code, names, aliases, ports, hot_weight }.into())
    }
}

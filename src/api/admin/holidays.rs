//! Public holidays, a year at once (R-ADMIN-04): weekend fares apply on them.

use deeptravel_domain::catalogue::{Calendar, Holiday, Names};
use deeptravel_domain::register::Change;
use jiff::civil::Date;
use serde::Deserialize;
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

/// The holidays of a year.
#[derive(Deserialize, ToSchema)]
#[schema(as = Holidays)]
#[serde(deny_unknown_fields)]
pub struct HolidaysBody {
    /// As in the path.
    year: Option<i16>,
    /// In any order; a year without any is put empty.
    #[schema(max_items = 366)]
    holidays: Vec<HolidayBody>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Holiday)]
#[serde(deny_unknown_fields)]
struct HolidayBody {
    date: Date,
    #[schema(value_type = NamesView)]
    name: Names,
    /// `false`: still to be checked against the government's list.
    #[serde(default = "yes")]
    verified: bool,
}

/// Whoever puts a holiday stands for it.
fn yes() -> bool {
    true
}

impl Kind for Calendar {
    type Body = HolidaysBody;
    type Shown = HolidaysBody;
    type Listed = HolidaysBody;

    const ITEM: &'static str = "/admin/holidays/{year}";
    const LIST: Option<&'static str> = Some("years");
    const ONE: &'static str = "the holidays of a year";
    const PUT: &'static str = "Weekend fares apply on them.";
    const ENDS: bool = false;
    const ALONE: Option<&'static str> = Some("holidays");

    fn change(year: i16, body: HolidaysBody) -> Result<Change<Calendar>, Problem> {
        same_id("year", &year, body.year.as_ref())?;
        let holiday = |HolidayBody { date, name: names, verified }| Holiday { date, names, verified };
        Ok(Calendar { year, holidays: body.holidays.into_iter().map(holiday).collect() }.into())
    }
}

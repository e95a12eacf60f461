//! Kinds of vehicles and vessels, with their seats (R-ADMIN-04).

use std::sync::Arc;

use deeptravel_domain::catalogue::{Marks, Names, Vehicle};
use deeptravel_domain::departure::{Seat, SeatClass, SeatMap};
use deeptravel_domain::ids::{SeatClassCode, VehicleCode};
use deeptravel_domain::register::Change;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, check_code, same_id};
use crate::api::frame::Problem;

/// A kind of vehicle or vessel with its seat map.
#[derive(Deserialize, ToSchema)]
#[schema(as = Vehicle)]
#[serde(deny_unknown_fields)]
pub struct VehicleBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "coach49")]
    code: Option<VehicleCode>,
    #[schema(value_type = NamesView)]
    name: Names,
    #[schema(min_items = 1, max_items = 32)]
    classes: Vec<ClassBody>,
    /// In any order.
    #[schema(min_items = 1, max_items = 4096)]
    seats: Vec<SeatBody>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = VehicleClass)]
#[serde(deny_unknown_fields)]
struct ClassBody {
    #[schema(value_type = String, example = "standard")]
    code: SeatClassCode,
    #[schema(value_type = NamesView)]
    name: Names,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = VehicleSeat)]
#[serde(deny_unknown_fields)]
struct SeatBody {
    /// As printed on the seat.
    #[schema(example = "07A", min_length = 1, max_length = 8)]
    label: String,
    /// One of the vehicle's classes.
    #[schema(value_type = String, example = "standard")]
    class: SeatClassCode,
    /// From the front.
    row: u16,
    /// From the left; a gap is an aisle.
    column: u8,
}

/// A vehicle as a list has it: seat maps may be large.
#[derive(ToSchema)]
#[schema(as = VehicleSummary)]
#[allow(dead_code)] // the document alone reads it
pub struct VehicleSummary {
    code: String,
    name: NamesView,
    classes: Vec<ClassBody>,
    /// How many there are.
    seats: u16,
}

impl Kind for Vehicle {
    type Body = VehicleBody;
    type Shown = VehicleBody;
    type Listed = VehicleSummary;

    const ITEM: &'static str = "/admin/vehicles/{code}";
    const LIST: Option<&'static str> = Some("vehicles");
    const ONE: &'static str = "a vehicle";
    const PUT: &'static str = "Departures with seats held or sold keep the seats that they have.";
    /// As many seats as there may be.
    const BYTES_MAX: usize = 512 * 1024;

    fn change(code: VehicleCode, body: VehicleBody) -> Result<Change<Vehicle>, Problem> {
        same_id("code", &code, body.code.as_ref())?;
        Problem::unless(!body.classes.is_empty(), "classes", "are none")?;
        let mut map = SeatMap { classes: Vec::new(), seats: Vec::with_capacity(body.seats.len()) };
        for (index, ClassBody { code, name: names }) in body.classes.into_iter().enumerate() {
            check_code(|| format!("classes[{index}].code"), code.as_str())?;
            map.classes.push(SeatClass { code, names });
        }
        for (index, SeatBody { label, class, row, column }) in body.seats.into_iter().enumerate() {
            let unknown = || Problem::field(format!("seats[{index}].class"), "is not a class of the vehicle");
            map.seats.push(Seat { label, class: map.class(&class).ok_or_else(unknown)?, row, column });
        }
        map.seats.sort_by_key(|seat| (seat.row, seat.column));
        Ok(Vehicle { code, names: body.name, seat_map: Arc::new(map), marks: Marks::new() }.into())
    }

    fn shorten(shown: &mut Map<String, Value>) {
        let seats = shown.get("seats").and_then(Value::as_array).map_or(0, Vec::len);
        shown.insert("seats".to_owned(), seats.into());
    }
}

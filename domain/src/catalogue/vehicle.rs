//! Kinds of vehicles and vessels.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checks::{self, line};
use super::{Catalogue, DepartureOverride, Marks};
use crate::departure::{SEATS_MAX, Seat, SeatClass, SeatMap};
use crate::ids::{SeatClassCode, VehicleCode};
use crate::names::{Names, once_one_name};
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table};

/// A row of the seat map is one record: classes and labels stay small.
const CLASSES_MAX: usize = 32;
const SEAT_LABEL_LEN_MAX: usize = 8;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "Spoken", try_from = "Spoken")]
pub struct Vehicle {
    pub code: VehicleCode,
    pub names: Names,
    pub seat_map: Arc<SeatMap>,
    pub marks: Marks,
}

/// A vehicle as people speak of it: seats name their class.
#[derive(Serialize, Deserialize)]
struct Spoken {
    code: VehicleCode,
    #[serde(deserialize_with = "once_one_name")]
    name: Names,
    classes: Vec<SeatClass>,
    seats: Vec<SpokenSeat>,
    #[serde(default)]
    marks: Marks,
}

#[derive(Serialize, Deserialize)]
struct SpokenSeat {
    label: String,
    class: SeatClassCode,
    row: u16,
    column: u8,
}

impl From<Vehicle> for Spoken {
    fn from(vehicle: Vehicle) -> Spoken {
        let Vehicle { code, names: name, seat_map, marks } = vehicle;
        let seat = |seat: &Seat| {
            let class = seat_map.classes.get(usize::from(seat.class))?.code.clone();
            Some(SpokenSeat { label: seat.label.clone(), class, row: seat.row, column: seat.column })
        };
        // One of a class that is not there was refused, and is not told.
        let seats = seat_map.seats.iter().filter_map(seat).collect();
        Spoken { code, name, classes: seat_map.classes.clone(), seats, marks }
    }
}

impl TryFrom<Spoken> for Vehicle {
    type Error = String;

    fn try_from(spoken: Spoken) -> Result<Vehicle, String> {
        let Spoken { code, name, classes, seats, marks } = spoken;
        let mut seat_map = SeatMap { classes, seats: Vec::with_capacity(seats.len()) };
        for (index, SpokenSeat { label, class, row, column }) in seats.into_iter().enumerate() {
            let class = seat_map.class(&class).ok_or_else(|| format!("seats[{index}].class: {class} is not known"))?;
            seat_map.seats.push(Seat { label, class, row, column });
        }
        Ok(Vehicle { code, names: name, seat_map: Arc::new(seat_map), marks })
    }
}

row! {
    pub struct VehicleRow<'a>: 19 "vehicles", First::Unknown;
    1 vehicle_code [Key]: VehicleCode,
    2 version: u64,
    3 name: &'a str,
    4 classes: List<'a, SeatClass>,
    5 seats: List<'a, Seat>,
    6 marks: List<'a, String>,
    /// Absent in rows that were written before vehicles had two names.
    7 name_en: Option<&'a str>,
}

impl Entity for Vehicle {
    type Id = VehicleCode;
    type World = Catalogue;

    const NAME: &'static str = "vehicle";
    const TABLE: &'static Table = VehicleRow::TABLE;

    fn id(&self) -> &VehicleCode {
        &self.code
    }

    fn check(&self, _: &Catalogue) -> Result<(), Rejection> {
        checks::names("name", &self.names)?;
        checks::marks(&self.marks)?;
        check_seats(&self.seat_map)
    }

    fn used_by(code: &VehicleCode, catalogue: &Catalogue) -> Option<String> {
        let route = catalogue.routes().find(|route| route.vehicle == *code);
        let runs = |of: &&Arc<DepartureOverride>| of.fitting.as_ref().is_some_and(|fitting| fitting.vehicle == *code);
        let departure = || catalogue.registers().overrides.iter().find(runs);
        let by_route = route.map(|route| format!("route {}", route.code));
        by_route.or_else(|| departure().map(|of| format!("departure {}", of.departure)))
    }

    fn put_rows(written: &Written<Vehicle>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let vehicle = &written.after.content;
        let marks: Vec<String> = vehicle.marks.iter().cloned().collect();
        rows.put(&VehicleRow {
            vehicle_code: vehicle.code.clone(),
            version,
            name: &vehicle.names.zh,
            classes: List::Of(&vehicle.seat_map.classes),
            seats: List::Of(&vehicle.seat_map.seats),
            marks: List::Of(&marks),
            name_en: Some(&vehicle.names.en),
        });
    }

    fn read_rows(rows: &Rows, _: &[VehicleCode]) -> Result<Vec<Entry<Vehicle>>, Damage> {
        let vehicle = |row: VehicleRow<'_>| Vehicle {
            code: row.vehicle_code,
            names: Names::stored(row.name, row.name_en),
            seat_map: Arc::new(SeatMap { classes: row.classes.to_vec(), seats: row.seats.to_vec() }),
            marks: row.marks.to_vec().into_iter().collect(),
        };
        rows.of().map(|row| Ok(Entry::uncounted(vehicle(row?)))).collect()
    }
}

fn check_seats(map: &SeatMap) -> Result<(), Rejection> {
    ensure((1..=CLASSES_MAX).contains(&map.classes.len()), "classes", "are none or too many")?;
    for (index, class) in map.classes.iter().enumerate() {
        checks::names(&format!("classes[{index}].name"), &class.names)?;
        let twice = map.classes.iter().take(index).any(|earlier| earlier.code == class.code);
        ensure(!twice, format!("classes[{index}].code"), "is there twice")?;
    }
    ensure((1..=SEATS_MAX).contains(&map.seats.len()), "seats", "are none or too many")?;
    let mut labels = BTreeSet::new();
    let mut before = None;
    for (index, seat) in map.seats.iter().enumerate() {
        let field = |name: &str| format!("seats[{index}].{name}");
        line(&field("label"), &seat.label)?;
        ensure(seat.label.len() <= SEAT_LABEL_LEN_MAX, field("label"), "is too long")?;
        ensure(labels.insert(seat.label.as_str()), field("label"), "is there twice")?;
        ensure(usize::from(seat.class) < map.classes.len(), field("class"), "is not a class of the map")?;
        let position = (seat.row, seat.column);
        ensure(before < Some(position), field("row"), "seats are not in the order of row and column")?;
        before = Some(position);
    }
    Ok(())
}

//! Operators, ports, places, vehicles and holidays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{bail, ensure};
use deeptravel_domain::catalogue::{Calendar, Command, Holiday, Marks, Names, Operator, Place, Port, Route, Vehicle};
use deeptravel_domain::departure::{SEATS_MAX, Seat, SeatClass, SeatMap};
use deeptravel_domain::ids::{OperatorCode, PortCode, VehicleCode};
use jiff::civil::Date;

use super::sheet::{Line, lines, lines_if_any};
use super::{Import, put};

pub struct Network {
    pub operators: BTreeMap<OperatorCode, (Line, Operator)>,
    pub ports: BTreeMap<PortCode, Port>,
    places: Vec<Place>,
    vehicles: BTreeMap<VehicleCode, (Line, Vehicle)>,
    holidays: Vec<Holiday>,
}

pub fn read(dir: &Path) -> anyhow::Result<Network> {
    let ports = ports(dir)?;
    Ok(Network {
        operators: operators(dir)?,
        places: places(dir, &ports)?,
        ports,
        vehicles: vehicles(dir)?,
        holidays: holidays(dir)?,
    })
}

impl Network {
    pub fn vehicle(&self, code: &VehicleCode) -> Option<&Vehicle> {
        self.vehicles.get(code).map(|(_, vehicle)| vehicle)
    }

    /// Operators and vehicles that none of the routes uses stay out.
    pub fn into_commands(self, routes: &[&Route], import: &mut Import) -> Vec<Command> {
        let mut commands = Vec::new();
        for (line, operator) in self.operators.into_values() {
            if routes.iter().any(|route| route.operator == operator.code) {
                commands.push(put(operator));
            } else {
                import.skip(&line, format!("operator {} has no route", operator.code));
            }
        }
        commands.extend(self.ports.into_values().map(put));
        commands.extend(self.places.into_iter().map(put));
        for (line, vehicle) in self.vehicles.into_values() {
            if routes.iter().any(|route| route.vehicle == vehicle.code) {
                commands.push(put(vehicle));
            } else {
                import.skip(&line, format!("vehicle {} has no route", vehicle.code));
            }
        }
        commands.extend(Calendar::of(self.holidays).into_iter().map(put));
        commands
    }
}

fn operators(dir: &Path) -> anyhow::Result<BTreeMap<OperatorCode, (Line, Operator)>> {
    let mut operators = BTreeMap::new();
    for line in lines(dir, "operators.csv", &["operator", "name_zh", "name_en"], &[])? {
        let code: OperatorCode = line.parse("operator")?;
        let operator = Operator { code: code.clone(), names: names(&line)? };
        let earlier = operators.insert(code, (line.clone(), operator));
        ensure!(earlier.is_none(), line.error("operator", "is there twice"));
    }
    Ok(operators)
}

fn ports(dir: &Path) -> anyhow::Result<BTreeMap<PortCode, Port>> {
    let mut ports = BTreeMap::new();
    for line in lines(dir, "ports.csv", &["port", "name_zh", "name_en"], &[])? {
        let code: PortCode = line.parse("port")?;
        let earlier = ports.insert(code.clone(), Port { code, names: names(&line)? });
        ensure!(earlier.is_none(), line.error("port", "is there twice"));
    }
    Ok(ports)
}

fn places(dir: &Path, ports: &BTreeMap<PortCode, Port>) -> anyhow::Result<Vec<Place>> {
    let columns = ["place", "name_zh", "name_en", "ports", "weight"];
    let mut places: Vec<Place> = Vec::new();
    for line in lines(dir, "places.csv", &columns, &["aliases"])? {
        let aliases = line.optional("aliases").into_iter().flat_map(|text| text.split('|'));
        let place = Place {
            code: line.parse("place")?,
            names: names(&line)?,
            aliases: aliases.map(|alias| alias.trim().to_owned()).collect(),
            ports: line.parse_list("ports")?,
            hot_weight: line.parse("weight")?,
        };
        if let Some(unknown) = place.ports.iter().find(|port| !ports.contains_key(*port)) {
            bail!(line.error("ports", format_args!("{unknown} is not in ports.csv")));
        }
        let is_new = places.iter().all(|earlier| earlier.code != place.code);
        ensure!(is_new, line.error("place", "is there twice"));
        places.push(place);
    }
    Ok(places)
}

/// Lines of one vehicle are blocks of its seat map: so many rows of one class, with the letters of their seats from
/// left to right and `_` for an aisle.
fn vehicles(dir: &Path) -> anyhow::Result<BTreeMap<VehicleCode, (Line, Vehicle)>> {
    let columns = ["vehicle", "name", "class", "class_name", "first_row", "rows", "columns"];
    let mut vehicles: BTreeMap<VehicleCode, (Line, Vehicle)> = BTreeMap::new();
    for line in lines(dir, "vehicles.csv", &columns, &["marks"])? {
        let code: VehicleCode = line.parse("vehicle")?;
        let mut vehicle = match vehicles.remove(&code) {
            Some((_, vehicle)) => vehicle,
            None => Vehicle {
                code: code.clone(),
                names: Names::same(line.text("name")?),
                seat_map: Arc::new(SeatMap { classes: Vec::new(), seats: Vec::new() }),
                marks: Marks::new(),
            },
        };
        vehicle.marks.extend(line.parse_list::<String>("marks")?);
        add_block(&line, Arc::make_mut(&mut vehicle.seat_map))?;
        vehicles.insert(code, (line, vehicle));
    }
    Ok(vehicles)
}

fn add_block(line: &Line, map: &mut SeatMap) -> anyhow::Result<()> {
    let class = SeatClass { code: line.parse("class")?, names: Names::same(line.text("class_name")?) };
    let class_index = if let Some(index) = map.class(&class.code) {
        index
    } else {
        map.classes.push(class);
        u8::try_from(map.classes.len() - 1).map_err(|_| line.error("class", "has too many before it"))?
    };
    let first_row: u16 = line.parse("first_row")?;
    let rows: u16 = line.parse("rows")?;
    let letters = line.text("columns")?;
    let is_after = first_row > map.seats.last().map_or(0, |last| last.row);
    ensure!(is_after, line.error("first_row", "is not after the rows before"));
    let last_row = first_row.checked_add(rows).ok_or_else(|| line.error("rows", "are too many"))?;
    let are_letters = letters.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_');
    ensure!(letters.len() <= 32 && are_letters, line.error("columns", "are not capital letters and _ for an aisle"));
    let seats = map.seats.len() + usize::from(rows) * letters.len();
    ensure!(seats <= SEATS_MAX, line.error("rows", format_args!("make more than {SEATS_MAX} seats")));
    for row in first_row..last_row {
        let seats = letters.chars().zip(0_u8..).filter(|(letter, _)| *letter != '_');
        map.seats.extend(seats.map(|(letter, column)| Seat {
            label: format!("{row:02}{letter}"),
            class: class_index,
            row,
            column,
        }));
    }
    Ok(())
}

fn holidays(dir: &Path) -> anyhow::Result<Vec<Holiday>> {
    let mut holidays: BTreeMap<Date, Holiday> = BTreeMap::new();
    for line in lines_if_any(dir, "holidays.csv", &["date", "name", "verified"], &[])? {
        let verified = match line.text("verified")? {
            "yes" => true,
            "no" => false,
            _ => bail!(line.error("verified", "is not yes or no")),
        };
        let holiday = Holiday { date: line.parse("date")?, names: Names::same(line.text("name")?), verified };
        let earlier = holidays.insert(holiday.date, holiday);
        ensure!(earlier.is_none(), line.error("date", "is there twice"));
    }
    Ok(holidays.into_values().collect())
}

pub fn names(line: &Line) -> anyhow::Result<Names> {
    Ok(Names::new(line.text("name_zh")?, line.text("name_en")?))
}

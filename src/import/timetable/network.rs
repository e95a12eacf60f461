//! Operators, ports, places, vehicles and holidays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use deeptravel_domain::catalogue::{Calendar, Command, Holiday, Marks, Names, Operator, Place, Port, Route, Vehicle};
use deeptravel_domain::departure::{SEATS_MAX, Seat, SeatClass, SeatMap};
use deeptravel_domain::ids::{OperatorCode, PortCode, VehicleCode};

use super::sheet::{ImportError, Line, Sheet};
use super::{SkipList, put};

pub struct Network {
    operators: BTreeMap<OperatorCode, (Line, Operator)>,
    ports: BTreeMap<PortCode, Port>,
    places: Vec<Place>,
    vehicles: BTreeMap<VehicleCode, (Line, Vehicle)>,
    holidays: Vec<Holiday>,
}

pub fn read(dir: &Path) -> Result<Network, ImportError> {
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
    pub fn has_operator(&self, code: &OperatorCode) -> bool {
        self.operators.contains_key(code)
    }

    pub fn port(&self, code: &PortCode) -> Option<&Port> {
        self.ports.get(code)
    }

    pub fn vehicle(&self, code: &VehicleCode) -> Option<&Vehicle> {
        self.vehicles.get(code).map(|(_, vehicle)| vehicle)
    }

    /// Operators and vehicles that none of the routes uses stay out.
    pub fn into_commands(self, routes: &[&Route], skipped: &mut SkipList) -> Vec<Command> {
        let mut commands = Vec::new();
        for (line, operator) in self.operators.into_values() {
            if routes.iter().any(|route| route.operator == operator.code) {
                commands.push(put(operator));
            } else {
                skipped.add(&line, format!("operator {} has no route", operator.code));
            }
        }
        commands.extend(self.ports.into_values().map(put));
        commands.extend(self.places.into_iter().map(put));
        for (line, vehicle) in self.vehicles.into_values() {
            if routes.iter().any(|route| route.vehicle == vehicle.code) {
                commands.push(put(vehicle));
            } else {
                skipped.add(&line, format!("vehicle {} has no route", vehicle.code));
            }
        }
        commands.extend(Calendar::of(self.holidays).into_iter().map(put));
        commands
    }
}

fn operators(dir: &Path) -> Result<BTreeMap<OperatorCode, (Line, Operator)>, ImportError> {
    let mut operators = BTreeMap::new();
    for line in Sheet::required(dir, "operators.csv", &["operator", "name_zh", "name_en"])?.lines {
        let code: OperatorCode = line.parse("operator")?;
        let operator = Operator { code: code.clone(), names: names(&line)? };
        if operators.contains_key(&code) {
            return Err(line.error("operator", "is there twice"));
        }
        operators.insert(code, (line, operator));
    }
    Ok(operators)
}

fn ports(dir: &Path) -> Result<BTreeMap<PortCode, Port>, ImportError> {
    let mut ports = BTreeMap::new();
    for line in Sheet::required(dir, "ports.csv", &["port", "name_zh", "name_en"])?.lines {
        let code: PortCode = line.parse("port")?;
        if ports.insert(code.clone(), Port { code, names: names(&line)? }).is_some() {
            return Err(line.error("port", "is there twice"));
        }
    }
    Ok(ports)
}

fn places(dir: &Path, ports: &BTreeMap<PortCode, Port>) -> Result<Vec<Place>, ImportError> {
    let columns = ["place", "name_zh", "name_en", "ports", "weight"];
    let mut places: Vec<Place> = Vec::new();
    for line in Sheet::read(dir, "places.csv", &columns, &["aliases"])?.lines {
        let aliases = line.optional("aliases").into_iter().flat_map(|text| text.split('|'));
        let place = Place {
            code: line.parse("place")?,
            names: names(&line)?,
            aliases: aliases.map(|alias| alias.trim().to_owned()).collect(),
            ports: line.parse_list("ports")?,
            hot_weight: line.parse("weight")?,
        };
        if let Some(unknown) = place.ports.iter().find(|port| !ports.contains_key(*port)) {
            return Err(line.error("ports", format!("{unknown} is not in ports.csv")));
        }
        if places.iter().any(|earlier| earlier.code == place.code) {
            return Err(line.error("place", "is there twice"));
        }
        places.push(place);
    }
    Ok(places)
}

/// Lines of one vehicle are blocks of its seat map: so many rows of one class, with the letters of their seats from
/// left to right and `_` for an aisle.
fn vehicles(dir: &Path) -> Result<BTreeMap<VehicleCode, (Line, Vehicle)>, ImportError> {
    let columns = ["vehicle", "name", "class", "class_name", "first_row", "rows", "columns"];
    let mut vehicles: BTreeMap<VehicleCode, (Line, Vehicle)> = BTreeMap::new();
    for line in Sheet::read(dir, "vehicles.csv", &columns, &["marks"])?.lines {
        let code: VehicleCode = line.parse("vehicle")?;
        let mut vehicle = match vehicles.remove(&code) {
            Some((_, vehicle)) => vehicle,
            None => Vehicle {
                code: code.clone(),
                name: line.text("name")?.to_owned(),
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

fn add_block(line: &Line, map: &mut SeatMap) -> Result<(), ImportError> {
    let class = SeatClass { code: line.parse("class")?, name: line.text("class_name")?.to_owned() };
    let class_index = if let Some(index) = map.class(&class.code) {
        index
    } else {
        map.classes.push(class);
        u8::try_from(map.classes.len() - 1).map_err(|_| line.error("class", "has too many before it"))?
    };
    let first_row: u16 = line.parse("first_row")?;
    let rows: u16 = line.parse("rows")?;
    let letters = line.text("columns")?;
    let after_before = map.seats.last().is_none_or(|last| last.row < first_row);
    if first_row == 0 || !after_before {
        return Err(line.error("first_row", "is not after the rows before"));
    }
    let last_row = first_row.checked_add(rows).ok_or_else(|| line.error("rows", "are too many"))?;
    if letters.len() > 32 || !letters.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_') {
        return Err(line.error("columns", "are not capital letters and _ for an aisle"));
    }
    if map.seats.len() + usize::from(rows) * letters.len() > SEATS_MAX {
        return Err(line.error("rows", format!("make more than {SEATS_MAX} seats")));
    }
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

fn holidays(dir: &Path) -> Result<Vec<Holiday>, ImportError> {
    let mut holidays = Vec::new();
    let mut dates = BTreeSet::new();
    for line in Sheet::if_there(dir, "holidays.csv", &["date", "name", "verified"], &[])?.lines {
        let verified = match line.text("verified")? {
            "yes" => true,
            "no" => false,
            _ => return Err(line.error("verified", "is not yes or no")),
        };
        let holiday = Holiday { date: line.parse("date")?, name: line.text("name")?.to_owned(), verified };
        if !dates.insert(holiday.date) {
            return Err(line.error("date", "is there twice"));
        }
        holidays.push(holiday);
    }
    Ok(holidays)
}

pub fn names(line: &Line) -> Result<Names, ImportError> {
    Ok(Names::new(line.text("name_zh")?, line.text("name_en")?))
}

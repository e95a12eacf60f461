//! A timetable as a directory of CSV files (`config/demo/README.md` describes them): operators, ports, places,
//! vehicles, holidays, routes, departures, headways and fares; rules of sale, who redeems, packages and promotions are
//! one JSON file.
//!
//! What is malformed is an error that names file, line and column. What is sound but not for us (another sales channel,
//! an operator without a route) is [`Skipped`] and listed. Reading the same directory again gives the same commands, and
//! those change nothing in a catalogue that has them.

mod configuration;
mod fares;
mod network;
mod routes;
mod sheet;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use anyhow::bail;
use deeptravel_domain::catalogue::{Calendar, Catalogue, Change, Command, Route, Zone};
use deeptravel_domain::fare::DateRange;
use deeptravel_domain::money::Currency;
use deeptravel_domain::register::Change::Put;

use sheet::Line;

/// A line that was understood and left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    pub file: &'static str,
    /// From 1, the header included.
    pub line: u64,
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// What a directory holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Timetable {
    /// The currency of all prices: the catalogue must have the same.
    pub sale_currency: Currency,
    /// In an order in which nothing names what comes later.
    pub commands: Vec<Command>,
    pub skipped: Vec<Skipped>,
}

/// An import under way: what holds for all files, and what was left out so far.
struct Import<'a> {
    dir: &'a Path,
    /// The service dates of all schedules.
    period: DateRange,
    time_zone: Zone,
    sale_currency: Currency,
    skipped: Vec<Skipped>,
}

impl Import<'_> {
    fn skip(&mut self, line: &Line, why: impl Into<String>) {
        self.skipped.push(Skipped { file: line.file, line: line.number, why: why.into() });
    }
}

/// As whom the audit knows us.
const AUTHOR: &str = "import";

fn put(content: impl Into<Change>) -> Command {
    Command::new(content, AUTHOR)
}

impl Timetable {
    /// Years of which a catalogue has holidays and the timetable names none: they have none any more.
    pub fn forgotten_years(&self, catalogue: &Catalogue) -> Vec<Command> {
        let named: BTreeSet<i16> = self.commands.iter().filter_map(|command| year(&command.change)).collect();
        let calendars = catalogue.registers().calendars.iter().filter(|calendar| !named.contains(&calendar.year));
        calendars.map(|calendar| put(Calendar { year: calendar.year, holidays: Vec::new() })).collect()
    }
}

/// The year whose holidays are put.
fn year(change: &Change) -> Option<i16> {
    if let Change::Calendar(Put(calendar)) = change { Some(calendar.year) } else { None }
}

/// Reads a directory.
pub fn read(dir: &Path) -> anyhow::Result<Timetable> {
    let mut import = begin(dir)?;
    let network = network::read(dir)?;
    let routes = routes::read(&mut import, &network)?;
    let fares = fares::read(&mut import, &network, &routes)?;

    let in_use: Vec<&Route> = routes.values().map(|listed| &listed.route).collect();
    let mut configured = configuration::read(dir)?;
    let mut commands = network.into_commands(&in_use, &mut import);
    commands.extend(configured.rules());
    commands.extend(routes::into_commands(routes));
    commands.extend(fares);
    commands.extend(configured.rest());
    let mut skipped = import.skipped;
    skipped.sort_by_key(|left_out| (left_out.file, left_out.line));
    Ok(Timetable { sale_currency: import.sale_currency, commands, skipped })
}

/// Reads `timetable.csv`.
fn begin(dir: &Path) -> anyhow::Result<Import<'_>> {
    let columns = ["first_date", "last_date", "time_zone", "sale_currency"];
    let lines = sheet::lines(dir, "timetable.csv", &columns, &[])?;
    let [line] = &lines[..] else { bail!("timetable.csv: has exactly one line below the header") };
    let period = DateRange::new(line.parse("first_date")?, line.parse("last_date")?)
        .ok_or_else(|| line.error("last_date", "is before the first"))?;
    let time_zone = Zone::named(line.text("time_zone")?).map_err(|unknown| line.error("time_zone", unknown))?;
    Ok(Import { dir, period, time_zone, sale_currency: line.parse("sale_currency")?, skipped: Vec::new() })
}

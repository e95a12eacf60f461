//! Fares: published per operator, group of routes, class, band and passenger type, in the currency of publication;
//! here they become the tables of single routes in the sale currency.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use deeptravel_domain::catalogue::{Command, Route};
use deeptravel_domain::departure::Stretch;
use deeptravel_domain::fare::{DateRange, DayType, Fare, FareTable, MINUTES_PER_DAY, PartyTier, TimeBand};
use deeptravel_domain::ids::{OperatorCode, PortCode, RouteCode, SeatClassCode};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::party::PassengerType;
use jiff::civil::Date;

use super::network::Network;
use super::routes::{Listed, Routes};
use super::sheet::{Line, lines_if_any};
use super::{Import, put};

/// In `bands.csv`: a band of every operator.
const ANY_OPERATOR: &str = "*";
/// The only sales channel we stand for.
const OWN_CHANNEL: &str = "operator";
/// Digits after the point of a rate.
const RATE_DECIMALS_MAX: u32 = 6;

/// When a fare of a band applies. A band with seasons has one of these per season and year.
#[derive(Clone, Copy)]
struct Band {
    day_type: DayType,
    dates: Option<DateRange>,
    times: Option<TimeBand>,
    assumed: bool,
}

/// `numerator / denominator` units of the sale currency for one.
#[derive(Clone, Copy)]
struct Rate {
    numerator: u32,
    denominator: u32,
}

/// Of each route.
type Fares = BTreeMap<RouteCode, Vec<Fare>>;

/// What the lines of fares are read with.
struct Tables<'a> {
    network: &'a Network,
    routes: &'a Routes,
    sale_currency: Currency,
    groups: BTreeMap<(OperatorCode, String), Vec<RouteCode>>,
    bands: BTreeMap<(String, String), Vec<Band>>,
    passenger_types: BTreeMap<(OperatorCode, String), Vec<PassengerType>>,
    rates: BTreeMap<Currency, Rate>,
}

pub fn read(import: &mut Import, network: &Network, routes: &Routes) -> anyhow::Result<Vec<Command>> {
    let tables = Tables {
        network,
        routes,
        sale_currency: import.sale_currency,
        groups: groups(import, routes)?,
        bands: bands(import)?,
        passenger_types: passenger_types(import)?,
        rates: rates(import)?,
    };
    let columns = ["operator", "group", "class", "band", "passenger_type", "currency", "amount_minor"];
    let optional = ["channel", "from_stop", "to_stop"];
    let mut fares = Fares::new();
    for (file, is_assumed) in [("fares.csv", false), ("fares_assumed.csv", true)] {
        for line in lines_if_any(import.dir, file, &columns, &optional)? {
            tables.add_fares(&line, is_assumed, &mut fares, import)?;
        }
    }

    let mut party_tiers = party_tiers(import, routes)?;
    let mut commands = Vec::new();
    for (code, Listed { line, seat_lock_minutes, blackout, .. }) in routes {
        let Some(fares) = fares.remove(code) else {
            import.skip(line, format!("route {code} has no fares and cannot be bought"));
            continue;
        };
        let table = FareTable::new(code.clone(), fares, party_tiers.remove(code).unwrap_or_default());
        let seat_lock_minutes = seat_lock_minutes.unwrap_or(table.seat_lock_minutes);
        commands.push(put(FareTable { seat_lock_minutes, blackout: blackout.clone(), ..table }));
    }
    Ok(commands)
}

/// The routes of an operator.
fn routes_of<'a>(routes: &'a Routes, operator: &OperatorCode) -> impl Iterator<Item = &'a Route> {
    routes.values().map(|listed| &listed.route).filter(move |route| route.operator == *operator)
}

impl Tables<'_> {
    /// Adds the fares of one line to all routes of its group, or says why it is left out.
    fn add_fares(&self, line: &Line, is_assumed: bool, fares: &mut Fares, import: &mut Import) -> anyhow::Result<()> {
        let operator: OperatorCode = line.parse("operator")?;
        if routes_of(self.routes, &operator).next().is_none() {
            import.skip(line, format!("operator {operator} has no route"));
            return Ok(());
        }
        if let Some(channel) = line.optional("channel").filter(|channel| *channel != OWN_CHANNEL) {
            import.skip(line, format!("is sold through channel {channel}, not by the operator"));
            return Ok(());
        }
        let published_type = line.text("passenger_type")?;
        let passenger_types = self.passenger_types(&operator, published_type);
        if passenger_types.is_empty() {
            import.skip(line, format!("passenger type {published_type} is not adult, child or senior"));
            return Ok(());
        }
        let source_price: Money = Money::new(line.parse("amount_minor")?, line.parse("currency")?);
        let price = self.in_sale_currency(line, source_price)?;
        let seat_class: SeatClassCode = line.parse("class")?;
        let bands = self.bands(line, &operator)?;
        for route in self.group(line, &operator)? {
            let vehicle = self.network.vehicle(&route.vehicle);
            if vehicle.is_none_or(|vehicle| vehicle.seat_map.class(&seat_class).is_none()) {
                let message = format_args!("vehicle {} of {} has no such class", route.vehicle, route.code);
                bail!(line.error("class", message));
            }
            let stretch = stretch(line, route)?;
            let table = fares.entry(route.code.clone()).or_default();
            for passenger_type in passenger_types.iter().copied() {
                table.extend(bands.iter().map(|band| Fare {
                    passenger_type,
                    seat_class: Some(seat_class.clone()),
                    stretch,
                    day_type: band.day_type,
                    dates: band.dates,
                    season: None,
                    times: band.times,
                    price,
                    source_price: (source_price.currency != self.sale_currency).then_some(source_price),
                    assumed: is_assumed || band.assumed,
                }));
            }
        }
        Ok(())
    }

    /// Which of our types a published one is; ours need no line in `passenger_types.csv`.
    fn passenger_types(&self, operator: &OperatorCode, published: &str) -> Vec<PassengerType> {
        let mapped = self.passenger_types.get(&(operator.clone(), published.to_owned()));
        mapped.cloned().unwrap_or_else(|| published.parse().into_iter().collect())
    }

    /// Rounded half up to the minor unit.
    fn in_sale_currency(&self, line: &Line, amount: Money) -> anyhow::Result<Money> {
        if amount.currency == self.sale_currency {
            return Ok(amount);
        }
        let rate = self.rates.get(&amount.currency);
        let rate = rate.ok_or_else(|| line.error("currency", "has no rate in rates.csv"))?;
        let converted = amount.fraction(rate.numerator, rate.denominator);
        let converted = converted.map_err(|error| line.error("amount_minor", error))?;
        Ok(Money::new(converted.minor, self.sale_currency))
    }

    fn bands(&self, line: &Line, operator: &OperatorCode) -> anyhow::Result<&[Band]> {
        let band = line.text("band")?;
        let of = |operator: &str| self.bands.get(&(operator.to_owned(), band.to_owned()));
        let found = of(operator.as_str()).or_else(|| of(ANY_OPERATOR));
        let missing = || line.error("band", format_args!("{band} of {operator} is not in bands.csv"));
        found.map(Vec::as_slice).ok_or_else(missing)
    }

    /// The routes of a group. A route's own code is a group of one.
    fn group(&self, line: &Line, operator: &OperatorCode) -> anyhow::Result<Vec<&Route>> {
        let group = line.text("group")?;
        let routes: Vec<&Route> = match self.groups.get(&(operator.clone(), group.to_owned())) {
            Some(codes) => codes.iter().filter_map(|code| self.routes.get(code)).map(|listed| &listed.route).collect(),
            None => routes_of(self.routes, operator).filter(|route| route.code.as_str() == group).collect(),
        };
        if routes.is_empty() {
            bail!(line.error("group", format_args!("{group} of {operator} is not in route_groups.csv")));
        }
        Ok(routes)
    }
}

/// From and to which stop a fare holds: both ports or none.
fn stretch(line: &Line, route: &Route) -> anyhow::Result<Option<Stretch>> {
    let stop = |column: &str| -> anyhow::Result<Option<u8>> {
        let Some(port) = line.parse_optional::<PortCode>(column)? else { return Ok(None) };
        let index = route.stops.iter().position(|stop| stop.port == port);
        let index = index.ok_or_else(|| line.error(column, format_args!("{} does not stop at {port}", route.code)))?;
        Ok(Some(index as u8))
    };
    match (stop("from_stop")?, stop("to_stop")?) {
        (None, None) => Ok(None),
        (Some(board), Some(alight)) => {
            let stretch = route.stretch(board, alight);
            stretch.map(Some).ok_or_else(|| line.error("to_stop", "is not after from_stop"))
        }
        _ => bail!(line.error("to_stop", "from_stop and to_stop come together")),
    }
}

fn groups(import: &Import, routes: &Routes) -> anyhow::Result<BTreeMap<(OperatorCode, String), Vec<RouteCode>>> {
    let mut groups: BTreeMap<_, Vec<RouteCode>> = BTreeMap::new();
    for line in lines_if_any(import.dir, "route_groups.csv", &["operator", "group", "route"], &[])? {
        let operator: OperatorCode = line.parse("operator")?;
        let route: RouteCode = line.parse("route")?;
        if routes.get(&route).is_none_or(|listed| listed.route.operator != operator) {
            bail!(line.error("route", format_args!("{route} is not a route of {operator}")));
        }
        groups.entry((operator, line.text("group")?.to_owned())).or_default().push(route);
    }
    Ok(groups)
}

fn passenger_types(import: &Import) -> anyhow::Result<BTreeMap<(OperatorCode, String), Vec<PassengerType>>> {
    let mut types: BTreeMap<_, Vec<PassengerType>> = BTreeMap::new();
    let columns = ["operator", "published", "passenger_type"];
    for line in lines_if_any(import.dir, "passenger_types.csv", &columns, &[])? {
        let key = (line.parse("operator")?, line.text("published")?.to_owned());
        types.entry(key).or_default().push(line.parse("passenger_type")?);
    }
    Ok(types)
}

fn bands(import: &Import) -> anyhow::Result<BTreeMap<(String, String), Vec<Band>>> {
    let columns = ["operator", "band", "day_type"];
    let optional = ["from", "until", "season_from", "season_to", "marks"];
    let mut bands: BTreeMap<_, Vec<Band>> = BTreeMap::new();
    for line in lines_if_any(import.dir, "bands.csv", &columns, &optional)? {
        let key = (line.text("operator")?.to_owned(), line.text("band")?.to_owned());
        let assumed = line.parse_list::<String>("marks")?.iter().any(|mark| mark == "assumed");
        let band = Band { day_type: line.parse("day_type")?, dates: None, times: times(&line)?, assumed };
        let list = bands.entry(key).or_default();
        if line.optional("season_from").is_none() && line.optional("season_to").is_none() {
            list.push(band);
        } else {
            list.extend(seasons(&line, import.period)?.into_iter().map(|dates| Band { dates: Some(dates), ..band }));
        }
    }
    Ok(bands)
}

/// The times of a band, until but without the last minute; `24:00` is midnight. A band without times has all.
fn times(line: &Line) -> anyhow::Result<Option<TimeBand>> {
    if line.optional("from").is_none() && line.optional("until").is_none() {
        return Ok(None);
    }
    let (from, until) = (line.time("from")?, line.time("until")?);
    let until = if until == MINUTES_PER_DAY { 0 } else { until };
    TimeBand::new(from, until).map(Some).ok_or_else(|| line.error("until", "is not another minute of a day"))
}

/// A season of every year (`MM-DD` to `MM-DD`, both included, over New Year if need be) within the period.
fn seasons(line: &Line, period: DateRange) -> anyhow::Result<Vec<DateRange>> {
    let day = |column: &str, year: i16| -> anyhow::Result<Date> {
        let text = line.text(column)?;
        let date = format!("{year:04}-{text}").parse();
        date.map_err(|_| line.error(column, format_args!("{text:?} is not a day as MM-DD")))
    };
    let mut seasons = Vec::new();
    for year in period.from.year() - 1..=period.to.year() {
        let (from, to) = (day("season_from", year)?, day("season_to", year)?);
        let to = if to < from { day("season_to", year + 1)? } else { to };
        seasons.extend(DateRange::new(from.max(period.from), to.min(period.to)));
    }
    Ok(seasons)
}

fn rates(import: &Import) -> anyhow::Result<BTreeMap<Currency, Rate>> {
    let mut rates = BTreeMap::new();
    for line in lines_if_any(import.dir, "rates.csv", &["currency", "sale_currency", "rate", "date"], &[])? {
        if line.parse::<Currency>("sale_currency")? != import.sale_currency {
            continue;
        }
        line.parse::<Date>("date")?;
        let text = line.text("rate")?;
        let rate = rate(text).ok_or_else(|| line.error("rate", format_args!("{text:?} is not a rate as 0.9150")))?;
        let earlier = rates.insert(line.parse("currency")?, rate);
        ensure!(earlier.is_none(), line.error("currency", "is there twice"));
    }
    Ok(rates)
}

/// A decimal number as an exact fraction.
fn rate(text: &str) -> Option<Rate> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = !whole.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let places = u32::try_from(decimals.len()).ok().filter(|places| *places <= RATE_DECIMALS_MAX)?;
    let numerator: u32 = format!("{whole}{decimals}").parse().ok()?;
    (all_digits && numerator > 0).then_some(Rate { numerator, denominator: 10_u32.pow(places) })
}

fn party_tiers(import: &Import, routes: &Routes) -> anyhow::Result<BTreeMap<RouteCode, Vec<PartyTier>>> {
    let mut tiers: BTreeMap<RouteCode, Vec<PartyTier>> = BTreeMap::new();
    for line in lines_if_any(import.dir, "party_tiers.csv", &["route", "min_party", "discount_percent"], &[])? {
        let route: RouteCode = line.parse("route")?;
        ensure!(routes.contains_key(&route), line.error("route", "is not in routes.csv"));
        let tier = PartyTier { min_party: line.parse("min_party")?, discount_percent: line.parse("discount_percent")? };
        tiers.entry(route).or_default().push(tier);
    }
    Ok(tiers)
}

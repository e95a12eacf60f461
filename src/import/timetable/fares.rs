//! Fares: published per operator, group of routes, class, band and passenger type, in the currency of publication;
//! here they become the tables of single routes in the sale currency.

use std::collections::BTreeMap;
use std::path::Path;

use deeptravel_domain::catalogue::{Command, Route};
use deeptravel_domain::departure::Stretch;
use deeptravel_domain::fare::{DateRange, DayType, Fare, FareTable, MINUTES_PER_DAY, PartyTier, TimeBand};
use deeptravel_domain::ids::{OperatorCode, PortCode, RouteCode, SeatClassCode};
use deeptravel_domain::money::{Currency, Money};
use deeptravel_domain::party::PassengerType;
use jiff::civil::Date;

use super::network::Network;
use super::routes::{Routes, Terms};
use super::sheet::{ImportError, Line, Sheet};
use super::{Settings, SkipList, put};

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

pub fn read(
    dir: &Path,
    settings: &Settings,
    network: &Network,
    routes: &Routes,
    skipped: &mut SkipList,
) -> Result<Vec<Command>, ImportError> {
    let tables = Tables {
        network,
        routes,
        sale_currency: settings.sale_currency,
        groups: groups(dir, routes)?,
        bands: bands(dir, settings)?,
        passenger_types: passenger_types(dir)?,
        rates: rates(dir, settings)?,
    };
    let columns = ["operator", "group", "class", "band", "passenger_type", "currency", "amount_minor"];
    let optional = ["channel", "from_stop", "to_stop"];
    let published = Sheet::if_there(dir, "fares.csv", &columns, &optional)?;
    let assumed = Sheet::if_there(dir, "fares_assumed.csv", &columns, &optional)?;
    let mut fares: BTreeMap<RouteCode, Vec<Fare>> = BTreeMap::new();
    for (sheet, is_assumed) in [(published, false), (assumed, true)] {
        for line in &sheet.lines {
            tables.add_fares(line, is_assumed, &mut fares, skipped)?;
        }
    }

    let mut party_tiers = party_tiers(dir, routes)?;
    let mut commands = Vec::new();
    for route in routes.iter() {
        match fares.remove(&route.code) {
            Some(fares) => {
                let party_tiers = party_tiers.remove(&route.code).unwrap_or_default();
                let Terms { seat_lock_minutes, blackout } = routes.terms(&route.code);
                let table = FareTable::new(route.code.clone(), fares, party_tiers);
                let seat_lock_minutes = seat_lock_minutes.unwrap_or(table.seat_lock_minutes);
                commands.push(put(FareTable { seat_lock_minutes, blackout, ..table }));
            }
            None => {
                if let Some(line) = routes.line(&route.code) {
                    skipped.add(line, format!("route {} has no fares and cannot be bought", route.code));
                }
            }
        }
    }
    Ok(commands)
}

impl Tables<'_> {
    /// Adds the fares of one line to all routes of its group, or says why it is left out.
    fn add_fares(
        &self,
        line: &Line,
        is_assumed: bool,
        fares: &mut BTreeMap<RouteCode, Vec<Fare>>,
        skipped: &mut SkipList,
    ) -> Result<(), ImportError> {
        let operator: OperatorCode = line.parse("operator")?;
        if self.routes.of_operator(&operator).next().is_none() {
            skipped.add(line, format!("operator {operator} has no route"));
            return Ok(());
        }
        if let Some(channel) = line.optional("channel").filter(|channel| *channel != OWN_CHANNEL) {
            skipped.add(line, format!("is sold through channel {channel}, not by the operator"));
            return Ok(());
        }
        let published_type = line.text("passenger_type")?;
        let passenger_types = self.passenger_types(&operator, published_type);
        if passenger_types.is_empty() {
            skipped.add(line, format!("passenger type {published_type} is not adult, child or senior"));
            return Ok(());
        }
        let source_price: Money = Money::new(line.parse("amount_minor")?, line.parse("currency")?);
        let price = self.in_sale_currency(line, source_price)?;
        let seat_class: SeatClassCode = line.parse("class")?;
        let bands = self.bands(line, &operator)?;
        for route in self.group(line, &operator)? {
            let vehicle = self.network.vehicle(&route.vehicle);
            if vehicle.is_none_or(|vehicle| vehicle.seat_map.class(&seat_class).is_none()) {
                return Err(
                    line.error("class", format!("vehicle {} of {} has no such class", route.vehicle, route.code))
                );
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
    fn in_sale_currency(&self, line: &Line, amount: Money) -> Result<Money, ImportError> {
        if amount.currency == self.sale_currency {
            return Ok(amount);
        }
        let rate = self.rates.get(&amount.currency);
        let rate = rate.ok_or_else(|| line.error("currency", "has no rate in rates.csv"))?;
        let converted = amount.fraction(rate.numerator, rate.denominator);
        let converted = converted.map_err(|error| line.error("amount_minor", error.to_string()))?;
        Ok(Money::new(converted.minor, self.sale_currency))
    }

    fn bands(&self, line: &Line, operator: &OperatorCode) -> Result<&[Band], ImportError> {
        let band = line.text("band")?;
        let of = |operator: &str| self.bands.get(&(operator.to_owned(), band.to_owned()));
        let found = of(operator.as_str()).or_else(|| of(ANY_OPERATOR));
        found.map(Vec::as_slice).ok_or_else(|| line.error("band", format!("{band} of {operator} is not in bands.csv")))
    }

    /// The routes of a group. A route's own code is a group of one.
    fn group(&self, line: &Line, operator: &OperatorCode) -> Result<Vec<&Route>, ImportError> {
        let group = line.text("group")?;
        let routes: Vec<&Route> = match self.groups.get(&(operator.clone(), group.to_owned())) {
            Some(codes) => codes.iter().filter_map(|code| self.routes.get(code)).collect(),
            None => self.routes.of_operator(operator).filter(|route| route.code.as_str() == group).collect(),
        };
        if routes.is_empty() {
            return Err(line.error("group", format!("{group} of {operator} is not in route_groups.csv")));
        }
        Ok(routes)
    }
}

/// From and to which stop a fare holds: both ports or none.
fn stretch(line: &Line, route: &Route) -> Result<Option<Stretch>, ImportError> {
    let stop = |column: &'static str| -> Result<Option<u8>, ImportError> {
        let Some(port) = line.parse_optional::<PortCode>(column)? else { return Ok(None) };
        let index = route.stops.iter().position(|stop| stop.port == port);
        let index = index.ok_or_else(|| line.error(column, format!("{} does not stop at {port}", route.code)))?;
        Ok(Some(index as u8))
    };
    match (stop("from_stop")?, stop("to_stop")?) {
        (None, None) => Ok(None),
        (Some(board), Some(alight)) => match route.stretch(board, alight) {
            Some(stretch) => Ok(Some(stretch)),
            None => Err(line.error("to_stop", "is not after from_stop")),
        },
        _ => Err(line.error("to_stop", "from_stop and to_stop come together")),
    }
}

fn groups(dir: &Path, routes: &Routes) -> Result<BTreeMap<(OperatorCode, String), Vec<RouteCode>>, ImportError> {
    let mut groups: BTreeMap<_, Vec<RouteCode>> = BTreeMap::new();
    for line in Sheet::if_there(dir, "route_groups.csv", &["operator", "group", "route"], &[])?.lines {
        let operator: OperatorCode = line.parse("operator")?;
        let route: RouteCode = line.parse("route")?;
        if routes.get(&route).is_none_or(|route| route.operator != operator) {
            return Err(line.error("route", format!("{route} is not a route of {operator}")));
        }
        groups.entry((operator, line.text("group")?.to_owned())).or_default().push(route);
    }
    Ok(groups)
}

fn passenger_types(dir: &Path) -> Result<BTreeMap<(OperatorCode, String), Vec<PassengerType>>, ImportError> {
    let mut types: BTreeMap<_, Vec<PassengerType>> = BTreeMap::new();
    let columns = ["operator", "published", "passenger_type"];
    for line in Sheet::if_there(dir, "passenger_types.csv", &columns, &[])?.lines {
        let key = (line.parse("operator")?, line.text("published")?.to_owned());
        types.entry(key).or_default().push(line.parse("passenger_type")?);
    }
    Ok(types)
}

fn bands(dir: &Path, settings: &Settings) -> Result<BTreeMap<(String, String), Vec<Band>>, ImportError> {
    let columns = ["operator", "band", "day_type"];
    let optional = ["from", "until", "season_from", "season_to", "marks"];
    let mut bands: BTreeMap<_, Vec<Band>> = BTreeMap::new();
    for line in Sheet::if_there(dir, "bands.csv", &columns, &optional)?.lines {
        let key = (line.text("operator")?.to_owned(), line.text("band")?.to_owned());
        let assumed = line.parse_list::<String>("marks")?.iter().any(|mark| mark == "assumed");
        let band = Band { day_type: line.parse("day_type")?, dates: None, times: times(&line)?, assumed };
        let list = bands.entry(key).or_default();
        if line.optional("season_from").is_none() && line.optional("season_to").is_none() {
            list.push(band);
        } else {
            list.extend(seasons(&line, settings.period)?.into_iter().map(|dates| Band { dates: Some(dates), ..band }));
        }
    }
    Ok(bands)
}

/// The times of a band, until but without the last minute; `24:00` is midnight. A band without times has all.
fn times(line: &Line) -> Result<Option<TimeBand>, ImportError> {
    if line.optional("from").is_none() && line.optional("until").is_none() {
        return Ok(None);
    }
    let (from, until) = (line.time("from")?, line.time("until")?);
    let until = if until == MINUTES_PER_DAY { 0 } else { until };
    TimeBand::new(from, until).map(Some).ok_or_else(|| line.error("until", "is not another minute of a day"))
}

/// A season of every year (`MM-DD` to `MM-DD`, both included, over New Year if need be) within the period.
fn seasons(line: &Line, period: DateRange) -> Result<Vec<DateRange>, ImportError> {
    let day = |column: &'static str, year: i16| -> Result<Date, ImportError> {
        let text = line.text(column)?;
        let date = format!("{year:04}-{text}").parse();
        date.map_err(|_| line.error(column, format!("{text:?} is not a day as MM-DD")))
    };
    let mut seasons = Vec::new();
    for year in period.from.year() - 1..=period.to.year() {
        let (from, to) = (day("season_from", year)?, day("season_to", year)?);
        let to = if to < from { day("season_to", year + 1)? } else { to };
        seasons.extend(DateRange::new(from.max(period.from), to.min(period.to)));
    }
    Ok(seasons)
}

fn rates(dir: &Path, settings: &Settings) -> Result<BTreeMap<Currency, Rate>, ImportError> {
    let mut rates = BTreeMap::new();
    for line in Sheet::if_there(dir, "rates.csv", &["currency", "sale_currency", "rate", "date"], &[])?.lines {
        if line.parse::<Currency>("sale_currency")? != settings.sale_currency {
            continue;
        }
        line.parse::<Date>("date")?;
        let text = line.text("rate")?;
        let rate = rate(text).ok_or_else(|| line.error("rate", format!("{text:?} is not a rate as 0.9150")))?;
        if rates.insert(line.parse("currency")?, rate).is_some() {
            return Err(line.error("currency", "is there twice"));
        }
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

fn party_tiers(dir: &Path, routes: &Routes) -> Result<BTreeMap<RouteCode, Vec<PartyTier>>, ImportError> {
    let mut tiers: BTreeMap<RouteCode, Vec<PartyTier>> = BTreeMap::new();
    for line in Sheet::if_there(dir, "party_tiers.csv", &["route", "min_party", "discount_percent"], &[])?.lines {
        let route: RouteCode = line.parse("route")?;
        if routes.get(&route).is_none() {
            return Err(line.error("route", "is not in routes.csv"));
        }
        let tier = PartyTier { min_party: line.parse("min_party")?, discount_percent: line.parse("discount_percent")? };
        tiers.entry(route).or_default().push(tier);
    }
    Ok(tiers)
}

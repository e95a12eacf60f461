//! What is sold: operators, ports, places, vehicles, holidays, routes, timetables, fares, and what single departures have other
//! than their timetable (R-ADMIN-03, R-ADMIN-04); under which rules, what takes something off its price, and who redeems it
//! (R-ADMIN-05). Each is an [`Entity`](crate::register::Entity) with a file of its own; the list of them is below.
//!
//! One owner keeps the [`Catalogue`] and shares it as an `Arc` snapshot: searches and orders read the snapshot they
//! have and are never blocked; a write clones the maps it touches, which hold `Arc`s, and publishes the new snapshot.
//! Departures, once born, own what they took from here ([`crate::departure`]). The import of files and the pages of the
//! history are their callers' business.

mod calendar;
mod checks;
mod departure_override;
mod device;
mod fares;
mod index;
mod location;
mod merchant;
mod operator;
#[cfg(test)]
mod override_tests;
mod partner;
mod partner_allotments;
#[cfg(test)]
mod partner_tests;
mod place;
mod port;
mod promotion;
mod quoted;
#[cfg(test)]
mod random_tests;
mod redeeming;
#[cfg(test)]
mod redeeming_tests;
mod refund_rules;
#[cfg(test)]
mod register_tests;
mod route;
mod search;
mod sought;
mod template;
#[cfg(test)]
mod tests;
mod timetable;
mod vehicle;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::fare::FareTable;
use crate::ids::{DepartureId, RouteCode};
use crate::machine::{Machine, Room};
use crate::money::Currency;
use crate::promotion::Promotion;
use crate::refund_rule::RefundRule;
use crate::register;
use crate::register::{Entry, Standing, registers};
use crate::rejection::Rejection;
use crate::row::{Damage, Rows};
use crate::time::Timestamp;

pub use crate::fare::SEAT_LOCK_MINUTES_DEFAULT;
pub use crate::names::Names;
pub use crate::zone::{UnknownZone, Zone};
pub use calendar::{Calendar, Holiday, HolidayRow};
pub use departure_override::{ALLOTMENTS_MAX, DepartureOverride, DepartureOverrideRow, Fitting};
pub use device::{Device, DeviceRow};
pub use fares::RouteFaresRow;
pub use index::Edition;
pub use location::{Location, LocationRow};
pub use merchant::{Merchant, MerchantRow};
pub use operator::{Operator, OperatorRow};
pub use partner::{Partner, PartnerRow};
pub use partner_allotments::{PartnerAllotments, PartnerAllotmentsRow, ProductAllotment, SetAside};
pub use place::{Place, PlaceRow};
pub use port::{Port, PortRow};
pub use promotion::PromotionRow;
pub use refund_rules::{RefundRuleRow, RulesByChannel};
pub use route::{Mode, Route, RouteRow, RouteStatus, SALES_WINDOW_DAYS_DEFAULT, Stop};
pub use search::{Trip, Unsellable, departure_id};
pub use sought::Sought;
pub use template::{
    IncludedJourney, PackageLine, PackageQuote, SOLD_AHEAD_DAYS_MAX, SpokenTemplate, StockLimits, Template,
    TemplateEntitlementRow, TemplateRow, TemplateStatus, TemplateTierRow, Tier, UnitPrice, Version, unit_prices,
};
pub(crate) use template::{check_day, tier_for};
pub use timetable::{EXCEPTIONS_MAX, Exception, Keeps, Schedule, ScheduleRow, Timetable, Weekdays};
pub use vehicle::{Vehicle, VehicleRow};

/// The key of the catalogue's owner, and its name in the audit.
pub const OWNER: &str = "catalogue";

registers! {
    Catalogue, OWNER;
    operators: Operator,
    ports: Port,
    places: Place,
    vehicles: Vehicle,
    calendars: Calendar,
    routes: Route,
    timetables: Timetable,
    fares: FareTable,
    refund_rules: RefundRule,
    merchants: Merchant,
    locations: Location,
    devices: Device,
    templates: Template,
    promotions: Promotion,
    overrides: DepartureOverride,
    partners: Partner,
    partner_allotments: PartnerAllotments,
}

pub type Command = register::Command<Change>;
pub type Event = register::Event<Written>;

/// Where a fact comes from when it is not simply published: `assumed`, `own_making`, `observed_one_day`, … Shown to
/// administrators; no rule depends on a mark.
pub type Marks = BTreeSet<String>;

/// Everything that is sold. `Clone` costs a dozen reference counts.
#[derive(Clone, PartialEq, Debug)]
pub struct Catalogue {
    sale_currency: Currency,
    registers: Registers,
    /// What searches need, derived from the registers.
    index: index::Index,
}

impl Catalogue {
    /// An empty catalogue. All prices in it are in `sale_currency` (R-PRICE-02).
    pub fn new(sale_currency: Currency) -> Catalogue {
        Catalogue { sale_currency, registers: Registers::default(), index: index::Index::default() }
    }

    /// From the newest image of every row, in any order.
    pub fn from_rows(sale_currency: Currency, rows: &Rows) -> Result<Catalogue, Damage> {
        let registers = Registers::read(rows)?;
        let index = index::Index::of(&registers, timetable::withdrawn(rows)?, template::Versions::read(rows)?);
        Ok(Catalogue { sale_currency, registers, index })
    }

    /// Everything, without its history.
    pub fn all_rows(&self, version: u64) -> Rows {
        let mut rows = Rows::default();
        self.registers.put_all(self, version, &mut rows);
        let withdrawn = self.index.all_withdrawn();
        withdrawn.for_each(|schedule| timetable::put_schedule(schedule, true, version, &mut rows));
        rows
    }

    pub fn sale_currency(&self) -> Currency {
        self.sale_currency
    }

    /// What is configured, kind by kind.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// What whoever told the command learns.
    pub fn answer(&self, command: &Command, events: &[Event]) -> Result<Standing, Rejection> {
        match events.iter().find_map(|event| event.outcome.as_ref().err()) {
            Some(refused) => Err(refused.clone()),
            None => Ok(self.registers.standing(&command.change, self, !events.is_empty())),
        }
    }

    /// Why it would refuse a command now: for whoever tells others of it before.
    pub fn would_refuse(&self, command: &Command, now: Timestamp) -> Option<Rejection> {
        self.registers.decide(command, self, now)?.outcome.err()
    }

    pub fn operator(&self, code: &str) -> Option<&Arc<Operator>> {
        self.registers.operators.get(code)
    }

    pub fn port(&self, code: &str) -> Option<&Arc<Port>> {
        self.registers.ports.get(code)
    }

    pub fn merchant(&self, id: &str) -> Option<&Arc<Merchant>> {
        self.registers.merchants.get(id)
    }

    pub fn location(&self, id: &str) -> Option<&Arc<Location>> {
        self.registers.locations.get(id)
    }

    pub fn vehicle(&self, code: &str) -> Option<&Arc<Vehicle>> {
        self.registers.vehicles.get(code)
    }

    pub fn route(&self, code: &str) -> Option<&Arc<Route>> {
        self.registers.routes.get(code)
    }

    /// By code; drafts too.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.registers.routes.iter()
    }

    /// A schedule on offer.
    pub fn schedule(&self, id: &str) -> Option<&Arc<Schedule>> {
        self.index.schedule(id)
    }

    /// A schedule that was once on offer and is no more.
    pub fn withdrawn(&self, id: &str) -> Option<&Arc<Schedule>> {
        self.index.withdrawn(id)
    }

    /// The schedules on offer of a route, by departure time and id.
    pub fn schedules_of(&self, route: &RouteCode) -> &[Arc<Schedule>] {
        self.index.schedules_of(route)
    }

    /// The fares in force; of a code without a [`Catalogue::route`] too (R-ADMIN-03).
    pub fn fares(&self, route: &RouteCode) -> Option<&Arc<Entry<FareTable>>> {
        self.registers.fares.entry(route)
    }

    /// What a departure has other than its timetable. Costs nothing while no departure has anything.
    pub fn override_of(&self, departure: &DepartureId) -> Option<&Arc<DepartureOverride>> {
        self.registers.overrides.get(departure)
    }

    pub fn is_holiday(&self, date: Date) -> bool {
        let calendar = self.registers.calendars.get(&date.year());
        calendar.is_some_and(|calendar| calendar.holidays.iter().any(|holiday| holiday.date == date))
    }

    /// The holidays that are known from a day on.
    pub fn holidays_since(&self, date: Date) -> impl Iterator<Item = Date> {
        let calendars = self.registers.calendars.iter();
        let days = calendars.flat_map(|calendar| calendar.holidays.iter().map(|holiday| holiday.date));
        days.filter(move |day| *day >= date)
    }
}

impl Machine for Catalogue {
    type Command = Command;
    type Event = Event;

    /// A vehicle or a route's fares may be large, and a clone costs a dozen reference counts.
    const ROOM: Room = Room::Exact;

    /// A refusal is an event too: it leaves an audit entry.
    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        Ok(self.registers.decide(command, self, now).into_iter().collect())
    }

    fn apply(&mut self, events: &[Event], version: u64) -> Rows {
        for written in events.iter().filter_map(|event| event.outcome.as_ref().ok()) {
            self.registers.evolve(written);
            self.index.follow(written, &self.registers);
        }
        self.changed_rows(events, version)
    }
}

impl Catalogue {
    fn changed_rows(&self, events: &[Event], version: u64) -> Rows {
        let mut rows = Rows::default();
        for Event { outcome, audit } in events {
            if let Ok(written) = outcome {
                Registers::put_rows(written, self, version, &mut rows);
            }
            audit.put_row(OWNER, outcome.as_ref().err(), version, &mut rows);
        }
        rows
    }
}

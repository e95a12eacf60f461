//! What the catalogue is made of. Plain values: the checks are in [`super::checks`], the questions in
//! [`super::search`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::{Date, Weekday};

use super::zone::Zone;
use crate::departure::{SeatMap, Stretch};
use crate::ids::{OperatorCode, PlaceCode, PortCode, RouteCode, ScheduleId, VehicleCode, codes};

/// Seats of an unpaid order are kept this long unless the route says otherwise (R-HOLD-01).
pub const SEAT_LOCK_MINUTES_DEFAULT: u16 = 10;
/// How many days ahead a route is sold unless it says otherwise.
pub const SALES_WINDOW_DAYS_DEFAULT: u16 = 30;

/// A name in the two languages every name has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names {
    pub zh: String,
    pub en: String,
}

impl Names {
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Names {
        Names { zh: zh.into(), en: en.into() }
    }
}

/// Where a fact comes from when it is not simply published: `assumed`, `own_making`, `observed_one_day`, … Shown to
/// administrators; no rule depends on a mark.
pub type Marks = BTreeSet<String>;

/// A company that runs departures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    pub code: OperatorCode,
    pub names: Names,
}

/// A terminal or border crossing where departures stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    pub code: PortCode,
    pub names: Names,
}

/// A city or district in which travellers search. One port may belong to several places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub code: PlaceCode,
    pub names: Names,
    /// Other spellings, such as the simplified characters of a traditional name.
    pub aliases: Vec<String>,
    pub ports: Vec<PortCode>,
    /// Places with more weight stand first among the hot cities; 0 is not hot.
    pub hot_weight: u32,
}

impl Place {
    /// What a traveller may type for it, in lower case.
    pub fn spellings(&self) -> impl Iterator<Item = String> {
        let names = [self.code.as_str(), &self.names.zh, &self.names.en];
        names.into_iter().chain(self.aliases.iter().map(String::as_str)).map(|name| name.trim().to_lowercase())
    }
}

/// A kind of vehicle or vessel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vehicle {
    pub code: VehicleCode,
    pub name: String,
    pub seat_map: Arc<SeatMap>,
    pub marks: Marks,
}

/// A public holiday, on which weekend fares apply.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Holiday {
    pub date: Date,
    pub name: String,
    /// `false`: still to be checked against the government's list.
    pub verified: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Mode {
    Coach,
    Ferry,
}

codes!(Mode, "mode": Coach = "coach", Ferry = "ferry");

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RouteStatus {
    Draft,
    OnSale,
}

codes!(RouteStatus, "route status": Draft = "draft", OnSale = "on_sale");

/// A stop of a route: minutes that have passed since the departure from the first stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    pub port: PortCode,
    pub arrives_minutes: u16,
    pub departs_minutes: u16,
}

/// A route: where it goes and how it is sold. Its schedules and fares are kept beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    pub code: RouteCode,
    pub operator: OperatorCode,
    pub mode: Mode,
    pub names: Names,
    /// In which its schedules' times and all its dates are to be read.
    pub time_zone: Zone,
    pub stops: Vec<Stop>,
    pub vehicle: VehicleCode,
    /// 1–60 (R-HOLD-01).
    pub seat_lock_minutes: u16,
    /// Booking closes this long before the departure from the boarding stop.
    pub booking_closes_minutes: u16,
    /// Sold from so many days before the day of travel; 0 sells for today only.
    pub sales_window_days: u16,
    /// Local dates of boarding that are not sold (禁售日).
    pub blackout: BTreeSet<Date>,
    pub status: RouteStatus,
    pub marks: Marks,
}

impl Route {
    /// The stretch, if the route has both stops in that order.
    pub fn stretch(&self, board: u8, alight: u8) -> Option<Stretch> {
        Stretch::new(board, alight).filter(|stretch| usize::from(stretch.alight) < self.stops.len())
    }

    /// The whole way, first stop to last.
    pub fn whole(&self) -> Stretch {
        Stretch { board: 0, alight: self.stops.len().saturating_sub(1).max(1) as u8 }
    }
}

/// The weekdays on which a schedule runs: bit 0 is Monday, bit 6 Sunday.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Weekdays(u8);

impl Weekdays {
    pub const DAILY: Weekdays = Weekdays(0x7F);

    /// `None` when no weekday, or something beyond Sunday, is set.
    pub const fn from_bits(bits: u8) -> Option<Weekdays> {
        if bits == 0 || bits > 0x7F { None } else { Some(Weekdays(bits)) }
    }

    pub const fn bits(self) -> u8 {
        self.0
    }

    pub fn has(self, weekday: Weekday) -> bool {
        self.0 >> weekday.to_monday_zero_offset() & 1 == 1
    }
}

/// When a route departs: a local time on the days of a range that a weekday pattern and single exceptions pick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    pub id: ScheduleId,
    pub route: RouteCode,
    /// Minutes from the midnight with which the service date begins; from 1440 on the departure is on a later calendar
    /// day (24:15 is 00:15 of the next).
    pub departs_minutes: u16,
    pub weekdays: Weekdays,
    pub first_date: Date,
    /// Included.
    pub last_date: Date,
    /// Runs (`true`) or does not run (`false`) on that service date, whatever range and weekday say.
    pub exceptions: BTreeMap<Date, bool>,
}

impl Schedule {
    /// Whether there is a departure on this service date.
    pub fn runs_on(&self, service_date: Date) -> bool {
        match self.exceptions.get(&service_date) {
            Some(runs) => *runs,
            None => {
                self.first_date <= service_date
                    && service_date <= self.last_date
                    && self.weekdays.has(service_date.weekday())
            }
        }
    }
}

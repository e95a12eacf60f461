//! What searches and orders ask of templates: the price of a party (R-PRICE-01), whether a service date is sold, and what an
//! order keeps.

use std::sync::Arc;

use jiff::civil::{Date, date};

use super::{SOLD_AHEAD_DAYS_MAX, Template, Tier};
use crate::catalogue::{Catalogue, Place};
use crate::fare::DayType;
use crate::money::{Money, MoneyError};
use crate::package::{self, Bound, EntitlementTerms, PackageTerms};
use crate::party::{Party, PassengerType};
use crate::register::Entry;
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;
use crate::zone::{Zone, plus_days};

/// All passengers of one type: `unit × count = total`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackageLine {
    pub passenger_type: PassengerType,
    /// Units: passengers, times how often each buys it.
    pub count: u16,
    pub unit: Money,
    pub total: Money,
    /// Why it costs that: the tier that applied.
    pub tier: Tier,
    /// Its place in the template's version, from 0.
    pub index: u16,
}

/// The price of a package for a party.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PackageQuote {
    /// Of the template.
    pub version: u32,
    /// One per passenger type of the party: adults, children, seniors.
    pub lines: Vec<PackageLine>,
    pub total: Money,
}

/// What a unit costs somebody on his own, on a kind of day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnitPrice {
    pub passenger_type: PassengerType,
    /// `Any` where all days cost the same.
    pub day_type: DayType,
    pub price: Money,
}

/// Days of the two kinds, whichever year it is: a Monday and a Saturday.
const WEEKDAY: Date = date(2026, 1, 5);
const WEEKEND: Date = date(2026, 1, 3);

impl Catalogue {
    /// A package that is sold. Errors: `TEMPLATE_NOT_FOUND`.
    pub fn package(&self, id: &str) -> Result<&Arc<Entry<Template>>, Rejection> {
        self.template(id).filter(|entry| entry.is_on_sale()).ok_or(Rejection::TemplateNotFound)
    }

    /// The package that partners know by this number. Errors: `TEMPLATE_NOT_FOUND`.
    pub fn package_of_product(&self, product: u32) -> Result<&Arc<Entry<Template>>, Rejection> {
        self.packages().find(|entry| entry.product == Some(product)).ok_or(Rejection::TemplateNotFound)
    }

    /// What is sold, by id.
    pub fn packages(&self) -> impl Iterator<Item = &Arc<Entry<Template>>> {
        self.registers.templates.entries().filter(|entry| entry.is_on_sale())
    }

    /// What is sold where somebody travels from one place to another, by id.
    pub fn packages_between(&self, from: &Place, to: &Place) -> impl Iterator<Item = &Arc<Entry<Template>>> {
        self.packages().filter(|entry| {
            entry.places.is_empty() || entry.places.iter().any(|place| *place == from.code || *place == to.code)
        })
    }

    /// Whether a package is sold now for a service date, which it may or may not need. Errors: `TEMPLATE_NOT_FOUND` when
    /// something that it gives has ended, field rejections of `field`, `BLACKOUT`.
    pub fn check_service_date(
        &self,
        template: &Template,
        date: Option<Date>,
        field: &str,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let until = template.sold_until();
        if until.is_some_and(|until| until <= now) {
            return Err(Rejection::TemplateNotFound);
        }
        let Some(date) = date else {
            return ensure(!template.needs_service_date(), field, "is missing: the package is sold for a day");
        };
        check_day(&template.entitlements, &template.zone(), date, field, now)?;
        if template.blackout.contains(&date) { Err(Rejection::Blackout) } else { Ok(()) }
    }

    /// The price of a package for a party, each of whom buys it so often. Errors: field rejections of `passengers` when a
    /// type has no tier, of `serviceDate` when its tiers ask for one and it is missing.
    pub fn package_quote(
        &self,
        entry: &Entry<Template>,
        party: Party,
        quantity: u16,
        service_date: Option<Date>,
    ) -> Result<PackageQuote, Rejection> {
        let day = service_date.map(|date| (date, self.is_holiday(date)));
        let mut lines = Vec::with_capacity(PassengerType::ALL.len());
        let mut total = Money::new(0, self.sale_currency());
        for passenger_type in PassengerType::ALL {
            let passengers = party.count(passenger_type);
            if passengers == 0 {
                continue;
            }
            let tier = tier_for(&entry.tiers, passenger_type, party.size(), day);
            let (index, tier) = tier.ok_or_else(|| no_tier(entry, passenger_type, day.is_none()))?;
            let line = line(index, tier, passengers, quantity).map_err(unpayable)?;
            total = total.plus(line.total).map_err(unpayable)?;
            lines.push(line);
        }
        Ok(PackageQuote { version: entry.revision, lines, total })
    }
}

/// Whether what gives these entitlements can be had for a day: not of the past, at most [`SOLD_AHEAD_DAYS_MAX`] ahead, and
/// before anything of it has ended. Errors: field rejections of `field`.
pub(crate) fn check_day(
    entitlements: &[EntitlementTerms],
    zone: &Zone,
    date: Date,
    field: &str,
    now: Timestamp,
) -> Result<(), Rejection> {
    let today = zone.local(now).date();
    ensure(date >= today, field, "is in the past")?;
    let last = plus_days(today, i32::from(SOLD_AHEAD_DAYS_MAX)).unwrap_or(Date::MAX);
    ensure(date <= last, field, format_args!("is sold up to {last} so far"))?;
    let until = package::sold_until(entitlements, zone);
    let ends_before = until.is_some_and(|until| until <= Bound::Day(date).begins(zone));
    ensure(!ends_before, field, "is after something that the package gives has ended")
}

/// The tier of a passenger in a party of this size, with its place: of those for parties that are no bigger, on such a
/// day, the one for the biggest party; one that names the kind of day before one that does not.
pub(crate) fn tier_for(
    tiers: &[Tier],
    passenger_type: PassengerType,
    party_size: u16,
    day: Option<(Date, bool)>,
) -> Option<(usize, Tier)> {
    let fits = |tier: &Tier| {
        let on_such_a_day = match day {
            Some((date, is_holiday)) => tier.day_type.covers(date, is_holiday),
            None => tier.day_type == DayType::Any,
        };
        tier.passenger_type == passenger_type && tier.min_party <= party_size && on_such_a_day
    };
    let tiers = tiers.iter().copied().enumerate().filter(|(_, tier)| fits(tier));
    tiers.max_by_key(|(_, tier)| (tier.min_party, tier.day_type != DayType::Any))
}

/// What a unit costs somebody on his own, by type of passenger and kind of day: the tiers that an order of one has.
pub fn unit_prices(tiers: &[Tier]) -> Vec<UnitPrice> {
    let price = |passenger_type, day| tier_for(tiers, passenger_type, 1, day).map(|(_, tier)| tier.price);
    let of_type = |passenger_type: PassengerType| {
        let on = |day_type, day| {
            let price = price(passenger_type, Some((day, false)))?;
            Some(UnitPrice { passenger_type, day_type, price })
        };
        let weekday = on(DayType::Weekday, WEEKDAY);
        let weekend = on(DayType::WeekendOrHoliday, WEEKEND);
        match (weekday, weekend) {
            (Some(one), Some(other)) if one.price == other.price => {
                vec![UnitPrice { day_type: DayType::Any, ..one }]
            }
            (one, other) => one.into_iter().chain(other).collect(),
        }
    };
    PassengerType::ALL.into_iter().flat_map(of_type).collect()
}

impl Entry<Template> {
    /// What an order keeps of it.
    pub fn terms(&self, service_date: Option<Date>, quantity: u16) -> PackageTerms {
        let template = &*self.content;
        PackageTerms {
            template: template.id.clone(),
            version: self.revision,
            product: template.product,
            names: template.names.clone(),
            zone: template.zone(),
            service_date,
            quantity,
            entitlements: template.entitlements.clone(),
        }
    }
}

fn line(index: usize, tier: Tier, passengers: u16, quantity: u16) -> Result<PackageLine, MoneyError> {
    let count = passengers.checked_mul(quantity).ok_or(MoneyError::Overflow)?;
    Ok(PackageLine {
        passenger_type: tier.passenger_type,
        count,
        unit: tier.price,
        total: tier.price.times(u32::from(count))?,
        tier,
        index: index as u16,
    })
}

fn no_tier(template: &Template, passenger_type: PassengerType, is_dateless: bool) -> Rejection {
    let is_sold_to = template.tiers.iter().any(|tier| tier.passenger_type == passenger_type);
    if is_dateless && is_sold_to && template.needs_service_date() {
        return Rejection::field("serviceDate", "is missing: the price depends on the day");
    }
    Rejection::field("passengers", format!("the package has no price for {passenger_type} in such a party on that day"))
}

fn unpayable(error: MoneyError) -> Rejection {
    Rejection::field("passengers", format!("the price cannot be computed: {error}"))
}

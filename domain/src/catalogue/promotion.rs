//! Promotions as they are configured (R-ADMIN-05). Every revision has a row of its own, for ever: orders name the one that
//! they were made with. How often one is used its stock knows.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use jiff::civil::Date;

use super::checks::known;
use super::{Catalogue, Command, Names, StockLimits, checks};
use crate::ids::{PromotionCode, RouteCode, TemplateId};
use crate::package::Bound;
use crate::party::{PARTY_MAX, PassengerType};
use crate::promotion::{self, Applied, Basket, DiscountKind, InForce, Promotion, SalesChannel};
use crate::register::{Change, Entity, Entry, Written};
use crate::rejection::{Rejection, Uses, ensure};
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table};
use crate::stock::{LIMIT_MAX, Limits, StockId};
use crate::time::Timestamp;

/// Most routes or packages that a promotion names.
const NAMED_MAX: usize = 100;
/// Most that it takes off, in minor units: as much as a seat may cost.
const AMOUNT_MAX: u32 = 100_000_000;

row! {
    pub struct PromotionRow<'a>: 52 "promotions", First::Unknown;
    1 promotion_code [Key]: PromotionCode,
    2 revision [Key]: u32,
    3 version: u64,
    4 effective_from: Timestamp,
    5 name_zh: &'a str,
    6 name_en: &'a str,
    7 automatic: bool,
    8 kind: DiscountKind,
    /// Percent, or minor units.
    9 value: u32,
    10 min_party: Option<u16>,
    /// Empty lists name all.
    11 passenger_types: List<'a, PassengerType>,
    12 route_codes: List<'a, RouteCode>,
    13 template_ids: List<'a, TemplateId>,
    14 channels: List<'a, SalesChannel>,
    /// A day or an instant, as the next.
    15 valid_from: Bound,
    16 valid_until: Bound,
    17 travel_from: Option<Date>,
    18 travel_until: Option<Date>,
    19 limit_total: Option<u32>,
    20 limit_per_traveller: Option<u32>,
}

impl Entity for Promotion {
    type Id = PromotionCode;
    type World = Catalogue;

    const NAME: &'static str = "promotion";
    const TABLE: &'static Table = PromotionRow::TABLE;

    fn id(&self) -> &PromotionCode {
        &self.code
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        checks::names("name", &self.names)?;
        let (least, most) = match self.kind {
            DiscountKind::Percent => (1, 100),
            DiscountKind::Amount => (1, AMOUNT_MAX),
        };
        ensure((least..=most).contains(&self.value), "value", format_args!("is not between {least} and {most}"))?;
        let fits = self.min_party.is_none_or(|least| (1..=PARTY_MAX).contains(&least));
        ensure(fits, "minParty", format_args!("is not between 1 and {PARTY_MAX}"))?;
        each_once("passengerTypes", &self.passenger_types)?;
        each_once("channels", &self.channels)?;
        each_once("routeCodes", &self.route_codes)?;
        each_once("templateIds", &self.template_ids)?;
        for (index, route) in self.route_codes.iter().enumerate() {
            known(catalogue.route(route.as_str()), format!("routeCodes[{index}]"), route)?;
        }
        for (index, template) in self.template_ids.iter().enumerate() {
            known(catalogue.template(template.as_str()), format!("templateIds[{index}]"), template)?;
        }
        let (from, until) = self.validity();
        ensure(from < until, "validUntil", "is before validFrom")?;
        let travel = self.travel_from.zip(self.travel_until);
        ensure(travel.is_none_or(|(first, last)| first <= last), "travelUntil", "is before travelFrom")?;
        for (field, limit) in [("limitTotal", self.limit_total), ("limitPerTraveller", self.limit_per_traveller)] {
            let fits = limit.is_none_or(|limit| (1..=LIMIT_MAX).contains(&limit));
            ensure(fits, field, format_args!("is not between 1 and {LIMIT_MAX}"))?;
        }
        Ok(())
    }

    /// Orders name a revision, and revisions stay.
    fn used_by(_: &PromotionCode, _: &Catalogue) -> Option<String> {
        None
    }

    fn put_rows(written: &Written<Promotion>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Entry { content, revision, since, .. } = &*written.after;
        rows.put(&PromotionRow {
            promotion_code: content.code.clone(),
            revision: *revision,
            version,
            effective_from: *since,
            name_zh: &content.names.zh,
            name_en: &content.names.en,
            automatic: content.automatic,
            kind: content.kind,
            value: content.value,
            min_party: content.min_party,
            passenger_types: List::Of(&content.passenger_types),
            route_codes: List::Of(&content.route_codes),
            template_ids: List::Of(&content.template_ids),
            channels: List::Of(&content.channels),
            valid_from: content.valid_from,
            valid_until: content.valid_until,
            travel_from: content.travel_from,
            travel_until: content.travel_until,
            limit_total: content.limit_total,
            limit_per_traveller: content.limit_per_traveller,
        });
    }

    fn read_rows(rows: &Rows, _: &[PromotionCode]) -> Result<Vec<Entry<Promotion>>, Damage> {
        let mut newest: BTreeMap<PromotionCode, PromotionRow<'_>> = BTreeMap::new();
        for row in rows.of() {
            let row: PromotionRow<'_> = row?;
            if newest.get(&row.promotion_code).is_none_or(|newer| newer.revision < row.revision) {
                newest.insert(row.promotion_code.clone(), row);
            }
        }
        Ok(newest.into_values().map(entry).collect())
    }
}

fn entry(row: PromotionRow<'_>) -> Entry<Promotion> {
    let promotion = Promotion {
        code: row.promotion_code,
        names: Names::new(row.name_zh, row.name_en),
        automatic: row.automatic,
        kind: row.kind,
        value: row.value,
        min_party: row.min_party,
        passenger_types: row.passenger_types.to_vec(),
        route_codes: row.route_codes.to_vec(),
        template_ids: row.template_ids.to_vec(),
        channels: row.channels.to_vec(),
        valid_from: row.valid_from,
        valid_until: row.valid_until,
        travel_from: row.travel_from,
        travel_until: row.travel_until,
        limit_total: row.limit_total,
        limit_per_traveller: row.limit_per_traveller,
    };
    Entry { revision: row.revision, since: row.effective_from, ..Entry::uncounted(promotion) }
}

fn each_once<T: PartialEq + Display>(field: &str, list: &[T]) -> Result<(), Rejection> {
    ensure(list.len() <= NAMED_MAX, field, format_args!("has more than {NAMED_MAX}"))?;
    let twice = list.iter().enumerate().find(|(place, one)| list.iter().take(*place).any(|other| other == *one));
    twice.map_or(Ok(()), |(_, one)| Err(Rejection::field(field.to_owned(), format!("has {one} twice"))))
}

/// Which promotion names the route.
pub fn that_is_for(route: &RouteCode, catalogue: &Catalogue) -> Option<String> {
    let mut promotions = catalogue.registers().promotions.iter();
    promotions.find(|one| one.route_codes.contains(route)).map(|one| format!("promotion {}", one.code))
}

impl Catalogue {
    /// A promotion in force, valid today or not. Errors: `PROMOTION_NOT_FOUND`.
    pub fn promotion(&self, code: &str) -> Result<&Arc<Entry<Promotion>>, Rejection> {
        let entry = self.registers.promotions.entry(code).filter(|entry| !entry.withdrawn);
        entry.ok_or(Rejection::PromotionNotFound)
    }

    /// What the stock of something is to hold before this write of it can be made. `None`: it says nothing of a stock, is already
    /// so, or is refused.
    pub fn limits_of(&self, command: &Command, now: Timestamp) -> Option<(StockId, Limits)> {
        let limits = command.change.limits()?;
        let event = self.registers.decide(command, self, now)?;
        event.outcome.is_ok().then_some(limits)
    }

    /// The promotions that apply to what is to be sold: see [`promotion::apply`].
    pub fn promote(
        &self,
        basket: &Basket<'_>,
        code: Option<&PromotionCode>,
        used_up: impl Fn(&Promotion) -> Option<Uses>,
    ) -> Result<Vec<Applied>, Rejection> {
        let named = code.map(PromotionCode::as_str);
        let named = named.map(|code| (code, self.promotion(code).ok().map(|entry| &**entry)));
        promotion::apply(basket, self.index.automatic.iter().map(|automatic| &automatic.entry), named, used_up)
    }

    /// The promotions with which searches quote. `has_run_out`: nobody can have it any more.
    pub fn in_force(&self, has_run_out: impl Fn(&Promotion) -> bool, now: Timestamp) -> InForce {
        InForce::of(&self.index.automatic, has_run_out, now)
    }
}

impl super::Change {
    /// What the stock of its entity is to hold. `None`: it says nothing of a stock.
    pub fn limits(&self) -> Option<(StockId, Limits)> {
        match self {
            super::Change::Promotion(Change::Put(promotion) | Change::Restore { content: Some(promotion), .. }) => {
                Some((StockId::Promotion(promotion.code.clone()), promotion.limits()))
            }
            super::Change::Template(Change::Put(template) | Change::Restore { content: Some(template), .. }) => {
                // A draft limits nothing that is sold.
                let StockLimits { total, per_date } = template.stock;
                let limits = Limits { total, per_date, per_holder: None };
                template.is_on_sale().then(|| (StockId::Package(template.id.clone()), limits))
            }
            // Neither is ever edited in part.
            super::Change::Promotion(
                Change::Edit(..) | Change::Restore { content: None, .. } | Change::Withdraw(_),
            )
            | super::Change::Template(Change::Edit(..) | Change::Restore { content: None, .. } | Change::Withdraw(_))
            | super::Change::Operator(_)
            | super::Change::Port(_)
            | super::Change::Place(_)
            | super::Change::Vehicle(_)
            | super::Change::Calendar(_)
            | super::Change::Route(_)
            | super::Change::Timetable(_)
            | super::Change::FareTable(_)
            | super::Change::RefundRule(_)
            | super::Change::Merchant(_)
            | super::Change::Location(_)
            | super::Change::Device(_)
            | super::Change::DepartureOverride(_)
            | super::Change::Partner(_)
            | super::Change::PartnerAllotments(_) => None,
        }
    }
}

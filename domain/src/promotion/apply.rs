//! Which promotions apply to what is bought, and what they take off each line of the price.

use std::sync::Arc;

use jiff::civil::Date;

use super::{DiscountKind, Promotion, SalesChannel};
use crate::departure::Channel;
use crate::ids::{PromotionCode, RouteCode, TemplateId};
use crate::money::{Money, MoneyError};
use crate::party::PassengerType;
use crate::register::Entry;
use crate::rejection::{Rejection, Uses};
use crate::time::Timestamp;

/// The field of a request that has a code.
const FIELD: &str = "promotionCode";

/// What is to be sold, priced.
#[derive(Clone, Copy, Debug)]
pub struct Basket<'a> {
    pub lines: &'a [Line<'a>],
    /// Of the whole party.
    pub party_size: u16,
    pub channel: &'a Channel,
    pub now: Timestamp,
}

impl Basket<'_> {
    /// What can be taken off each line.
    pub(super) fn left(&self) -> Vec<i64> {
        self.lines.iter().map(|line| line.total.minor.max(0)).collect()
    }
}

/// A line of the price: passengers of one type, with one thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    pub bought: Bought<'a>,
    pub passenger: PassengerType,
    /// Where it is boarded or visited. `None`: it is of no day.
    pub date: Option<Date>,
    /// After tiers.
    pub total: Money,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bought<'a> {
    Journey(&'a RouteCode),
    Package(&'a TemplateId),
}

/// A promotion that applies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    pub code: PromotionCode,
    pub revision: u32,
    /// The order claims a use of it.
    pub is_limited: bool,
    /// What it takes off, above zero: the sum of `shares`.
    pub discount_minor: i64,
    /// What it takes off each line, in their order.
    pub shares: Vec<i64>,
}

impl Applied {
    /// Why the price is lower, made of code and revision.
    pub fn explanation(&self) -> String {
        format!("promotion {}, revision {}", self.code, self.revision)
    }
}

/// The best automatic promotion of which uses are left, then the one whose code was given. `used_up` says which uses of a
/// promotion have run out. Errors: a field rejection for a code that is not known or does not fit, `PROMOTION_EXHAUSTED` for
/// one that has run out.
pub fn apply<'p>(
    basket: &Basket<'_>,
    promotions: impl Iterator<Item = &'p Arc<Entry<Promotion>>>,
    code: Option<(&str, Option<&Entry<Promotion>>)>,
    used_up: impl Fn(&Promotion) -> Option<Uses>,
) -> Result<Vec<Applied>, Rejection> {
    let mut left = basket.left();
    let mut applied = Vec::new();
    let automatic = promotions.filter(|promotion| promotion.automatic && used_up(promotion).is_none());
    if let Some(best) = best(basket, &left, automatic) {
        take_off(&mut left, &best.shares);
        applied.push(best);
    }
    if let Some((text, named)) = code {
        let unfit = |why: &str| Rejection::field(FIELD, format!("{text} {why}"));
        let named = named.ok_or_else(|| unfit("is not known"))?;
        if named.automatic {
            return Err(unfit("applies by itself"));
        }
        let found = discount(basket, &left, named).map_err(unfit)?;
        if let Some(of) = used_up(named) {
            return Err(Rejection::PromotionExhausted { promotion: named.code.clone(), of });
        }
        applied.push(found);
    }
    Ok(applied)
}

/// The one that takes most off what is `left` of each line; of equal ones the first.
pub(super) fn best<'p>(
    basket: &Basket<'_>,
    left: &[i64],
    promotions: impl Iterator<Item = &'p Arc<Entry<Promotion>>>,
) -> Option<Applied> {
    let mut best: Option<Applied> = None;
    for promotion in promotions {
        let Ok(found) = discount(basket, left, promotion) else { continue };
        if best.as_ref().is_none_or(|best| best.discount_minor < found.discount_minor) {
            best = Some(found);
        }
    }
    best
}

/// What a promotion takes off what is `left` of each line. The error says why it is nothing.
fn discount(basket: &Basket<'_>, left: &[i64], promotion: &Entry<Promotion>) -> Result<Applied, &'static str> {
    fits(basket, promotion)?;
    let weights: Vec<i64> =
        basket.lines.iter().zip(left).map(|(line, left)| if takes_off(promotion, line) { *left } else { 0 }).collect();
    let discount_minor = amount(basket, promotion, &weights).map_err(|_| "cannot be computed")?;
    if discount_minor == 0 {
        return Err("takes nothing off this order");
    }
    Ok(Applied {
        code: promotion.code.clone(),
        revision: promotion.revision,
        is_limited: promotion.is_limited(),
        discount_minor,
        shares: split(discount_minor, &weights),
    })
}

/// Whether it is for such an order at all.
fn fits(basket: &Basket<'_>, promotion: &Promotion) -> Result<(), &'static str> {
    let (from, until) = promotion.validity();
    let checks = [
        (basket.now >= from, "is not valid yet"),
        (basket.now < until, "is not valid any more"),
        (is_among(&promotion.channels, &SalesChannel::from(basket.channel)), "is not for this channel"),
        (promotion.min_party.is_none_or(|least| basket.party_size >= least), "is for a bigger party"),
    ];
    checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(why))
}

/// Whether it is for what a line sells.
fn takes_off(promotion: &Promotion, line: &Line<'_>) -> bool {
    let Promotion { route_codes, template_ids, travel_from, travel_until, .. } = promotion;
    let of_everything = route_codes.is_empty() && template_ids.is_empty();
    let of_this = match line.bought {
        Bought::Journey(route) => route_codes.contains(route),
        Bought::Package(template) => template_ids.contains(template),
    };
    let on_the_day = match line.date {
        Some(date) => travel_from.is_none_or(|first| first <= date) && travel_until.is_none_or(|last| date <= last),
        None => travel_from.is_none() && travel_until.is_none(),
    };
    (of_everything || of_this) && on_the_day && is_among(&promotion.passenger_types, &line.passenger)
}

/// An empty list names all.
fn is_among<T: PartialEq>(list: &[T], one: &T) -> bool {
    list.is_empty() || list.contains(one)
}

/// What it takes off lines of these amounts together: rounded half up, once, and no more than there is.
fn amount(basket: &Basket<'_>, promotion: &Promotion, weights: &[i64]) -> Result<i64, MoneyError> {
    let Some(first) = basket.lines.first() else { return Ok(0) };
    let none = Money::new(0, first.total.currency);
    let base = weights.iter().try_fold(none, |sum, weight| sum.plus(Money { minor: *weight, ..none }))?;
    let wanted = match promotion.kind {
        DiscountKind::Percent => base.fraction(promotion.value, 100)?.minor,
        DiscountKind::Amount => i64::from(promotion.value),
    };
    Ok(wanted.min(base.minor))
}

/// Parts of an amount by weight, which add up to it to the cent: what rounding down leaves goes to the largest remainders,
/// of equal ones to the first. No part is larger than its weight, as the amount is no larger than all of them.
fn split(amount: i64, weights: &[i64]) -> Vec<i64> {
    let whole: i128 = weights.iter().copied().map(i128::from).sum();
    let product = |weight: &i64| i128::from(amount) * i128::from(*weight);
    let whole = whole.max(1);
    let mut parts: Vec<i64> = weights.iter().map(|weight| (product(weight) / whole) as i64).collect();
    let missing = amount - parts.iter().sum::<i64>();
    let mut places: Vec<usize> = (0..weights.len()).collect();
    places.sort_by_key(|place| weights.get(*place).map(|weight| -(product(weight) % whole)));
    for place in places.into_iter().take(usize::try_from(missing).unwrap_or(0)) {
        if let Some(part) = parts.get_mut(place) {
            *part += 1;
        }
    }
    parts
}

fn take_off(left: &mut [i64], shares: &[i64]) {
    for (left, share) in left.iter_mut().zip(shares) {
        *left -= share;
    }
}

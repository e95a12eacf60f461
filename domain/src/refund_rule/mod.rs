//! Rules for refunds and changes (R-AFTER-01, R-AFTER-03, R-AFTER-05): what comes back of a ticket's price until when, and
//! how often and until when it is changed for another. The catalogue keeps them; a route says which one it is sold under, and
//! an order remembers that. Here is what a rule says and how it is read out; what it makes of an order is not here yet.

mod spoken;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

use crate::fare::PRICE_MINOR_MAX;
use crate::ids::{RouteCode, RuleCode, codes};
use crate::money::{Currency, Money};
use crate::names::Names;
use crate::rejection::{Rejection, ensure};
use crate::row::part;

pub use spoken::Rule as SpokenRule;
pub use words::summary;

/// Most windows of a rule: real ones have four.
const WINDOWS_MAX: usize = 16;
/// Furthest from the instant that a limit counts from: two years, as far as anything is sold ahead.
const MINUTES_MAX: u32 = 731 * 24 * 60;
/// Most days after the sale.
const DAYS_MAX: u16 = 731;
/// Most changes of a ticket that a rule grants by number.
const CHANGES_MAX: u16 = 100;
/// Most routes to which a ticket is changed.
const ROUTES_MAX: usize = 100;

/// What is before and after.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Anchor {
    /// From the stop where the party boards.
    #[default]
    Departure,
    /// The beginning of the day of the visit.
    Visit,
    Sale,
}

codes!(Anchor, "anchor": Departure = "departure", Visit = "visit", Sale = "sale");

/// What comes back of a ticket that was used in part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AfterFirstUse {
    #[default]
    None,
    /// Of the price as much as is unused.
    ByShare,
}

codes!(AfterFirstUse, "share": None = "none", ByShare = "by_share");

/// The end of a window, itself included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Minutes before the anchor.
    Before(u32),
    /// Minutes after the sale, whatever the anchor.
    AfterSale(u32),
}

/// What comes back as long as it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefundWindow {
    pub until: Until,
    /// 0–100, of the price.
    pub percent: u8,
    /// Kept of what comes back.
    pub fee: Option<Money>,
}

part!(RefundWindow {
    1 before as "until_minutes_before" (|window| window.until.before()): Option<u32>,
    2 after_sale as "until_minutes_after_sale" (|window| window.until.after_sale()): Option<u32>,
    3 percent: u8,
    4 fee: Option<Money>,
} => Until::of(before, after_sale).map(|until| RefundWindow { until, percent, fee }));

/// For how long something comes back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Terms {
    /// The first that holds. None holds: nothing comes back.
    Windows(Vec<RefundWindow>),
    /// All of it, for so many days.
    DaysAfterSale(u16),
}

/// To what a ticket is changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChangeScope {
    SameRoute,
    Routes(Vec<RouteCode>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeRule {
    /// How often. `None`: as often as one likes.
    pub max: Option<u16>,
    /// Until so many minutes before the departure; negative: after it.
    pub until_minutes_before: i32,
    /// For each change of a ticket.
    pub fee: Option<Money>,
    /// A lower price is paid back. A higher one is always paid.
    pub refund_difference: bool,
    /// To another departure of the same day only.
    pub same_day: bool,
    pub scope: ChangeScope,
}

part!(ChangeRule {
    1 max: Option<u16>,
    2 minutes as "until_minutes_before" (|change| i64::from(change.until_minutes_before)): i64,
    3 fee: Option<Money>,
    4 refund_difference: bool,
    5 same_day: bool,
    // None: the same route.
    6 routes (|change| change.scope.routes().to_vec()): Vec<RouteCode>,
} => i32::try_from(minutes).ok().map(|until_minutes_before| {
    let scope = ChangeScope::of(routes);
    ChangeRule { max, until_minutes_before, fee, refund_difference, same_day, scope }
}));

/// A rule as it is put, one revision.
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "spoken::Rule", try_from = "spoken::Rule")]
pub struct RefundRule {
    pub id: RuleCode,
    pub names: Names,
    pub terms: Terms,
    pub anchor: Anchor,
    /// All tickets of an order go back together, and a fee is kept once. Else each by itself.
    pub per_order: bool,
    /// The last window holds after the departure, too.
    pub after_departure: bool,
    pub after_first_use: AfterFirstUse,
    /// Also of a ticket that was changed.
    pub after_change: bool,
    /// There and back go back together.
    pub pairs_together: bool,
    /// `None`: tickets are not changed.
    pub change: Option<ChangeRule>,
}

/// A rule as it was at a sale.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleRevision {
    pub rule: RuleCode,
    pub revision: u32,
}

part!(RuleRevision { 1 rule: RuleCode, 2 revision: u32 } => Some(RuleRevision { rule, revision }));

impl Until {
    /// `None`: it is none of the two, or both.
    fn of(before: Option<u32>, after_sale: Option<u32>) -> Option<Until> {
        match (before, after_sale) {
            (Some(minutes), None) => Some(Until::Before(minutes)),
            (None, Some(minutes)) => Some(Until::AfterSale(minutes)),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    fn before(self) -> Option<u32> {
        if let Until::Before(minutes) = self { Some(minutes) } else { None }
    }

    fn after_sale(self) -> Option<u32> {
        if let Until::AfterSale(minutes) = self { Some(minutes) } else { None }
    }
}

impl ChangeScope {
    fn of(routes: Vec<RouteCode>) -> ChangeScope {
        if routes.is_empty() { ChangeScope::SameRoute } else { ChangeScope::Routes(routes) }
    }

    /// Those beside its own.
    pub fn routes(&self) -> &[RouteCode] {
        match self {
            ChangeScope::SameRoute => &[],
            ChangeScope::Routes(routes) => routes,
        }
    }
}

impl RefundRule {
    /// What a rule must be like whatever the routes; the catalogue looks at those. Fees are in the currency of sale.
    pub fn check(&self, sale_currency: Currency) -> Result<(), Rejection> {
        match &self.terms {
            Terms::Windows(windows) => check_windows(windows, self.anchor, sale_currency)?,
            Terms::DaysAfterSale(days) => {
                ensure(
                    (1..=DAYS_MAX).contains(days),
                    "daysAfterSale",
                    format_args!("is not between 1 and {DAYS_MAX}"),
                )?;
                ensure(self.anchor == Anchor::Sale, "anchor", "is the sale when days after the sale are counted")?;
            }
        }
        self.change.iter().try_for_each(|change| change.check(sale_currency))
    }

    pub fn windows(&self) -> &[RefundWindow] {
        match &self.terms {
            Terms::Windows(windows) => windows,
            Terms::DaysAfterSale(_) => &[],
        }
    }

    pub fn days_after_sale(&self) -> Option<u16> {
        match self.terms {
            Terms::Windows(_) => None,
            Terms::DaysAfterSale(days) => Some(days),
        }
    }
}

fn check_windows(windows: &[RefundWindow], anchor: Anchor, sale_currency: Currency) -> Result<(), Rejection> {
    ensure(windows.len() <= WINDOWS_MAX, "windows", format_args!("more than {WINDOWS_MAX}"))?;
    // The first that holds counts: one behind a longer one never would.
    let (mut shorter, mut longer) = (None, None);
    for (index, window) in windows.iter().enumerate() {
        let field = |name: &str| format!("windows[{index}].{name}");
        match window.until {
            Until::Before(minutes) => {
                let name = field("untilMinutesBefore");
                ensure(anchor != Anchor::Sale, &name, "there is nothing before the sale")?;
                ensure(minutes <= MINUTES_MAX, &name, "is more than two years")?;
                let falls = longer.replace(minutes).is_none_or(|before| minutes < before);
                ensure(falls, &name, "falls from window to window")?;
            }
            Until::AfterSale(minutes) => {
                let name = field("untilMinutesAfterSale");
                ensure((1..=MINUTES_MAX).contains(&minutes), &name, "is none, or more than two years")?;
                ensure(longer.is_none(), &name, "comes before windows that end before the departure")?;
                let rises = shorter.replace(minutes).is_none_or(|before| before < minutes);
                ensure(rises, &name, "rises from window to window")?;
            }
        }
        ensure(window.percent <= 100, field("percent"), "is not between 0 and 100")?;
        check_fee(window.fee, &field("fee"), sale_currency)?;
    }
    Ok(())
}

impl ChangeRule {
    fn check(&self, sale_currency: Currency) -> Result<(), Rejection> {
        let fits = self.max.is_none_or(|max| (1..=CHANGES_MAX).contains(&max));
        ensure(fits, "change.max", format_args!("is not between 1 and {CHANGES_MAX}"))?;
        let fits = self.until_minutes_before.unsigned_abs() <= MINUTES_MAX;
        ensure(fits, "change.untilMinutesBefore", "is more than two years")?;
        check_fee(self.fee, "change.fee", sale_currency)?;
        ensure(self.scope.routes().len() <= ROUTES_MAX, "change.scope", format_args!("more than {ROUTES_MAX} routes"))
    }
}

fn check_fee(fee: Option<Money>, field: &str, sale_currency: Currency) -> Result<(), Rejection> {
    let Some(fee) = fee else { return Ok(()) };
    let other_currency = format_args!("fees are in {sale_currency}, not {}", fee.currency);
    ensure(fee.currency == sale_currency, field, other_currency)?;
    let fits = (1..=PRICE_MINOR_MAX).contains(&fee.minor);
    ensure(fits, format_args!("{field}.amount"), format_args!("is not between 1 and {PRICE_MINOR_MAX}"))
}

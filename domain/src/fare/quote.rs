//! The price of a party: one line per passenger type, each with the fare and tier that made it. Rounding is half up,
//! once per line (R-PRICE-01); the arithmetic is checked.

use super::{Fare, FareQuery, FareTable, PartyTier};
use crate::money::{Money, MoneyError};
use crate::party::{Party, PassengerType};
use crate::register::Entry;
use crate::rejection::Rejection;

/// All passengers of one type: `unit × count = subtotal`, `subtotal − discount = total`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceLine {
    pub passenger_type: PassengerType,
    pub count: u16,
    pub unit: Money,
    pub subtotal: Money,
    /// The tier of the party's size, if the table has one.
    pub tier: Option<PartyTier>,
    pub discount: Money,
    pub total: Money,
    /// Why it costs that: the fare that applied, as it was in that revision of the table.
    pub fare: Fare,
    pub revision: u32,
    /// The fare's place in the table of that revision, from 0.
    pub index: u32,
}

/// The price of a party on one stretch in one class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quote {
    /// One per passenger type of the party: adults, children, seniors.
    pub lines: Vec<PriceLine>,
    pub total: Money,
}

/// What a bigger party would pay (R-SEARCH-07).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TierQuote {
    pub min_party: u16,
    pub discount_percent: u8,
    /// For `min_party` adults together.
    pub total: Money,
    /// For one adult of such a party, rounded on its own.
    pub per_adult: Money,
}

/// The price of a party. A type without a fare makes the class unsellable to that party; it never costs nothing.
/// Errors: a field rejection of `passengers`.
pub fn quote(table: &Entry<FareTable>, query: &FareQuery<'_>, party: Party) -> Result<Quote, Rejection> {
    let tier = table.tier(party.size());
    let mut lines = Vec::with_capacity(PassengerType::ALL.len());
    let mut total: Option<Money> = None;
    for passenger_type in PassengerType::ALL {
        let count = party.count(passenger_type);
        if count == 0 {
            continue;
        }
        let applied = applicable(table, query, passenger_type)?;
        let line = line(applied, table.revision, count, tier).map_err(unpayable)?;
        total = Some(match total {
            None => line.total,
            Some(sum) => sum.plus(line.total).map_err(unpayable)?,
        });
        lines.push(line);
    }
    // A party is never empty (`Party::new`), so there is a line; a free trip for nobody is not an answer anyway.
    let total = total.ok_or_else(|| Rejection::field("passengers", "there are none"))?;
    Ok(Quote { lines, total })
}

/// One entry per tier, and one for a single adult when the table has no tier from 1 on; by rising party size.
pub fn tier_quotes(table: &FareTable, query: &FareQuery<'_>) -> Result<Vec<TierQuote>, Rejection> {
    let (_, fare) = applicable(table, query, PassengerType::Adult)?;
    let single = PartyTier { min_party: 1, discount_percent: 0 };
    let first = table.party_tiers.first().is_none_or(|tier| tier.min_party > 1).then_some(single);
    first
        .into_iter()
        .chain(table.party_tiers.iter().copied())
        .map(|tier| {
            let subtotal = fare.price.times(u32::from(tier.min_party))?;
            Ok(TierQuote {
                min_party: tier.min_party,
                discount_percent: tier.discount_percent,
                total: discounted(subtotal, Some(tier))?,
                per_adult: discounted(fare.price, Some(tier))?,
            })
        })
        .collect::<Result<_, MoneyError>>()
        .map_err(unpayable)
}

fn applicable<'a>(
    table: &'a FareTable,
    query: &FareQuery<'_>,
    passenger_type: PassengerType,
) -> Result<(usize, &'a Fare), Rejection> {
    table.fare(passenger_type, query).ok_or_else(|| {
        Rejection::field("passengers", format!("there is no fare for {passenger_type} in class {}", query.class))
    })
}

fn line(applied: (usize, &Fare), revision: u32, count: u16, tier: Option<PartyTier>) -> Result<PriceLine, MoneyError> {
    let (index, fare) = applied;
    let subtotal = fare.price.times(u32::from(count))?;
    let total = discounted(subtotal, tier)?;
    Ok(PriceLine {
        passenger_type: fare.passenger_type,
        count,
        unit: fare.price,
        subtotal,
        tier,
        discount: Money::new(subtotal.minor.saturating_sub(total.minor), subtotal.currency),
        total,
        fare: fare.clone(),
        revision,
        index: index as u32,
    })
}

fn discounted(amount: Money, tier: Option<PartyTier>) -> Result<Money, MoneyError> {
    match tier {
        None => Ok(amount),
        Some(tier) => amount.fraction(100_u32.saturating_sub(u32::from(tier.discount_percent)), 100),
    }
}

fn unpayable(error: MoneyError) -> Rejection {
    Rejection::field("passengers", format!("the price cannot be computed: {error}"))
}

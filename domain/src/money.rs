//! Money: integer minor units and a currency (R-PRICE-02). Nothing here ever touches a floating-point number.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{as_text, codes};
use crate::row::part;

/// The currencies in which fares are published on the routes we serve. All of them have two decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    Cny,
    Hkd,
    Mop,
}

// By their ISO 4217 codes.
codes!(Currency, "currency: known are CNY, HKD and MOP": Cny = "CNY", Hkd = "HKD", Mop = "MOP");

/// An amount in minor units (fen, cents) of one currency. On the wire `{"amount": 22000, "currency": "CNY"}`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Money {
    #[serde(rename = "amount")]
    pub minor: i64,
    pub currency: Currency,
}

part!(Money { 1 minor as "amount": i64, 2 currency: Currency } => Some(Money { minor, currency }));

/// An amount as clients write it: whatever is wrong in it is told with its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    amount: i64,
    #[serde(with = "as_text")]
    currency: Currency,
}

impl From<Money> for Amount {
    fn from(Money { minor: amount, currency }: Money) -> Amount {
        Amount { amount, currency }
    }
}

impl From<Amount> for Money {
    fn from(Amount { amount: minor, currency }: Amount) -> Money {
        Money { minor, currency }
    }
}

/// The result does not fit 64 bits, or two currencies met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("the amount is too large")]
    Overflow,
    #[error("{0} and {1} cannot be added")]
    Currencies(Currency, Currency),
}

impl Money {
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// The same amount the other way.
    #[must_use]
    pub const fn negated(self) -> Money {
        Money { minor: self.minor.saturating_neg(), ..self }
    }

    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Currencies(self.currency, other.currency));
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    pub fn times(self, count: u32) -> Result<Money, MoneyError> {
        let minor = self.minor.checked_mul(i64::from(count)).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// `numerator / denominator` of this amount, rounded half up (away from zero for negative amounts).
    pub fn fraction(self, numerator: u32, denominator: u32) -> Result<Money, MoneyError> {
        let product = i128::from(self.minor) * i128::from(numerator);
        let minor = divide_half_up(product, i128::from(denominator.max(1)));
        Ok(Money { minor: i64::try_from(minor).map_err(|_| MoneyError::Overflow)?, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        write!(f, "{sign}{}.{:02} {}", minor / 100, minor % 100, self.currency)
    }
}

/// Division rounded half up, away from zero for negative dividends, as R-PRICE-01 asks for price lines.
fn divide_half_up(dividend: i128, divisor: i128) -> i128 {
    let half = divisor / 2;
    let shifted = if dividend < 0 { dividend - half } else { dividend + half };
    shifted / divisor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_price_01_a_fraction_rounds_half_up() {
        let fare = Money::new(12_345, Currency::Cny);
        assert_eq!(fare.fraction(90, 100), Ok(Money::new(11_111, Currency::Cny)), "111.105 rounds up");
        assert_eq!(fare.fraction(1, 2), Ok(Money::new(6_173, Currency::Cny)), "61.725 rounds up");
        assert_eq!(Money::new(-5, Currency::Cny).fraction(1, 2), Ok(Money::new(-3, Currency::Cny)));
    }

    #[test]
    fn r_price_02_currencies_never_mix_and_nothing_wraps() {
        let cny = Money::new(i64::MAX, Currency::Cny);
        assert_eq!(cny.plus(Money::new(1, Currency::Hkd)), Err(MoneyError::Currencies(Currency::Cny, Currency::Hkd)));
        assert_eq!(cny.plus(Money::new(1, Currency::Cny)), Err(MoneyError::Overflow));
        assert_eq!(cny.times(2), Err(MoneyError::Overflow));
        assert_eq!(cny.fraction(3, 2), Err(MoneyError::Overflow));
    }

    #[test]
    fn money_reads_like_money() {
        assert_eq!(Money::new(-1_205, Currency::Hkd).to_string(), "-12.05 HKD");
    }
}

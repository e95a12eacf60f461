//! What is sold of a package (套票), as an order keeps it: the entitlement snapshot (R-HOLD-01), and for how long an
//! entitlement is valid (R-TICKET-02). The catalogue makes it of a template's version; orders issue tickets from it.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{EntitlementCode, InvalidId, LocationCode, MerchantCode, TemplateId, as_text, codes};
use crate::names::Names;
use crate::row::{part, text_fields};
use crate::time::Timestamp;
use crate::zone::{Zone, plus_days};

/// What begins with the first use is unused for at most so many days after the payment, unless it says until when.
pub const FIRST_USE_WITHIN_DAYS: u16 = 365;

/// A package as it was sold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PackageTerms {
    pub template: TemplateId,
    /// Of the template; it never changes.
    pub version: u32,
    /// Partners and reports know it by this number.
    pub product: Option<u32>,
    pub names: Names,
    /// In which its days are counted.
    #[serde(with = "as_text")]
    pub zone: Zone,
    /// The day of the visit, where the template asks for one.
    pub service_date: Option<Date>,
    /// Times that each passenger buys it.
    pub quantity: u16,
    pub entitlements: Vec<EntitlementTerms>,
}

/// What one of its entitlements gives the right to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntitlementTerms {
    pub code: EntitlementCode,
    pub names: Names,
    /// Uses of one unit of the package.
    pub quantity: u16,
    /// Who redeems it. `None`: every operator who may redeem the code.
    pub merchant: Option<MerchantCode>,
    /// Where it is redeemed. Empty: at all of the merchant's.
    pub locations: Vec<LocationCode>,
    pub channel: RedemptionChannel,
    pub requires_identity: bool,
    /// The party uses it up together: one ticket for all of them.
    pub shared: bool,
    /// Its part of the package's price. 0 for all: they have equal parts.
    pub weight: u32,
    pub validity: Validity,
}

/// By what an entitlement is redeemed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedemptionChannel {
    Gate,
    Counter,
    Any,
}

codes!(RedemptionChannel, "redemption channel: known are gate, counter and any":
    Gate = "gate",
    Counter = "counter",
    Any = "any",
);

/// When an entitlement can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Validity {
    Absolute {
        from: Bound,
        until: Bound,
    },
    /// Until the end of the `days`-th local day after what it starts at, and never beyond `until`.
    Relative {
        days: u16,
        starts: StartsAt,
        until: Option<Bound>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ValidityKind {
    Absolute,
    Relative,
}

codes!(ValidityKind, "kind of validity: known are absolute and relative":
    Absolute = "absolute",
    Relative = "relative",
);

/// What a relative validity is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartsAt {
    Payment,
    FirstUse,
}

codes!(StartsAt, "start of a validity: known are payment and first_use":
    Payment = "payment",
    FirstUse = "first_use",
);

/// An end of a stretch of time: a local day, which is part of it, or an instant. Text: `YYYY-MM-DD`, or RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    Day(Date),
    At(Timestamp),
}

impl Bound {
    /// When what it bounds begins with it.
    pub fn begins(self, zone: &Zone) -> Timestamp {
        match self {
            Bound::Day(date) => midnight(zone, Some(date)),
            Bound::At(at) => at,
        }
    }

    /// When what it bounds ends with it; exclusive.
    pub fn ends(self, zone: &Zone) -> Timestamp {
        match self {
            Bound::Day(date) => midnight(zone, plus_days(date, 1)),
            Bound::At(at) => at,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bound::Day(date) => date.fmt(f),
            Bound::At(at) => at.fmt(f),
        }
    }
}

impl std::str::FromStr for Bound {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Bound, InvalidId> {
        // A date reads an instant's text too, and forgets the time.
        if let Ok(at) = text.parse() {
            return Ok(Bound::At(Timestamp::from_jiff(at)));
        }
        let date = text.parse().map(Bound::Day).map_err(|_| InvalidId("date or instant"))?;
        if text.len() == "YYYY-MM-DD".len() { Ok(date) } else { Err(InvalidId("date or instant")) }
    }
}

text_fields!(Bound: Text);

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bound, D::Error> {
        as_text::deserialize(deserializer)
    }
}

impl Validity {
    pub const fn kind(&self) -> ValidityKind {
        match self {
            Validity::Absolute { .. } => ValidityKind::Absolute,
            Validity::Relative { .. } => ValidityKind::Relative,
        }
    }

    /// `valid_from` and `valid_until` (exclusive) of a ticket that was paid at an instant and has not been used.
    pub fn from_payment(&self, paid_at: Timestamp, zone: &Zone) -> (Timestamp, Timestamp) {
        let (from, until) = match *self {
            Validity::Absolute { from, until } => (from.begins(zone), until.ends(zone)),
            Validity::Relative { days, starts: StartsAt::Payment, until } => {
                let last = end_of_day_after(paid_at, days, zone);
                (paid_at, until.map_or(last, |until| last.min(until.ends(zone))))
            }
            Validity::Relative { starts: StartsAt::FirstUse, until, .. } => {
                let last = || end_of_day_after(paid_at, FIRST_USE_WITHIN_DAYS, zone);
                (paid_at, until.map_or_else(last, |until| until.ends(zone)))
            }
        };
        // Bought after its end it is worth nothing, and still reads as a stretch of time.
        (from, until.max(from))
    }

    /// When it ends, whenever it was bought. `None`: that depends on it.
    fn ends(&self, zone: &Zone) -> Option<Timestamp> {
        match *self {
            Validity::Absolute { until, .. } | Validity::Relative { until: Some(until), .. } => Some(until.ends(zone)),
            Validity::Relative { until: None, .. } => None,
        }
    }

    /// Until when it is valid once it was first used, and was valid until `valid_until`; never later.
    pub fn from_first_use(&self, first: Timestamp, valid_until: Timestamp, zone: &Zone) -> Timestamp {
        match *self {
            Validity::Relative { days, starts: StartsAt::FirstUse, .. } => {
                end_of_day_after(first, days, zone).min(valid_until)
            }
            Validity::Absolute { .. } | Validity::Relative { starts: StartsAt::Payment, .. } => valid_until,
        }
    }
}

/// From then on what has these is not sold any more (R-SEARCH-02): the first of them has ended, whenever it was bought.
pub fn sold_until(entitlements: &[EntitlementTerms], zone: &Zone) -> Option<Timestamp> {
    entitlements.iter().filter_map(|terms| terms.validity.ends(zone)).min()
}

/// The end of the local day that is so many after the day of an instant.
fn end_of_day_after(at: Timestamp, days: u16, zone: &Zone) -> Timestamp {
    midnight(zone, plus_days(zone.local(at).date(), i32::from(days) + 1))
}

/// With which a day begins. Beyond the calendar's end: never.
fn midnight(zone: &Zone, date: Option<Date>) -> Timestamp {
    date.and_then(|date| zone.instant(date, 0)).unwrap_or(Timestamp::MAX)
}

part!(PackageTerms {
    1 template as "template_id": TemplateId,
    2 version: u32,
    3 product as "product_id": Option<u32>,
    4 name_zh (|terms| terms.names.zh): String,
    5 name_en (|terms| terms.names.en): String,
    6 zone as "time_zone": Zone,
    7 service_date: Option<Date>,
    8 quantity: u16,
    9 entitlements: Vec<EntitlementTerms>,
} => {
    let names = Names::new(name_zh, name_en);
    Some(PackageTerms { template, version, product, names, zone, service_date, quantity, entitlements })
});

part!(EntitlementTerms {
    1 code: EntitlementCode,
    2 name_zh (|terms| terms.names.zh): String,
    3 name_en (|terms| terms.names.en): String,
    4 quantity: u16,
    5 merchant as "merchant_id": Option<MerchantCode>,
    6 locations as "location_ids": Vec<LocationCode>,
    7 channel as "redemption_channel": RedemptionChannel,
    8 requires_identity: bool,
    9 shared: bool,
    10 weight as "share_weight": u32,
    11 validity: Validity,
} => {
    let names = Names::new(name_zh, name_en);
    Some(EntitlementTerms {
        code, names, quantity, merchant, locations, channel, requires_identity, shared, weight, validity
    })
});

part!(Validity {
    1 kind (|validity| validity.kind()): ValidityKind,
    2 from (|validity| match validity {
        Validity::Absolute { from, .. } => Some(*from),
        Validity::Relative { .. } => None,
    }): Option<Bound>,
    3 until (|validity| match validity {
        Validity::Absolute { until, .. } => Some(*until),
        Validity::Relative { until, .. } => *until,
    }): Option<Bound>,
    4 days (|validity| match validity {
        Validity::Absolute { .. } => None,
        Validity::Relative { days, .. } => Some(*days),
    }): Option<u16>,
    5 starts as "starts_at" (|validity| match validity {
        Validity::Absolute { .. } => None,
        Validity::Relative { starts, .. } => Some(*starts),
    }): Option<StartsAt>,
} => match kind {
    ValidityKind::Absolute => from.zip(until).map(|(from, until)| Validity::Absolute { from, until }),
    ValidityKind::Relative => days.zip(starts).map(|(days, starts)| Validity::Relative { days, starts, until }),
});

#[cfg(test)]
mod tests;

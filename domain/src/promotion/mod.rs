//! Promotions (R-PRICE-03): what they take off, of what, for whom and when. Administrators write them into the catalogue;
//! here is the rule, which knows neither orders nor what is left of a promotion's uses: whoever asks says that.
//!
//! They stack in one way: after the tiers of fares and packages the best automatic promotion, then one code, each of what the
//! one before has left. No line falls below zero.

mod apply;
mod quoted;
#[cfg(test)]
mod tests;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use apply::{Applied, Basket, Bought, Line, apply};
pub use quoted::{Automatic, InForce, Quoted};

use crate::departure::Channel;
use crate::ids::{PromotionCode, RouteCode, TemplateId, as_text, codes};
use crate::names::Names;
use crate::package::Bound;
use crate::party::PassengerType;
use crate::stock::Limits;
use crate::time::Timestamp;
use crate::zone::Zone;

/// A promotion, put as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Promotion {
    pub code: PromotionCode,
    #[serde(rename = "name")]
    pub names: Names,
    /// It applies by itself; others when their code is given.
    pub automatic: bool,
    pub kind: DiscountKind,
    /// Percent, or an amount in minor units of the currency of sale, for the whole order.
    pub value: u32,
    /// For parties that are no smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_party: Option<u16>,
    /// Whose price it takes something off. None: everybody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passenger_types: Vec<PassengerType>,
    /// It takes off journeys on these routes, and these packages. Neither: of everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route_codes: Vec<RouteCode>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub template_ids: Vec<TemplateId>,
    /// Who sells with it. None: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<SalesChannel>,
    /// When orders are made with it: days where we sell, or instants.
    #[serde(with = "as_text")]
    pub valid_from: Bound,
    #[serde(with = "as_text")]
    pub valid_until: Bound,
    /// The first and last day of travel or visit. With one of them it takes nothing off what is of no day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub travel_from: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub travel_until: Option<Date>,
    /// Orders that can be made with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_total: Option<u32>,
    /// Orders that each traveller can make with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_traveller: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountKind {
    Percent,
    Amount,
}

codes!(DiscountKind, "kind of promotion: known are percent and amount": Percent = "percent", Amount = "amount");

/// A kind of channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SalesChannel {
    Direct,
    /// Every partner.
    Ota,
}

codes!(SalesChannel, "channel: known are direct and ota": Direct = "direct", Ota = "ota");

impl From<&Channel> for SalesChannel {
    fn from(channel: &Channel) -> SalesChannel {
        match channel {
            Channel::Direct => SalesChannel::Direct,
            Channel::Ota(_) => SalesChannel::Ota,
        }
    }
}

impl Promotion {
    /// What its stock is to hold: an order has one use.
    pub const fn limits(&self) -> Limits {
        Limits { total: self.limit_total, per_date: None, per_holder: self.limit_per_traveller }
    }

    /// Whether an order with it claims a use.
    pub const fn is_limited(&self) -> bool {
        self.limit_total.is_some() || self.limit_per_traveller.is_some()
    }

    /// From when, and until when (exclusive), orders are made with it.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        let zone = Zone::of_sale();
        (self.valid_from.begins(&zone), self.valid_until.ends(&zone))
    }
}

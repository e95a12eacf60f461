//! What the process plugs in: clock, journal, ports, and the limits of selling.

use std::sync::Arc;

use deeptravel_domain::order::{PaymentPolicy, SaleTerms};
use serde::{Deserialize, Deserializer};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::journal::{Journal, Position};
use crate::ports::{PaymentGateway, Store};
use crate::settings::{above_zero, at_most};

/// See the module's documentation.
#[derive(Debug)]
pub struct Parts {
    pub journal: Journal,
    pub clock: Clock,
    pub store: Arc<dyn Store>,
    pub gateway: Arc<dyn PaymentGateway>,
    /// How far Postgres has followed.
    pub projected: watch::Receiver<Position>,
    /// Runs everything that waits for the network.
    pub io: tokio::runtime::Handle,
    pub sales: SalesPolicy,
    /// Arbiters for the owners; none of them serves HTTP.
    pub arbiters: usize,
}

/// A seat lock lasts an hour at most (R-HOLD-01).
pub const LOCK_SECONDS_MAX: u32 = 60 * 60;

/// Limits of selling: section `order` of the configuration.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SalesPolicy {
    /// Overrides every route's lock, when above 0.
    #[serde(deserialize_with = "set")]
    pub lock_seconds: Option<u32>,
    /// Unpaid orders and reservations of one traveller that hold seats at once (R-HOLD-08).
    #[serde(rename = "max_live_holds_per_traveller")]
    pub live_holds_max: u32,
    /// See [`PaymentPolicy`], as of the next two.
    pub payment_grace_seconds: u32,
    pub cap_extra_seconds: u32,
    pub payment_min_seconds: u32,
    /// Memory for orders that are loaded at the start although nothing is under way, because of their tickets for the next
    /// 24 hours: see [`Warm`](crate::ports::Warm).
    pub warm_load_bytes_max: u64,
    /// Above so many bytes of dormant orders, those leave memory for which nothing is to be done, also when they have
    /// tickets for the next 24 hours.
    pub warm_bytes_max: usize,
    /// Above so many bytes of orders at hand, those are packed that were scanned longest ago.
    pub at_hand_bytes_max: usize,
}

/// 0 is not set.
fn set<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u32>, D::Error> {
    u32::deserialize(value).map(|value| Some(value).filter(|value| *value > 0))
}

impl SalesPolicy {
    pub fn sale(&self) -> SaleTerms {
        SaleTerms { lock_seconds: self.lock_seconds, payment_min_seconds: self.payment_min_seconds }
    }

    pub fn payment(&self) -> PaymentPolicy {
        PaymentPolicy {
            min_seconds: self.payment_min_seconds,
            grace_seconds: self.payment_grace_seconds,
            cap_extra_seconds: self.cap_extra_seconds,
        }
    }

    pub fn check(&self) -> Result<(), String> {
        above_zero("order.max_live_holds_per_traveller", self.live_holds_max.into())?;
        above_zero("order.payment_min_seconds", self.payment_min_seconds.into())?;
        if self.cap_extra_seconds < self.payment_min_seconds.saturating_add(self.payment_grace_seconds) {
            let room = "order.payment_min_seconds and order.payment_grace_seconds";
            return Err(format!("order.cap_extra_seconds must leave room for {room}"));
        }
        at_most("order.lock_seconds", self.lock_seconds.unwrap_or(0), LOCK_SECONDS_MAX)
    }
}

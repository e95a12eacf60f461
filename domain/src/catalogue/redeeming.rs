//! What gates ask of the configuration in force, at each scan and when a session is opened (R-SCAN-04). Nothing is allocated
//! and nothing locked: it is the hottest path there is.

use std::sync::Arc;

use super::departure_override::split_departure_id;
use super::{Catalogue, Device};
use crate::ids::{DepartureId, LocationCode, MerchantCode, PortCode};

impl Catalogue {
    /// A location as sessions and accounts name it: one of a merchant, or a port.
    pub fn has_location(&self, location: &LocationCode) -> bool {
        self.registers.locations.has(location) || self.port(location.as_str()).is_some()
    }

    /// Whether it was a merchant's location and is none any more: nothing is redeemed there.
    pub fn is_closed(&self, location: &LocationCode) -> bool {
        let was_there = self.registers.locations.entry(location).is_some_and(|entry| entry.withdrawn);
        was_there && self.port(location.as_str()).is_none()
    }

    /// Whether it was a merchant and is none any more: it redeems nothing. A carrier is one without being configured as such.
    pub fn has_gone(&self, merchant: &MerchantCode) -> bool {
        let was_there = self.registers.merchants.entry(merchant).is_some_and(|entry| entry.withdrawn);
        was_there && self.operator(merchant.as_str()).is_none()
    }

    /// The merchant whose location it is; `None`: a port, which is everybody's, or nothing.
    pub fn merchant_of(&self, location: &LocationCode) -> Option<&MerchantCode> {
        self.registers.locations.get(location).map(|location| &location.merchant)
    }

    /// The port at a location, where journeys board. A port that is not configured any more is one still: tickets name it.
    pub fn port_at(&self, location: &LocationCode) -> Option<PortCode> {
        match self.registers.locations.get(location) {
            Some(location) => location.port.clone(),
            None => Some(PortCode::from(location)),
        }
    }

    /// A device that is configured, by the name that it gives itself.
    pub fn device(&self, name: &str) -> Option<&Arc<Device>> {
        self.registers.devices.get(name)
    }

    /// Whether there may be tickets for it: it is on offer, or its schedule was.
    pub fn may_have_sold(&self, departure: &DepartureId) -> bool {
        let was_on_offer = || {
            let (schedule, _) = split_departure_id(departure)?;
            self.withdrawn(schedule)
        };
        self.departure(departure).is_some() || was_on_offer().is_some()
    }
}

impl Device {
    /// Whether operators of a merchant work on it; `None`: of every merchant.
    pub fn serves(&self, merchant: Option<&MerchantCode>) -> bool {
        !self.disabled && merchant.is_none_or(|merchant| self.merchant == *merchant)
    }
}

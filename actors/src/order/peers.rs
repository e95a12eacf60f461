//! Whom orders, desks and partners talk to.

use std::ops::Deref;
use std::sync::Arc;

use super::OrderActor;
use crate::departure::DepartureActor;
use crate::desk::Desk;
use crate::keeper::Keeper;
use crate::payment::Doubtful;
use crate::registry::Keys;
use crate::services::Services;
use crate::stock::StockActor;

/// The world of orders, desks and partners: what every owner shares, and the owners that these ask.
#[derive(Debug)]
pub struct Peers {
    pub services: Arc<Services>,
    pub departures: Arc<Keys<DepartureActor>>,
    pub stocks: Arc<Keys<StockActor>>,
    pub payments: Arc<Keys<Keeper<Doubtful>>>,
    pub orders: Arc<Keys<OrderActor>>,
    pub desks: Arc<Keys<Desk>>,
}

impl Deref for Peers {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

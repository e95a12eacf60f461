//! What every owner shares: clock, journal, catalogue, board and ports.

use std::sync::Arc;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::ids::{OrderId, Shard, TravellerId};
use deeptravel_domain::order::PaymentPolicy;
use tokio::sync::watch;

use crate::attention::Attention;
use crate::board::Board;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::journal::{Journal, Position};
use crate::ports::{DeskEntry, PaymentGateway, Store};

/// Limits of selling, from configuration.
#[derive(Clone, Copy, Debug)]
pub struct SalesPolicy {
    /// Overrides every route's lock, when set.
    pub lock_seconds: Option<u32>,
    /// Unpaid orders of one traveller that hold seats at once (R-HOLD-08).
    pub live_holds_max: u32,
    pub payment: PaymentPolicy,
    /// Memory for orders that are loaded at the start although nothing is under way, because of their tickets for the next
    /// 24 hours: see [`Warm`](crate::ports::Warm).
    pub warm_load_bytes_max: u64,
    /// Above so many bytes of dormant orders, those leave memory for which nothing is to be done, also when they have
    /// tickets for the next 24 hours.
    pub warm_bytes_max: usize,
}

/// Shared by all owners; one per engine.
#[derive(Debug)]
pub struct Services {
    pub clock: Clock,
    pub journal: Journal,
    /// What is sold, as of its newest durable version.
    pub catalogue: ArcSwap<Catalogue>,
    pub board: Board,
    pub attention: Attention,
    /// Who is logged in.
    pub directory: Directory,
    pub store: Arc<dyn Store>,
    pub gateway: Arc<dyn PaymentGateway>,
    /// How far Postgres has followed.
    pub projected: watch::Receiver<Position>,
    /// Runs everything that waits for the network.
    pub io: tokio::runtime::Handle,
    pub sales: SalesPolicy,
    /// Orders that are being made: no record tells of them yet. A desk that is rebuilt reads them here.
    pub in_flight: DashMap<OrderId, DeskEntry>,
    #[cfg(test)]
    pub faults: crate::testing::Faults,
}

/// Desks; enough that they spread over arbiters, few enough that each has work.
pub const DESKS: usize = 16;

impl Services {
    /// The desk of a traveller.
    pub fn desk_of(&self, traveller: TravellerId) -> usize {
        desk_of_shard(traveller_shard(traveller))
    }

    /// A fresh order id in the shard of its traveller.
    pub fn new_order_id(&self, traveller: TravellerId) -> OrderId {
        OrderId::compose(self.clock.now(), traveller_shard(traveller), chance())
    }
}

/// The desk of a shard's travellers, and of their orders.
pub fn desk_of_shard(shard: Shard) -> usize {
    usize::from(shard.number()) % DESKS
}

/// Travellers' ids are digests: any of their bits are as good as others.
fn traveller_shard(traveller: TravellerId) -> Shard {
    Shard::of(traveller.bits() as u64)
}

/// 64 fresh random bits, for ids; not for secrets.
pub fn chance() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    // The fixed bits of the two halves are at different places.
    high ^ low
}

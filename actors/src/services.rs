//! What every owner shares: what the process plugs in, and what owners show to others.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use dashmap::{DashMap, DashSet};
use deeptravel_domain::catalogue::Catalogue;
use deeptravel_domain::ids::{DepartureId, HoldId, IdHash, OrderId, OutTradeNo, PartnerCode, Shard, TravellerId};
use deeptravel_domain::reservation::{Reservation, ReservationId};
use deeptravel_domain::totals::Totals;
use deeptravel_domain::transactions::Transactions;
use deeptravel_domain::webhook::Webhooks;
use tokio::sync::watch;

use crate::attention::Attention;
use crate::batch_board::BatchBoard;
use crate::board::Board;
use crate::directory::Directory;
use crate::parts::Parts;
use crate::stock_board::StockBoard;

pub use crate::parts::SalesPolicy;

/// Shared by all owners; one per engine.
#[derive(Debug)]
pub struct Services {
    pub parts: Arc<Parts>,
    /// What is sold, as of its newest durable version.
    pub catalogue: ArcSwap<Catalogue>,
    pub board: Board,
    /// What is left of what there are so many units of.
    pub stock_board: StockBoard,
    /// Where the tickets of partners' batches stand.
    pub batch_board: BatchBoard,
    pub attention: Attention,
    /// How often each kind of thing was announced, as far as it is counted durably.
    pub totals: ArcSwap<Totals>,
    /// What partners are told, as far as it is durable.
    pub webhooks: watch::Sender<Arc<Webhooks>>,
    /// Who is logged in.
    pub directory: Directory,
    /// Orders that are being made: no record tells of them yet. A desk that is rebuilt reads them here.
    pub in_flight: DashMap<OrderId, Wished, IdHash>,
    /// As `in_flight`, of reservations.
    pub reserving: DashMap<HoldId, Arc<Reservation>, IdHash>,
    /// Single departures are administered one write after the other: what a departure has, and what the catalogue has of it,
    /// then agree.
    pub overriding: tokio::sync::Mutex<()>,
    /// What has paid which payment. Asked by every order that is told of money, and by nothing else.
    pub transactions: Mutex<Transactions>,
    /// Partners whose reservations have been read or begun.
    pub books: DashSet<PartnerCode>,
    #[cfg(test)]
    pub faults: crate::testing::Faults,
}

impl Deref for Services {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// What is noted of a wish while its order is being made: by it a desk that is rebuilt knows the key and the request again.
#[derive(Clone, Debug)]
pub struct Wished {
    pub traveller: TravellerId,
    pub idempotency_key: Box<str>,
    pub body_hash: [u8; 32],
    /// The reservations that the order adopts.
    pub adopts: Box<[HoldId]>,
}

/// Desks; enough that they spread over arbiters, few enough that each has work.
pub const DESKS: usize = 16;

impl Services {
    /// The desk of a traveller.
    pub fn desk_of(&self, traveller: TravellerId) -> usize {
        desk_of_shard(traveller_shard(traveller))
    }

    /// See [`Transactions::claim`].
    pub fn claim(&self, transaction: &str, payment: OutTradeNo) -> bool {
        let mut transactions = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        transactions.claim(transaction, payment, self.clock.now())
    }

    /// A fresh order id in the shard of its traveller.
    pub fn new_order_id(&self, traveller: TravellerId) -> OrderId {
        OrderId::compose(self.clock.now(), traveller_shard(traveller), chance())
    }

    /// A fresh id of a reservation, likewise.
    pub fn new_reservation_id(&self, traveller: TravellerId, departure: DepartureId) -> ReservationId {
        ReservationId::compose(self.clock.now(), traveller_shard(traveller), chance(), traveller, departure)
    }
}

/// The desk of a shard's travellers, and of their orders.
pub fn desk_of_shard(shard: Shard) -> usize {
    usize::from(shard.number()) % DESKS
}

/// Travellers' ids are digests: any of their bits are as good as others.
pub fn traveller_shard(traveller: TravellerId) -> Shard {
    Shard::of(traveller.bits() as u64)
}

/// 64 fresh random bits, for ids; not for secrets.
pub fn chance() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    // The fixed bits of the two halves are at different places.
    high ^ low
}

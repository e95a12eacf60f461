//! The list of owners.

use std::ops::Deref;
use std::sync::Arc;

use crate::batch::{BatchActor, BatchPeers, Told};
use crate::catalogue::Sold;
use crate::departure::DepartureActor;
use crate::desk::Desk;
use crate::identity::Known;
use crate::keeper::Keeper;
use crate::order::{OrderActor, Peers};
use crate::partner::PartnerActor;
use crate::payment::Doubtful;
use crate::registry::{Arbiters, Figures, Gauge, Keys, Owner as _, StartError};
use crate::services::Services;
use crate::stock::StockActor;
use crate::totals::Counted;
use crate::webhooks::Heralded;

/// Makes [`Owners`] from the owners that know nobody else: a field for each, its registry, its start. They start in this
/// order; desks, orders, partners and batches, which ask others, come after them.
macro_rules! owners {
    (orders ask $departures:ident, $stocks:ident and $payments:ident; $($name:ident: $owner:ty,)+) => {
        /// The registries of all owners, and what these share.
        #[derive(Debug)]
        pub struct Owners {
            peers: Arc<Peers>,
            batch_peers: Arc<BatchPeers>,
            pub(crate) partners: Arc<Keys<PartnerActor>>,
            pub(crate) batches: Arc<Keys<BatchActor>>,
            $(pub(crate) $name: Arc<Keys<$owner>>,)+
        }

        impl Owners {
            /// Everything that is durable has been projected before.
            pub(crate) async fn start(arbiters: &Arbiters, services: Services) -> Result<Owners, StartError> {
                let services = Arc::new(services);
                $(let $name: Arc<Keys<$owner>> = Keys::new(&services.parts, arbiters);)+
                $($name.settle(&services);)+
                let (desks, orders) = (Keys::new(&services.parts, arbiters), Keys::new(&services.parts, arbiters));
                let partners = Keys::new(&services.parts, arbiters);
                let peers = Arc::new(Peers {
                    services: Arc::clone(&services),
                    departures: Arc::clone(&$departures),
                    stocks: Arc::clone(&$stocks),
                    payments: Arc::clone(&$payments),
                    orders: Arc::clone(&orders),
                    desks: Arc::clone(&desks),
                });
                desks.settle(&peers);
                orders.settle(&peers);
                let batches: Arc<Keys<BatchActor>> = Keys::new(&peers.parts, arbiters);
                let (of_batches, books) = (Arc::clone(&peers), Arc::clone(&partners));
                let batch_peers = Arc::new(BatchPeers { peers: of_batches, partners: books });
                batches.settle(&batch_peers);
                partners.settle(&peers);

                $(<$owner>::start(Arc::clone(&services), Arc::clone(&$name)).await?;)+
                Desk::start(Arc::clone(&peers), desks).await?;
                OrderActor::start(Arc::clone(&peers), orders).await?;
                PartnerActor::start(Arc::clone(&peers), Arc::clone(&partners)).await?;
                BatchActor::start(Arc::clone(&batch_peers), Arc::clone(&batches)).await?;
                Ok(Owners { peers, batch_peers, partners, batches, $($name),+ })
            }

            pub(crate) fn peers(&self) -> &Arc<Peers> {
                &self.peers
            }

            pub(crate) fn batch_peers(&self) -> &Arc<BatchPeers> {
                &self.batch_peers
            }

            /// How each kind of owner fares.
            pub fn figures(&self) -> Vec<Figures> {
                let (desks, orders) = (self.desks.figures(), self.orders.figures());
                vec![desks, orders, self.partners.figures(), self.batches.figures(), $(self.$name.figures()),+]
            }
        }
    };
}

owners! {
    orders ask departures, stocks and payments;
    catalogue_owner: Keeper<Sold>,
    identities: Keeper<Known>,
    payments: Keeper<Doubtful>,
    departures: DepartureActor,
    stocks: StockActor,
    totals_owner: Keeper<Counted>,
    batches_told: Keeper<Told>,
    webhooks_owner: Keeper<Heralded>,
}

impl Owners {
    /// Orders in memory without an actor, packed.
    pub fn dormant_orders(&self) -> &Gauge {
        self.orders.dormant()
    }

    /// Orders in memory without an actor, as they are.
    pub fn orders_at_hand(&self) -> &Gauge {
        self.orders.at_hand()
    }
}

impl Deref for Owners {
    type Target = Peers;

    fn deref(&self) -> &Peers {
        &self.peers
    }
}

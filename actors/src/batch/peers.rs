//! Whom batches know: those whom orders know, and the books of reservations, from which they draw units and to which they give
//! them back.

use std::ops::Deref;
use std::sync::Arc;

use deeptravel_domain::rejection::Rejection;

use crate::journal::Position;
use crate::order::Peers;
use crate::outage::{Answer, Outage, Reply};
use crate::partner::PartnerActor;
use crate::registry::Keys;

/// The world of batches.
#[derive(Debug)]
pub struct BatchPeers {
    pub peers: Arc<Peers>,
    pub partners: Arc<Keys<PartnerActor>>,
}

impl BatchPeers {
    /// A refusal, shown once what it rests on is durable.
    pub(super) async fn refuse<T>(&self, rejection: Rejection, position: Position) -> Answer<T> {
        self.journal.wait(position).await.map_err(|_| Outage::Journal)?;
        Ok(Reply::rejected(rejection, position))
    }
}

impl Deref for BatchPeers {
    type Target = Peers;

    fn deref(&self) -> &Peers {
        &self.peers
    }
}

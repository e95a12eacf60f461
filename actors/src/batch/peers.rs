//! Whom batches know: those whom orders know, and the books of reservations, from which they draw units and to which they give
//! them back.

use std::ops::Deref;
use std::sync::Arc;

use crate::order::Peers;
use crate::partner::PartnerActor;
use crate::registry::Keys;

/// The world of batches.
#[derive(Debug)]
pub struct BatchPeers {
    pub peers: Arc<Peers>,
    pub partners: Arc<Keys<PartnerActor>>,
}

impl Deref for BatchPeers {
    type Target = Peers;

    fn deref(&self) -> &Peers {
        &self.peers
    }
}

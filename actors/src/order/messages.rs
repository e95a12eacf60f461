//! What an order's owner is asked.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix::Message;
use deeptravel_domain::ids::OutRefundNo;
use deeptravel_domain::order::{Order, PaymentFact, RefundFact, Scan, ScanOutcome};
use tokio::sync::oneshot;

use crate::outage::{Answer, Asker};
use crate::registry::{Fingerprint, NOT_TOLD_APART};

/// An answer that comes when the machine is there.
pub type Pending<T> = oneshot::Receiver<Answer<T>>;

/// The order as it is.
#[derive(Clone, Copy, Debug)]
pub struct View;

impl Message for View {
    type Result = Answer<Arc<Order>>;
}

/// Seats held or not: the first answer of a new order, or the order itself when it has been given before.
#[derive(Debug)]
pub struct Placement;

impl Message for Placement {
    type Result = Pending<Arc<Order>>;
}

/// Makes the order payable, or returns the parameters that were made before. `openid` is the traveller's.
#[derive(Debug)]
pub struct OpenPayment {
    pub openid: Box<str>,
}

impl Message for OpenPayment {
    type Result = Pending<Arc<Order>>;
}

#[derive(Clone, Copy, Debug)]
pub struct Cancel;

impl Message for Cancel {
    type Result = Pending<Arc<Order>>;
}

/// What WeChat says, from a callback or a query on demand. Answered when it has been acted on.
#[derive(Debug)]
pub struct Learn(pub PaymentFact);

impl Message for Learn {
    type Result = Pending<()>;
}

/// What WeChat says about a refund.
#[derive(Debug)]
pub struct LearnRefund(pub RefundFact);

impl Message for LearnRefund {
    type Result = Answer<()>;
}

/// A person wants a stuck refund to be tried again now.
#[derive(Debug)]
pub struct RetryRefund(pub OutRefundNo);

impl Message for RetryRefund {
    type Result = Answer<()>;
}

/// A gate has scanned something of the order.
#[derive(Debug)]
pub struct Redeem {
    pub scan: Scan,
    /// Gets the outcome, and the order as it then is.
    pub asker: Asker<(ScanOutcome, Arc<Order>)>,
}

impl Message for Redeem {
    type Result = ();
}

macro_rules! not_told_apart {
    ($($message:ty),*) => {
        $(impl Fingerprint for $message {
            fn fingerprint(&self) -> u64 {
                NOT_TOLD_APART
            }
        })*
    };
}

not_told_apart!(View, Placement, OpenPayment, Cancel, RetryRefund);

impl Fingerprint for Learn {
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.number.hash(&mut hasher);
        std::mem::discriminant(&self.0.state).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

impl Fingerprint for LearnRefund {
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.number.hash(&mut hasher);
        std::mem::discriminant(&self.0.state).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

impl Fingerprint for Redeem {
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.scan.gate.session, &self.scan.request_id).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

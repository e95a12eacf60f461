//! What an order's owner is asked.

use std::mem::discriminant;
use std::sync::Arc;

use deeptravel_domain::ids::OutRefundNo;
use deeptravel_domain::order::{Order, PaymentFact, RefundFact, Scan, ScanOutcome};

use crate::ask::{Question, fingerprint_of};

/// The order as it is.
#[derive(Clone, Copy, Debug)]
pub struct View;

impl Question for View {
    type Answer = Arc<Order>;
}

/// Seats held or not: the first answer of a new order, or the order itself when it has been given before.
#[derive(Debug)]
pub struct Placement;

impl Question for Placement {
    type Answer = Arc<Order>;
}

/// Makes the order payable, or returns the parameters that were made before. `openid` is the traveller's.
#[derive(Debug)]
pub struct OpenPayment {
    pub openid: Box<str>,
}

impl Question for OpenPayment {
    type Answer = Arc<Order>;
}

#[derive(Clone, Copy, Debug)]
pub struct Cancel;

impl Question for Cancel {
    type Answer = Arc<Order>;
}

/// What WeChat says, from a callback or a query on demand. Answered when it has been acted on.
#[derive(Debug)]
pub struct Learn(pub PaymentFact);

impl Question for Learn {
    type Answer = ();

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.0.number, discriminant(&self.0.state)))
    }
}

/// What WeChat says about a refund.
#[derive(Debug)]
pub struct LearnRefund(pub RefundFact);

impl Question for LearnRefund {
    type Answer = ();

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.0.number, discriminant(&self.0.state)))
    }
}

/// A person wants a stuck refund to be tried again now.
#[derive(Debug)]
pub struct RetryRefund(pub OutRefundNo);

impl Question for RetryRefund {
    type Answer = ();
}

/// A gate has scanned something of the order. Answered with the outcome, and the order as it then is.
#[derive(Debug)]
pub struct Redeem(pub Scan);

impl Question for Redeem {
    type Answer = (ScanOutcome, Arc<Order>);

    fn fingerprint(&self) -> u64 {
        fingerprint_of((self.0.gate.session, &self.0.request_id))
    }
}

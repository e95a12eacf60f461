//! Which rows a decision has touched.

use crate::announcement::AnnouncementKind;
use crate::ids::{OrderId, OutRefundNo, OutTradeNo};
use crate::time::Timestamp;

/// What one decision has changed of an order's rows: each is written once, as it is after the last event.
#[derive(Debug, Default)]
pub struct Touched {
    pub(super) order: Reach,
    pub(super) payments: Vec<OutTradeNo>,
    /// The one of them that was begun.
    pub(super) begun: Option<OutTradeNo>,
    pub(super) refunds: Vec<OutRefundNo>,
    pub(super) ledger: bool,
    /// All tickets: by what, and when.
    pub(super) issued: Option<(Cause, Timestamp)>,
    /// The tickets of a partner's item, and when.
    pub(super) refunded: Option<(u16, Timestamp)>,
    pub(super) announced: Vec<Announced>,
}

/// Something that an order announces of itself, or of one of a partner's items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub kind: AnnouncementKind,
    pub item: Option<u16>,
    pub count: Option<u32>,
    pub at: Timestamp,
}

/// How much of what the order itself is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Reach {
    #[default]
    Nothing,
    Order,
    /// And what was bought.
    Documents,
    /// It is new: its row has no earlier image.
    All,
}

/// What made tickets of an order, as their audit says (R-TICKET-06).
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    Payment(OutTradeNo),
    /// It costs nothing, or a partner has been paid.
    Order(OrderId),
}

impl Touched {
    pub(super) fn order(&mut self, reach: Reach) {
        self.order = self.order.max(reach);
    }

    /// All seats are held: the order exists.
    pub(in crate::order) fn placed(&mut self) {
        self.order(Reach::All);
    }

    pub(super) fn payment(&mut self, number: OutTradeNo) {
        if !self.payments.contains(&number) {
            self.payments.push(number);
        }
    }

    pub(super) fn refund(&mut self, number: OutRefundNo) {
        if !self.refunds.contains(&number) {
            self.refunds.push(number);
        }
    }

    pub(super) fn announce(&mut self, kind: AnnouncementKind, at: Timestamp) {
        self.announced.push(Announced { kind, item: None, count: None, at });
    }

    /// A partner has been paid for so many units.
    pub(super) fn units_paid(&mut self, units: usize, at: Timestamp) {
        let count = (units > 1).then_some(units as u32);
        self.announced.push(Announced { kind: AnnouncementKind::Paid, item: None, count, at });
    }

    pub(super) fn unit_refunded(&mut self, item: u16, at: Timestamp) {
        self.refunded = Some((item, at));
        self.announced.push(Announced { kind: AnnouncementKind::Refunded, item: Some(item), count: None, at });
    }
}

//! What others want to know (rule 16). A machine says so in the rows of the decision that makes it true; followers read it
//! in the journal, in the order in which it happened.

use crate::ids::{OrderId, PartnerCode, codes};
use crate::row;
use crate::row::{First, Home};
use crate::time::Timestamp;

/// What is announced.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum AnnouncementKind {
    /// An order is paid for the first time. One that costs nothing is as well, and one that a partner has been paid for: that
    /// is born with it, and all of its units are activated: so many as `count` says, or one.
    Paid,
    /// A placed order has ended without tickets.
    Cancelled,
    /// Late money has brought a cancelled order back: it is paid, and has tickets.
    Revived,
    /// A ticket was used; once for each redemption.
    Redeemed,
    /// Nothing of an order is left to be used.
    Completed,
    /// Of a partner's order: an item's last use was taken. It follows the redemptions that took it.
    Used,
    /// Of a partner's order: the partner has cancelled an item, of which nothing was used.
    Refunded,
    /// A partner's reservation, whose number is in the place of the order's: its time is over, and some of its units were left.
    ReservationExpired,
    /// A partner's batch, whose id is in the place of the order's: its time is over, and some of its tickets were never
    /// activated.
    BatchExpired,
}

codes!(AnnouncementKind, "announcement kind":
    Paid = "paid",
    Cancelled = "cancelled",
    Revived = "revived",
    Redeemed = "redeemed",
    Completed = "completed",
    Used = "used",
    Refunded = "refunded",
    ReservationExpired = "reservation_expired",
    BatchExpired = "batch_expired",
);

row! {
    /// Something is announced. It is never written again: whoever wants to remember it, or what follows from it, has rows of
    /// his own.
    pub struct AnnouncementRow: 25 "announcements", First::Always, Home::Journal;
    1 order_id [Key]: OrderId,
    2 version [Key]: u64,
    3 kind [Key]: AnnouncementKind,
    /// The number of the ticket, of what happens to one.
    4 ticket [Key]: Option<u16>,
    /// Of a ticket's redemption.
    5 number: Option<u32>,
    6 at: Timestamp,
    /// Whose it is. Absent: a traveller has bought the order of us.
    7 partner: Option<PartnerCode>,
    /// Index of the item that it is about, of what happens to one of a partner's.
    8 item [Key]: Option<u16>,
    /// Of what has expired: how many were left of it. Of a partner's order: its units, if they are several.
    9 count: Option<u32>,
    /// Of a batch: what its partner calls it.
    10 batch: Option<Box<str>>,
}

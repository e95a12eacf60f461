//! What others want to know (rule 16). A machine says so in the rows of the decision that makes it true; followers read it
//! in the journal, in the order in which it happened.

use crate::ids::{OrderId, codes};
use crate::row;
use crate::row::{First, Home};
use crate::time::Timestamp;

/// What is announced.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum AnnouncementKind {
    /// An order is paid for the first time. One that costs nothing is as well.
    Paid,
    /// A placed order has ended without tickets.
    Cancelled,
    /// Late money has brought a cancelled order back: it is paid, and has tickets.
    Revived,
    /// A ticket was used; once for each redemption.
    Redeemed,
    /// Nothing of an order is left to be used.
    Completed,
}

codes!(AnnouncementKind, "announcement kind":
    Paid = "paid",
    Cancelled = "cancelled",
    Revived = "revived",
    Redeemed = "redeemed",
    Completed = "completed",
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
}

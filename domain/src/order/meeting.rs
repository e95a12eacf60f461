//! What a command of one topic does while others are under way: the one table that is whole. Everything else of a topic
//! stands in its folder.

use crate::rejection::Rejection;

/// What is asked of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// A payment is to begin.
    Pay,
    /// The traveller does not want the order any more.
    GiveUp,
    /// A payment has been paid. `in_hand`: it is the one whose money the order is settling.
    Money { in_hand: bool },
    /// Money that goes back: a step of a refund, or what WeChat says about one.
    Refund,
    /// A ticket is shown at a gate.
    Scan,
}

/// Where an order stands, as far as others are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// Seats are being sought, or given back because not all were found: there is no order yet.
    Unplaced,
    /// The seats are held.
    Open,
    /// And a payment has begun.
    Collecting,
    /// It ends unpaid: the payment is being ended at WeChat, or the seats are being given back.
    Ending,
    /// Money is there, or none is needed, and seats are being confirmed.
    Settling,
    /// Money has come, and a departure refused the seats: what is left of them is being given back.
    Failing,
    Paid,
    Cancelled,
}

/// What comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Course {
    /// As asked.
    Goes,
    /// Nothing: it is so, or about to be.
    AlreadySo,
    /// The money pays the order.
    Settles,
    /// The money is late money: it climbs the ladder of R-PAY-04.
    ComesLate,
}

/// Every topic's command × everything that can be under way.
pub(super) fn meets(asked: Asked, at: At) -> Result<Course, Rejection> {
    use Course::{AlreadySo, ComesLate, Goes, Settles};

    match asked {
        Asked::Pay => match at {
            At::Open => Ok(Goes),
            At::Unplaced | At::Collecting | At::Ending | At::Settling | At::Failing | At::Cancelled => {
                Err(Rejection::OrderNotPayable)
            }
            At::Paid => Err(Rejection::OrderPaid),
        },
        Asked::GiveUp => match at {
            At::Unplaced => Err(Rejection::OrderNotFound),
            At::Open | At::Collecting => Ok(Goes),
            At::Ending | At::Failing | At::Cancelled => Ok(AlreadySo),
            At::Settling | At::Paid => Err(Rejection::OrderPaid),
        },
        // Success always wins over what we thought (wechat.md R4), once per payment.
        Asked::Money { in_hand } => match at {
            // Also while it ends: the seats are asked for before anybody says that they are gone.
            At::Unplaced | At::Open | At::Collecting | At::Ending => Ok(Settles),
            At::Settling | At::Failing if in_hand => Ok(AlreadySo),
            // A second attempt was paid as well.
            At::Settling | At::Failing | At::Paid | At::Cancelled => Ok(ComesLate),
        },
        // Refunds go beside everything else: what WeChat says about one is true, whatever the order does.
        Asked::Refund => match at {
            At::Unplaced
            | At::Open
            | At::Collecting
            | At::Ending
            | At::Settling
            | At::Failing
            | At::Paid
            | At::Cancelled => Ok(Goes),
        },
        // The tickets say what they are good for. An order that is unpaid has none.
        Asked::Scan => match at {
            At::Unplaced => Err(Rejection::OrderNotFound),
            At::Open | At::Collecting | At::Ending | At::Settling | At::Failing | At::Paid | At::Cancelled => Ok(Goes),
        },
    }
}

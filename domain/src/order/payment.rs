//! A payment at WeChat, and what WeChat says about it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{OutTradeNo, TravellerId};
use crate::money::Money;
use crate::time::Timestamp;

/// Where a payment at WeChat stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PaymentState {
    /// Recorded with its exact body; seats are being kept longer, or the call is under way or will be repeated.
    Begun,
    /// WeChat knows it; the traveller can pay.
    Created(Prepay),
    /// WeChat refused to create it.
    Refused {
        code: Box<str>,
    },
    /// Closed at WeChat, confirmed by a query.
    Closed,
    Paid {
        transaction_id: Box<str>,
    },
    /// Paid after the order was cancelled, or a second time: it finds seats again, or the money goes back.
    PaidLate {
        transaction_id: Box<str>,
        /// When the traveller paid, by WeChat's clock.
        paid_at: Option<Timestamp>,
    },
}

impl PaymentState {
    /// Whether the traveller may still be able to pay it.
    pub fn is_alive(&self) -> bool {
        matches!(self, PaymentState::Begun | PaymentState::Created(_))
    }
}

/// What the traveller's app shows WeChat to pay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Prepay {
    /// WeChat's.
    pub id: Box<str>,
    pub nonce: Box<str>,
    pub signed_at_seconds: i64,
}

/// One attempt to be paid. At most one is alive (wechat.md R1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Payment {
    pub number: OutTradeNo,
    pub total: Money,
    /// The exact body of the create call; a repetition sends the same bytes. Kept only while it may be repeated.
    pub body: Arc<[u8]>,
    /// The last moment at which WeChat lets the traveller pay.
    pub time_expire: Timestamp,
    /// Until when the departures keep the seats; past it, an unconfirmed close is an alarm.
    pub hold_expires_at: Timestamp,
    pub begun_at: Timestamp,
    /// When WeChat was asked and said that nobody can pay it any more, so that the seats could be given back.
    pub ended_at: Option<Timestamp>,
    pub state: PaymentState,
}

impl Payment {
    /// Whatever follows on the beginning, the create call is not made again: nobody needs its body, here or in the row.
    pub(in crate::order) fn set(&mut self, state: PaymentState) {
        if state != PaymentState::Begun {
            self.body = Arc::default();
        }
        self.state = state;
    }
}

/// Money that WeChat says it has captured.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Capture {
    pub transaction_id: Box<str>,
    pub amount: Money,
    /// Who paid; WeChat may leave it out.
    pub payer: Option<TravellerId>,
    /// When it was paid, by WeChat's clock and to the second.
    pub paid_at: Option<Timestamp>,
}

/// What WeChat says about a payment, whoever brought it: callback, query or bill (wechat.md R5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentFact {
    pub number: OutTradeNo,
    pub state: FactState,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FactState {
    /// Paid; also when part of it has been refunded since.
    Paid(Capture),
    NotPaid,
    Closed,
    /// WeChat does not know the number.
    NotFound,
    /// Under our number, and about somebody else's money: another merchant or appid (R-PAY-06). Says what differs.
    Foreign(&'static str),
}

//! WeChat's side of the world: what has become of each payment and each refund, and what it says when it is asked.

use super::*;

/// A refund at WeChat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Back {
    Processing,
    Success,
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AtWechat {
    Unknown,
    /// It said so.
    Refused,
    Open {
        until: Timestamp,
    },
    Closed,
    Paid {
        at: Timestamp,
    },
}

/// Payments by their attempt, refunds by their number.
#[derive(Default)]
pub(super) struct Wechat {
    payments: BTreeMap<u16, AtWechat>,
    refunds: BTreeMap<u16, Back>,
    /// It has let the traveller pay after it had said closed.
    pub(super) broke_its_word: bool,
}

impl Wechat {
    fn at(&self, attempt: u16) -> AtWechat {
        self.payments.get(&attempt).copied().unwrap_or(AtWechat::Unknown)
    }

    /// `asked`: the end that the order wants.
    pub(super) fn create(&mut self, attempt: u16, asked: Timestamp, refused: bool, now: Timestamp) -> Command {
        match self.at(attempt) {
            AtWechat::Unknown if refused => {
                self.payments.insert(attempt, AtWechat::Refused);
                create_refused(attempt, false)
            }
            AtWechat::Refused => create_refused(attempt, false),
            AtWechat::Unknown => {
                // WeChat raises an earlier end silently (wechat.md R2).
                let until = asked.max(now.plus_seconds(60));
                self.payments.insert(attempt, AtWechat::Open { until });
                created(attempt)
            }
            // A repetition can be refused although the first was not.
            AtWechat::Open { .. } if refused => create_refused(attempt, false),
            AtWechat::Open { .. } => created(attempt),
            AtWechat::Closed | AtWechat::Paid { .. } => create_refused(attempt, true),
        }
    }

    pub(super) fn query(&self, attempt: u16) -> Command {
        let state = match self.at(attempt) {
            AtWechat::Unknown | AtWechat::Refused => FactState::NotFound,
            AtWechat::Open { .. } => FactState::NotPaid,
            AtWechat::Closed => FactState::Closed,
            AtWechat::Paid { at } => FactState::Paid(Capture { paid_at: Some(at), ..capture(attempt) }),
        };
        fact(attempt, state)
    }

    /// `refused`: WeChat says yes and does nothing (wechat.md R3).
    pub(super) fn close(&mut self, attempt: u16, refused: bool) -> Command {
        if matches!(self.at(attempt), AtWechat::Open { .. }) && !refused {
            self.payments.insert(attempt, AtWechat::Closed);
        }
        close_answered(attempt)
    }

    /// The traveller's thumb: the attempt that was paid. `after_all`: also one that was closed or refused.
    pub(super) fn pay(&mut self, after_all: bool, now: Timestamp) -> Option<u16> {
        let payable = |state: &AtWechat| match state {
            AtWechat::Open { until } => now < *until,
            AtWechat::Closed | AtWechat::Refused => after_all,
            AtWechat::Unknown | AtWechat::Paid { .. } => false,
        };
        let (attempt, state) = self.payments.iter_mut().find(|(_, state)| payable(state))?;
        self.broke_its_word |= !matches!(state, AtWechat::Open { .. });
        *state = AtWechat::Paid { at: now };
        Some(*attempt)
    }

    /// `payment`: what it gives back.
    pub(super) fn refund(&mut self, number: OutRefundNo, payment: OutTradeNo, refused: bool) -> Command {
        if refused && !self.refunds.contains_key(&number.number) {
            return back::Command::RefundRefused { number, code: "NOT_ENOUGH".into() }.into();
        }
        self.refunds.entry(number.number).or_insert(Back::Processing);
        self.query_refund(number.number, payment)
    }

    pub(super) fn query_refund(&self, refund: u16, payment: OutTradeNo) -> Command {
        let Some(state) = self.refunds.get(&refund) else { return refund_says(refund, RefundFactState::NotFound) };
        let status = match state {
            Back::Processing => RefundStatus::Processing,
            Back::Success => RefundStatus::Success,
            Back::Closed => RefundStatus::Closed,
        };
        refund_says(refund, RefundFactState::Known(KnownRefund { payment, ..known_refund(refund, status) }))
    }

    /// One of the refunds under way comes to its end: its number.
    pub(super) fn refund_goes_on(&mut self, pick: usize, closed: bool) -> Option<u16> {
        let mut under_way: Vec<(&u16, &mut Back)> =
            self.refunds.iter_mut().filter(|(_, state)| **state == Back::Processing).collect();
        let pick = pick % under_way.len().max(1);
        let (number, state) = under_way.get_mut(pick)?;
        **state = if closed { Back::Closed } else { Back::Success };
        Some(**number)
    }

    pub(super) fn is_refunding(&self) -> bool {
        self.refunds.values().any(|state| *state == Back::Processing)
    }

    /// How many refunds have arrived.
    pub(super) fn refunded(&self) -> usize {
        self.refunds.values().filter(|state| **state == Back::Success).count()
    }

    /// How many payments can be paid now.
    pub(super) fn payable(&self, now: Timestamp) -> usize {
        let is_payable = |state: &&AtWechat| matches!(state, AtWechat::Open { until } if now < *until);
        self.payments.values().filter(is_payable).count()
    }

    pub(super) fn has_open(&self) -> bool {
        self.payments.values().any(|state| matches!(state, AtWechat::Open { .. }))
    }

    /// Attempts that were paid, and when.
    pub(super) fn paid(&self) -> impl Iterator<Item = (u16, Timestamp)> {
        self.payments.iter().filter_map(|(attempt, state)| match state {
            AtWechat::Paid { at } => Some((*attempt, *at)),
            AtWechat::Unknown | AtWechat::Refused | AtWechat::Open { .. } | AtWechat::Closed => None,
        })
    }
}

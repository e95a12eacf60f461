//! What searches quote: the price of one thing alone, lowered by the best promotion that applies by itself. Nobody is known
//! yet who orders, so what each traveller may have counts only when he does.

use std::ops::Range;
use std::sync::Arc;

use super::apply::{Applied, Basket, Line, best};
use super::{Promotion, SalesChannel};
use crate::departure::Channel;
use crate::money::Money;
use crate::party::Party;
use crate::register::Entry;
use crate::time::Timestamp;

/// A promotion that applies by itself, with its validity: searches look at it every time.
#[derive(Clone, PartialEq, Debug)]
pub struct Automatic {
    pub entry: Arc<Entry<Promotion>>,
    valid: Range<Timestamp>,
}

impl Automatic {
    pub fn new(entry: Arc<Entry<Promotion>>) -> Automatic {
        let (from, until) = entry.validity();
        Automatic { entry, valid: from..until }
    }
}

/// Those that are valid for whoever orders directly, and have uses left.
#[derive(Clone, Debug)]
pub struct InForce {
    now: Timestamp,
    promotions: Vec<Arc<Entry<Promotion>>>,
}

/// A price that is quoted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quoted {
    pub total: Money,
    /// What has lowered it.
    pub promotion: Option<Applied>,
}

impl InForce {
    pub fn of(all: &[Automatic], has_run_out: impl Fn(&Promotion) -> bool, now: Timestamp) -> InForce {
        let direct = SalesChannel::from(&Channel::Direct);
        let is_quoted = |promotion: &&Automatic| {
            let channels = &promotion.entry.channels;
            let is_sold = channels.is_empty() || channels.contains(&direct);
            is_sold && promotion.valid.contains(&now) && !has_run_out(&promotion.entry)
        };
        InForce {
            now,
            promotions: all.iter().filter(is_quoted).map(|promotion| Arc::clone(&promotion.entry)).collect(),
        }
    }

    /// Whether they are the same, so that the same is quoted.
    pub fn is_as(&self, other: &InForce) -> bool {
        let same = |(a, b): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(a, b);
        self.promotions.len() == other.promotions.len() && self.promotions.iter().zip(&other.promotions).all(same)
    }

    /// The price of these lines, which are `total` together.
    pub fn quote<'a>(&self, lines: impl Iterator<Item = Line<'a>>, party: Party, total: Money) -> Quoted {
        if self.promotions.is_empty() {
            return Quoted { total, promotion: None };
        }
        let lines: Vec<Line<'_>> = lines.collect();
        let basket = Basket { lines: &lines, party_size: party.size(), channel: &Channel::Direct, now: self.now };
        let promotion = best(&basket, &basket.left(), self.promotions.iter());
        let off = promotion.as_ref().map_or(0, |applied| applied.discount_minor);
        Quoted { total: Money::new(total.minor - off, total.currency), promotion }
    }
}

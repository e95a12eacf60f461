//! The id of a batch, and how ids of its tickets follow from it.

use std::fmt;
use std::str::FromStr;

use super::BATCH_TICKETS_MAX;
use crate::ids::{InvalidId, OrderId, PartnerCode, Shard};
use crate::row::{Element, Kind, Raw, Unreadable, Uuid, text_fields};
use crate::time::Timestamp;

/// A batch of a partner's tickets. Composed as an order's id is, of version 8 instead of 7 (RFC 9562), so that the two never
/// meet, and with low bits of 0: those number its tickets, from 1. The orders that its tickets become have these ids, so what
/// is printed names its final owner.
///
/// Reservations of travellers have numbers of version 8 as well; those are ids of no order, and are held at departures only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BatchId(OrderId);

const VERSION: u128 = 0x8 << 76;
const VERSION_MASK: u128 = 0xF << 76;
/// For [`BATCH_TICKETS_MAX`] and more.
const TICKET_MASK: u128 = (1 << 13) - 1;

impl BatchId {
    /// A new id, in the shard of its partner. `chance` must be fresh for every call.
    pub fn compose(at: Timestamp, partner: &PartnerCode, chance: u64) -> BatchId {
        let bits = OrderId::compose(at, partner.shard(), chance).bits() & !VERSION_MASK & !TICKET_MASK;
        BatchId(OrderId::from_bits(bits | VERSION))
    }

    /// `None`: it is an order's, or a ticket's.
    pub fn from_bits(bits: u128) -> Option<BatchId> {
        let is_one = bits & VERSION_MASK == VERSION && bits & TICKET_MASK == 0;
        is_one.then_some(BatchId(OrderId::from_bits(bits)))
    }

    pub fn bits(self) -> u128 {
        self.0.bits()
    }

    /// The id of the order that ticket `number` becomes, from 1.
    pub fn ticket(self, number: u16) -> OrderId {
        OrderId::from_bits(self.bits() | u128::from(number) & TICKET_MASK)
    }

    /// Under which its units are held.
    pub fn holder(self) -> OrderId {
        self.0
    }

    pub fn shard(self) -> Shard {
        self.0.shard()
    }

    /// When it was made, to the millisecond.
    pub fn made_at(self) -> Timestamp {
        self.0.made_at()
    }
}

impl OrderId {
    /// The batch and the number of the ticket that becomes this order. `None`: it is no ticket of a batch.
    pub fn of_batch(self) -> Option<(BatchId, u16)> {
        let number = (self.bits() & TICKET_MASK) as u16;
        let batch = BatchId::from_bits(self.bits() & !TICKET_MASK)?;
        (1..=BATCH_TICKETS_MAX).contains(&number).then_some((batch, number))
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BatchId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<BatchId, InvalidId> {
        let id = text.parse().ok().and_then(|id: OrderId| BatchId::from_bits(id.bits()));
        id.ok_or(InvalidId("batch id"))
    }
}

text_fields!(BatchId: Text);

impl Element<'_> for Uuid<BatchId> {
    const ONE: Kind = Kind::Uuid;

    fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
        Uuid(self.0.0).put_one(tag, out);
    }

    fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
        let Uuid(id) = Uuid::<OrderId>::get_one(raw)?;
        BatchId::from_bits(id.bits()).map(Uuid).ok_or(Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_ms(1_795_147_200_123);

    fn batch(chance: u64) -> BatchId {
        BatchId::compose(AT, &PartnerCode::constant("partner-a"), chance)
    }

    #[test]
    fn a_ticket_names_its_batch_and_its_number() {
        for chance in [0, 7, u64::MAX] {
            let batch = batch(chance);
            assert_eq!(batch.to_string().parse(), Ok(batch));
            assert_eq!((batch.made_at(), batch.shard()), (AT, batch.ticket(1).shard()));
            for number in [1, 2, BATCH_TICKETS_MAX] {
                assert_eq!(batch.ticket(number).of_batch(), Some((batch, number)));
                assert_eq!(batch.ticket(number).to_string().parse::<BatchId>(), Err(InvalidId("batch id")));
            }
            assert!(batch.ticket(1) < batch.ticket(2));
        }
    }

    #[test]
    fn no_order_and_no_batch_is_a_ticket_of_a_batch() {
        for chance in 0..10_000 {
            assert_eq!(OrderId::compose(AT, Shard::of(77), chance << 2).of_batch(), None);
        }
        assert_eq!(batch(5).holder().of_batch(), None);
        assert_eq!(batch(5).ticket(BATCH_TICKETS_MAX + 1).of_batch(), None);
        assert_eq!(BatchId::from_bits(batch(5).ticket(3).bits()), None);
    }

    #[test]
    fn batches_of_a_partner_are_of_one_shard() {
        let other = BatchId::compose(AT.plus_seconds(5), &PartnerCode::constant("partner-b"), 1);
        assert_eq!(batch(1).shard(), batch(2).shard());
        assert_ne!(batch(1).shard(), other.shard());
    }
}

//! What orders announce of units that partners have sold, and up to where in the journal those have been told who hold them:
//! batches, and partners' books (rule 16). Telling one again is harmless, so the position is written after all of a stretch
//! have heard.

use std::collections::{BTreeMap, BTreeSet};

use super::{BatchId, Became};
use crate::announcement::{AnnouncementKind, AnnouncementRow};
use crate::ids::{OrderId, PartnerCode};
use crate::machine::{Machine, Room};
use crate::rejection::Rejection;
use crate::row;
use crate::row::{Damage, First, Row as _, Rows};
use crate::time::Timestamp;

/// The key of the only row there is.
const ROW: &str = "batches";

row! {
    /// Up to here batches have been told.
    pub struct BatchFollowerRow<'a>: 83 "batch_followers", First::Unknown;
    1 follower [Key]: &'a str,
    2 version: u64,
    /// Of the journal.
    3 position: u64,
}

/// What has become of units, together for each who is to hear it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct News {
    /// Of batches, which count their tickets, by number.
    pub tickets: BTreeMap<BatchId, BTreeMap<u16, Became>>,
    /// Orders of reservations: units of them are their partner's again.
    pub refunded: BTreeSet<(PartnerCode, OrderId)>,
}

impl News {
    /// Adds what is announced, if it is news.
    pub fn add(&mut self, announced: &AnnouncementRow) {
        let &AnnouncementRow { order_id, kind, ref partner, .. } = announced;
        let became = match kind {
            AnnouncementKind::Used => Became::Used,
            AnnouncementKind::Refunded => Became::Refunded,
            AnnouncementKind::Paid
            | AnnouncementKind::Cancelled
            | AnnouncementKind::Revived
            | AnnouncementKind::Redeemed
            | AnnouncementKind::Completed
            | AnnouncementKind::ReservationExpired
            | AnnouncementKind::BatchExpired => return,
        };
        match (order_id.of_batch(), became, partner) {
            (Some((batch, number)), became, _) => {
                // A ticket has one end.
                self.tickets.entry(batch).or_default().entry(number).or_insert(became);
            }
            (None, Became::Refunded, Some(partner)) => {
                self.refunded.insert((partner.clone(), order_id));
            }
            // What is used is not given back, and a traveller's order is its own.
            (None, Became::Used, _) | (None, Became::Refunded, None) => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty() && self.refunded.is_empty()
    }
}

/// Batches have heard of everything behind `after`, up to and with `up_to`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Heard {
    pub after: u64,
    pub up_to: u64,
}

/// See the module's documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Followed {
    position: u64,
}

impl Followed {
    /// Without a row nothing has been told.
    pub fn from_rows(rows: &Rows) -> Result<Followed, Damage> {
        let mut followed = Followed::default();
        for row in rows.of() {
            let row: BatchFollowerRow<'_> = row?;
            if row.follower != ROW {
                return Err(row.damage("there is one row only"));
            }
            followed = Followed { position: row.position };
        }
        Ok(followed)
    }

    /// Of the journal: up to here batches have been told.
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl Machine for Followed {
    type Command = Heard;
    /// What is told is what happens.
    type Event = Heard;

    const ROOM: Room = Room::Estimated;

    /// A stretch that begins elsewhere was told before, or would leave a gap.
    fn decide(&self, heard: &Heard, _: Timestamp) -> Result<Vec<Heard>, Rejection> {
        let fits = heard.after == self.position && heard.up_to > self.position;
        Ok(fits.then_some(*heard).into_iter().collect())
    }

    fn apply(&mut self, heard: &[Heard], version: u64) -> Rows {
        for Heard { up_to, .. } in heard {
            self.position = *up_to;
        }
        let mut rows = Rows::default();
        rows.put(&BatchFollowerRow { follower: ROW, version, position: self.position });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);

    #[test]
    fn rule_16_a_stretch_is_heard_once_and_none_is_left_out() {
        let mut followed = Followed::default();
        let heard = |after, up_to| Heard { after, up_to };
        let events = followed.decide(&heard(0, 5), NOW).unwrap();
        let rows = followed.apply(&events, 1);
        for elsewhere in [heard(0, 5), heard(4, 9), heard(6, 9), heard(5, 5)] {
            assert_eq!(followed.decide(&elsewhere, NOW), Ok(vec![]), "{elsewhere:?}");
        }
        assert_eq!(Followed::from_rows(&rows), Ok(followed));
        assert_eq!(followed.position(), 5);
    }

    fn announced(kind: AnnouncementKind, order_id: OrderId, partner: Option<&PartnerCode>) -> AnnouncementRow {
        let (ticket, number, item, count, batch) = (None, None, None, None, None);
        AnnouncementRow {
            order_id,
            version: 1,
            kind,
            ticket,
            number,
            at: NOW,
            partner: partner.cloned(),
            item,
            count,
            batch,
        }
    }

    /// Of the ticket that becomes this, so that each becomes one thing.
    fn number(kind: AnnouncementKind) -> u16 {
        1 + AnnouncementKind::ALL.iter().position(|other| *other == kind).unwrap() as u16
    }

    #[test]
    fn only_what_ends_a_ticket_of_a_batch_and_gives_a_unit_back_is_news() {
        let partner = PartnerCode::constant("partner-a");
        let batch = BatchId::compose(NOW, &partner, 9 << 20);
        let order = OrderId::compose(NOW, partner.shard(), 9 << 20);
        let mut news = News::default();
        assert!(news.is_empty());
        for kind in AnnouncementKind::ALL {
            for (order_id, partner) in
                [(batch.ticket(number(kind)), Some(&partner)), (order, Some(&partner)), (order, None)]
            {
                news.add(&announced(kind, order_id, partner));
            }
        }
        let ends = [(AnnouncementKind::Used, Became::Used), (AnnouncementKind::Refunded, Became::Refunded)];
        let tickets = ends.map(|(kind, became)| (number(kind), became)).into();
        assert_eq!(news, News { tickets: [(batch, tickets)].into(), refunded: [(partner, order)].into() });
    }

    #[test]
    fn what_a_ticket_first_became_is_its_end() {
        let partner = PartnerCode::constant("partner-a");
        let batch = BatchId::compose(NOW, &partner, 9 << 20);
        let mut news = News::default();
        for kind in [AnnouncementKind::Used, AnnouncementKind::Refunded] {
            news.add(&announced(kind, batch.ticket(3), Some(&partner)));
        }
        assert_eq!(news.tickets, [(batch, [(3, Became::Used)].into())].into());
    }
}

//! What of the seats is in use, for administrators: counted, and named where it stands against a change (R-ADMIN-04).

use crate::departure::{Channel, SeatClass};
use crate::hold::HoldState;
use crate::rejection::Rejection;
use crate::time::Timestamp;

use super::{Inventory, Pool};

/// What stands against a change names at most so many seats.
const NAMED_MAX: usize = 10;

/// How a seat is in use somewhere on the way. One that is held on one stretch and sold on another is sold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Use {
    Held,
    Sold,
}

/// The seats of one class that one channel may sell: `held` and `sold` of them somewhere on the way, the others are free all
/// along it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolUse<'a> {
    pub class: &'a SeatClass,
    pub channel: &'a Channel,
    pub seats: u16,
    pub held: u16,
    pub sold: u16,
}

impl Inventory {
    /// Class by class, and channel by channel as they came here. Every class has the operator's own channel; others are there
    /// as far as they have seats.
    pub fn pools(&self, now: Timestamp) -> Vec<PoolUse<'_>> {
        let uses = self.uses(now);
        let classes = self.spec.seat_map.classes.iter().zip(0_u8..);
        let pools =
            classes.flat_map(|(class, number)| self.channels.iter().zip(0_u8..).map(move |of| (class, number, of)));
        let counted = pools.map(|(class, number, (channel, index))| {
            let (seats, held, sold) = self.count(Pool::new(number, index), &uses);
            PoolUse { class, channel, seats, held, sold }
        });
        counted.filter(|pool| pool.seats > 0 || *pool.channel == Channel::Direct).collect()
    }

    /// Seat by seat of those on board. What is due is free (R-HOLD-03).
    pub(super) fn uses(&self, now: Timestamp) -> Vec<Option<Use>> {
        let mut uses = vec![None; self.places.len()];
        for (_, hold) in self.holds().filter(|(_, hold)| !hold.life.is_due(now)) {
            let state = match hold.life.state {
                HoldState::Held | HoldState::Paying => Use::Held,
                HoldState::Confirmed => Use::Sold,
            };
            for seat in hold.takes.live_seats() {
                if let Some(used) = uses.get_mut(usize::from(seat)) {
                    *used = (*used).max(Some(state));
                }
            }
        }
        uses
    }

    fn count(&self, pool: Pool, uses: &[Option<Use>]) -> (u16, u16, u16) {
        let own = || self.places.iter().zip(uses).filter(|(place, _)| place.pool == pool).map(|(_, used)| *used);
        let of = |state: Use| own().filter(|used| *used == Some(state)).count() as u16;
        (own().count() as u16, of(Use::Held), of(Use::Sold))
    }

    /// The seats of this pool are in use.
    pub(super) fn below_use(&self, pool: Pool, now: Timestamp) -> Rejection {
        let (seats, held, sold) = self.count(pool, &self.uses(now));
        let class = self.spec.seat_map.classes.get(usize::from(pool.class)).map_or("", |class| class.code.as_str());
        let channel = self.channel(pool.channel).unwrap_or(&Channel::Direct);
        Rejection::BelowUse {
            uses: format!("of {seats} seats of {class} for {channel} {held} are held and {sold} sold"),
        }
    }

    /// These seats are in use, and would not be there.
    pub(super) fn named_uses(&self, seats: &[(u16, Use)]) -> Rejection {
        let name = |(seat, used): &(u16, Use)| {
            let used = match used {
                Use::Held => "held",
                Use::Sold => "sold",
            };
            format!("{} is {used}", self.label(*seat))
        };
        let uses = seats.iter().take(NAMED_MAX).map(name).collect::<Vec<_>>().join(", ");
        let more = seats.len().saturating_sub(NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Rejection::BelowUse { uses: format!("seat {uses}{more}") }
    }
}

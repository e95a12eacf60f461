//! Allotments (R-ADMIN-04): seats set aside for partners, isolated from the operator's own sale and from each other.
//! Only seats that are free the whole way change hands. Partners get the hindmost seats and give back their front-most,
//! so that each channel's seats stay together.

use crate::departure::{Allotment, Channel};
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;

use super::command::Event;
use super::pick::Place;
use super::taken::Taken;
use super::{CHANNELS_MAX, Inventory, Pool};

impl Inventory {
    pub(super) fn set_allotments(&self, allotments: &[Allotment], now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let targets = self.targets(allotments)?;
        let taken = self.taken_without(None, now);
        let mut places = self.places.clone();
        let mut moved = Vec::new();
        // Give back before taking, so that one request can pass seats from one partner to another.
        for growing in [false, true] {
            for (pool, target) in &targets {
                let own = Pool::new(pool.class, 0);
                let has = places.iter().filter(|place| place.pool == *pool).count();
                let (from, to, count) = if growing {
                    (own, *pool, target.saturating_sub(has))
                } else {
                    (*pool, own, has.saturating_sub(*target))
                };
                let movable = move_seats(&mut places, &taken, from, to, count, growing);
                movable.ok_or_else(|| self.below_use(from, now))?;
            }
        }
        let channels = self.channels_with(allotments);
        for (seat, (before, after)) in self.places.iter().zip(&places).enumerate() {
            if before.pool != after.pool {
                let channel = channels.get(usize::from(after.pool.channel)).copied().unwrap_or(&Channel::Direct);
                moved.push((seat as u16, channel.clone()));
            }
        }
        if moved.is_empty() {
            return Ok(Vec::new());
        }

        Ok(self.opening().chain(self.lapses(now)).chain([Event::SeatsAllotted { moves: moved }]).collect())
    }

    /// The pools named, each once, with how many seats they shall have.
    fn targets(&self, allotments: &[Allotment]) -> Result<Vec<(Pool, usize)>, Rejection> {
        let fits = |holds, message| ensure(holds, "allotments", message);
        let channels = self.channels_with(allotments);
        fits(channels.len() <= CHANNELS_MAX, "has more channels than a departure can have")?;
        let mut targets: Vec<(Pool, usize)> = Vec::with_capacity(allotments.len());
        for allotment in allotments {
            let others = allotment.channel != Channel::Direct;
            fits(others, "has the operator's own channel, which has what is left")?;
            // A channel is written as text: what does not come back as it was would never wake again.
            let text = allotment.channel.to_string();
            let comes_back = !text.contains('\0') && text.parse().as_ref() == Ok(&allotment.channel);
            fits(comes_back, "has a channel whose name cannot be kept")?;
            let class = self.spec.seat_map.class(&allotment.class);
            let class = class.ok_or(Rejection::field("allotments", "has a class that this departure lacks"))?;
            let channel = channels.iter().position(|known| **known == allotment.channel).unwrap_or(0);
            let pool = Pool::new(class, channel as u8);
            let once = targets.iter().all(|(named, _)| *named != pool);
            fits(once, "has the same channel and class twice")?;
            targets.push((pool, usize::from(allotment.seats)));
        }
        Ok(targets)
    }

    /// The channels as they will be numbered once those of the request are known.
    fn channels_with<'a>(&'a self, allotments: &'a [Allotment]) -> Vec<&'a Channel> {
        let mut channels: Vec<&Channel> = self.channels.iter().collect();
        for allotment in allotments {
            if !channels.contains(&&allotment.channel) {
                channels.push(&allotment.channel);
            }
        }
        channels
    }
}

/// Moves `count` wholly free seats, from the back or from the front. `None` if there are fewer.
pub(super) fn move_seats(
    places: &mut [Place],
    taken: &Taken,
    from: Pool,
    to: Pool,
    count: usize,
    from_back: bool,
) -> Option<()> {
    let can_move = |(place, seat): &(&mut Place, u16)| place.pool == from && taken.of(*seat) == 0;
    let seats = places.iter_mut().zip(0..).filter(can_move).map(|(place, _)| place);
    let mut movable: Vec<&mut Place> = seats.collect();
    if from_back {
        movable.reverse();
    }
    if movable.len() < count {
        return None;
    }
    for place in movable.into_iter().take(count) {
        place.pool = to;
    }
    Some(())
}

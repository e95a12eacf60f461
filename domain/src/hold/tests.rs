//! Stories of holds on units of something that has no seats: the life is the same whatever is taken.

use std::collections::BTreeMap;

use super::*;
use crate::ids::OrderId;
use crate::rejection::Rejection;

const MINUTE: i64 = 60_000;
const ID: HoldId = HoldId { order: OrderId::from_bits(1), item: 0 };

/// So many, of which so many were given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Units {
    taken: u16,
    back: u16,
}

impl Takes for Units {
    fn is_given_back(&self) -> bool {
        self.taken == self.back
    }
}

impl<T> Holds<T> {
    /// What is remembered at `now` of holds that were released before their time: epoch and end.
    pub(crate) fn remembered(&self, now: Timestamp) -> BTreeMap<HoldId, (u32, Timestamp)> {
        let ended = self.ended.iter().filter(|(_, ended)| ended.expires_at > now);
        ended.map(|(id, ended)| (*id, (ended.epoch, ended.expires_at))).collect()
    }
}

/// `minutes` after the start of the story.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_ms(1_770_000_000_000).plus_ms(minutes * MINUTE)
}

fn epoch(epoch: u32) -> HoldAt {
    HoldAt { hold: ID, epoch }
}

/// An owner that always has room. Every command says whether something happened.
#[derive(Default)]
struct Owner(Holds<Units>);

impl Owner {
    fn place(&mut self, asked: HoldAt, taken: u16, expires_at: Timestamp, now: Timestamp) -> Result<bool, Rejection> {
        let placing = self.0.placing(asked, |units| units.taken == taken, now)?;
        let Some((life, replaced)) = placing.map(|new| Ok((new.life(expires_at)?, new.replaces()))).transpose()? else {
            return Ok(false);
        };

        if replaced.is_some() {
            self.0.ended(asked.hold, now);
        }
        self.0.placed(asked.hold, Hold { life, takes: Units { taken, back: 0 } });
        Ok(true)
    }

    /// Two units for ten minutes.
    fn two(&mut self, asked: HoldAt, now: Timestamp) -> Result<bool, Rejection> {
        self.place(asked, 2, now.plus_ms(10 * MINUTE), now)
    }

    fn pay(&mut self, asked: HoldAt, expires_at: Timestamp, now: Timestamp) -> Result<bool, Rejection> {
        let begun = self.0.paying(&BeginPaying { hold: asked.hold, epoch: asked.epoch, expires_at }, now)?;

        if let Some(expires_at) = begun {
            self.0.paying_begun(asked.hold, expires_at);
        }
        Ok(begun.is_some())
    }

    fn confirm(&mut self, asked: HoldAt, now: Timestamp) -> Result<bool, Rejection> {
        let confirms = self.0.confirms(asked, now)?;

        if confirms {
            self.0.confirmed(asked.hold);
        }
        Ok(confirms)
    }

    fn release(&mut self, asked: HoldAt, now: Timestamp) -> Result<bool, Rejection> {
        let releases = self.0.releasing(asked, now)?.is_some();

        if releases {
            self.0.ended(asked.hold, now);
        }
        Ok(releases)
    }

    fn give_back(&mut self, asked: HoldAt, units: u16, now: Timestamp) -> Result<(), Rejection> {
        self.0.check_confirmed(asked, now)?;

        self.0.takes_mut(asked.hold).unwrap().back += units;
        Ok(())
    }

    fn sweep(&mut self, now: Timestamp) -> Vec<HoldId> {
        let due: Vec<_> = self.0.due(now).map(|(id, _)| id).collect();
        assert!(due.iter().all(|id| self.0.ended(*id, now).is_some()));
        due
    }
}

#[test]
fn r_hold_03_an_expired_hold_cannot_be_confirmed_even_if_the_timer_is_late() {
    let mut owner = Owner::default();
    owner.two(epoch(1), at(0)).unwrap();
    assert_eq!(owner.confirm(epoch(1), at(10)), Err(Rejection::HoldExpired));
    assert_eq!(owner.pay(epoch(1), at(15), at(10)), Err(Rejection::HoldExpired));
    assert_eq!(owner.release(epoch(1), at(10)), Ok(false), "it holds nothing");
    assert_eq!(owner.confirm(epoch(1), at(10).plus_ms(-1)), Ok(true));
}

#[test]
fn r_hold_03_a_hold_that_nobody_pays_lapses_and_is_not_remembered() {
    let mut owner = Owner::default();
    owner.two(epoch(1), at(0)).unwrap();
    assert_eq!(owner.0.next_deadline(), Some(at(10)));
    assert_eq!(owner.sweep(at(10).plus_ms(-1)), []);
    assert_eq!(owner.sweep(at(10)), [ID]);
    assert_eq!((owner.0.next_deadline(), owner.0.knows(ID)), (None, false));
    assert_eq!(owner.confirm(epoch(1), at(10)), Err(Rejection::HoldNotFound));
    assert_eq!(owner.place(epoch(1), 2, at(10), at(10)), Err(Rejection::HoldExpired), "its placing comes again, late");
}

#[test]
fn r_hold_04_repeating_a_step_is_already_so() {
    let mut owner = Owner::default();
    owner.two(epoch(1), at(0)).unwrap();
    assert_eq!(owner.two(epoch(1), at(1)), Ok(false));
    let other = Rejection::field("epoch", "names a hold that was placed with other content");
    assert_eq!(owner.place(epoch(1), 3, at(10), at(1)), Err(other));
    assert_eq!(owner.give_back(epoch(1), 1, at(1)), Err(Rejection::field("hold", "is not confirmed")));
    assert_eq!([owner.pay(epoch(1), at(15), at(2)), owner.pay(epoch(1), at(15), at(2))], [Ok(true), Ok(false)]);
    assert_eq!(owner.pay(epoch(1), at(12), at(2)), Ok(false), "a hold is never shortened");
    assert_eq!([owner.confirm(epoch(1), at(3)), owner.confirm(epoch(1), at(3))], [Ok(true), Ok(false)]);
    assert_eq!(owner.two(epoch(1), at(4)), Ok(false), "it was placed with the same content");
    assert_eq!(owner.release(epoch(1), at(4)), Err(Rejection::HoldAlreadyConfirmed));
    assert_eq!(owner.pay(epoch(1), at(20), at(4)), Err(Rejection::HoldAlreadyConfirmed));
}

#[test]
fn r_hold_09_a_hold_whose_payment_was_begun_never_lapses() {
    let mut owner = Owner::default();
    owner.two(epoch(1), at(0)).unwrap();
    owner.pay(epoch(1), at(15), at(9)).unwrap();
    assert_eq!((owner.0.next_deadline(), owner.sweep(at(60))), (None, vec![]));
    assert_eq!((owner.0.overdue(at(14)), owner.0.overdue(at(15))), (vec![], vec![ID]), "an alarm, never a release");
    assert_eq!(owner.confirm(epoch(1), at(60)), Ok(true), "paid in the last moment");
    assert_eq!(owner.0.overdue(at(60)), []);
}

#[test]
fn r_hold_10_late_money_places_the_hold_again_with_a_higher_epoch() {
    let mut owner = Owner::default();
    owner.two(epoch(1), at(0)).unwrap();
    owner.release(epoch(1), at(1)).unwrap();
    assert_eq!(owner.place(epoch(2), 2, at(30), at(2)), Ok(true));
    assert_eq!(owner.confirm(epoch(1), at(3)), Err(Rejection::HoldEpochStale));
    assert_eq!(owner.release(epoch(1), at(3)), Err(Rejection::HoldEpochStale));
    assert_eq!(owner.place(epoch(1), 2, at(10), at(3)), Err(Rejection::HoldEpochStale));
    assert_eq!(owner.confirm(epoch(3), at(3)), Err(Rejection::HoldNotFound), "a hold that has not been placed yet");
    assert_eq!(owner.confirm(epoch(2), at(3)), Ok(true));
}

#[test]
fn r_hold_10_a_higher_epoch_makes_the_one_before_give_way_unless_it_is_confirmed() {
    let mut owner = Owner::default();
    owner.two(epoch(1), at(0)).unwrap();
    assert_eq!(owner.two(epoch(2), at(1)), Ok(true));
    let Hold { life, .. } = owner.0.get(ID).unwrap();
    assert_eq!((life.epoch, life.placed_at, owner.0.next_deadline()), (2, at(1), Some(at(11))));
    owner.confirm(epoch(2), at(2)).unwrap();
    assert_eq!(owner.two(epoch(3), at(3)), Err(Rejection::HoldAlreadyConfirmed));
    owner.give_back(epoch(2), 1, at(3)).unwrap();
    assert_eq!(owner.two(epoch(2), at(4)), Ok(false));
    owner.give_back(epoch(2), 1, at(4)).unwrap();
    assert_eq!(owner.two(epoch(2), at(5)), Err(Rejection::HoldAlreadyReleased), "all of it is somebody else's");
    assert_eq!(owner.confirm(epoch(2), at(5)), Err(Rejection::HoldAlreadyReleased));
}

#[test]
fn r_hold_10_a_released_hold_is_remembered_until_its_placing_would_refuse_itself() {
    let mut owner = Owner::default();
    owner.two(epoch(2), at(0)).unwrap();
    owner.release(epoch(2), at(1)).unwrap();
    assert_eq!(owner.0.remembered(at(1)), BTreeMap::from([(ID, (2, at(10)))]));
    assert_eq!(owner.place(epoch(2), 2, at(10), at(2)), Err(Rejection::HoldAlreadyReleased));
    assert_eq!(owner.place(epoch(1), 2, at(10), at(2)), Err(Rejection::HoldEpochStale));
    assert_eq!(owner.confirm(epoch(2), at(10).plus_ms(-1)), Err(Rejection::HoldAlreadyReleased));
    assert_eq!(owner.confirm(epoch(3), at(2)), Err(Rejection::HoldNotFound));
    assert_eq!(owner.confirm(epoch(2), at(10)), Err(Rejection::HoldNotFound), "nobody believes it any more");

    let others = HoldId { item: 1, ..ID };
    owner.two(HoldAt { hold: others, epoch: 1 }, at(11)).unwrap();
    assert!(!owner.0.knows(ID), "the next placing sweeps it away");
}

#[test]
fn a_row_names_every_standing_of_a_hold_and_is_read_back() {
    let live = HoldState::ALL.map(Standing::Live);
    for standing in live.into_iter().chain([Standing::Released, Standing::Expired]) {
        assert_eq!(standing.code().parse(), Ok(standing));
    }
    assert_eq!("lost".parse::<Standing>(), Err(InvalidId("hold state")));
}

#[test]
fn what_a_hold_takes_is_all_that_it_costs_besides_its_life() {
    assert_eq!(size_of::<Life>(), 24);
    assert_eq!(size_of::<crate::inventory::Hold>(), 56, "within one line of a processor's cache");
}

//! Random commands with time passing and restarts, on a small stock where everything collides, beside a model that keeps
//! every placing there ever was and counts anew each time.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const PARTNERS: [&str; 2] = ["trip", "klook"];
/// After a jump of so many minutes what was confirmed before is settled.
const DAYS: i64 = 49 * 60;

#[derive(Clone, Debug)]
struct Step {
    minutes_later: i64,
    hold: u16,
    /// Against the newest epoch that was placed.
    epoch_shift: i32,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Place { quantity: u32, day: Option<i8>, channel: usize, holder: Option<u16>, minutes: i64 },
    PlaceAgain,
    Pay { minutes: i64 },
    Confirm,
    Release,
    Free { left: u32 },
    Limit(Limits),
    Allot(Vec<(usize, u32)>),
    Expire,
    Forget,
    Restart,
}

/// One placing.
#[derive(Clone, Debug)]
struct Placed {
    place: Place,
    left: u32,
    /// `None`: it has ended.
    state: Option<HoldState>,
    expires_at: Timestamp,
}

impl Placed {
    fn is_live(&self, now: Timestamp) -> bool {
        match self.state {
            None => false,
            Some(HoldState::Held) => now < self.expires_at,
            Some(HoldState::Paying | HoldState::Confirmed) => true,
        }
    }
}

#[derive(Default)]
struct Model {
    limits: Limits,
    allotments: BTreeMap<Channel, u32>,
    placed: Vec<Placed>,
}

impl Model {
    fn units(&self, now: Timestamp, is_so: impl Fn(&Placed) -> bool) -> u32 {
        self.placed.iter().filter(|placed| placed.is_live(now) && is_so(placed)).map(|placed| placed.left).sum()
    }

    fn of_holder(&self, holder: TravellerId, now: Timestamp) -> u32 {
        let his = |placed: &&Placed| placed.is_live(now) && placed.left > 0 && placed.place.holder == Some(holder);
        self.placed.iter().filter(his).count() as u32
    }

    /// What a channel may still sell, if it is bounded.
    fn left(&self, channel: &Channel, now: Timestamp) -> Option<u32> {
        if let Some(limit) = self.allotments.get(channel) {
            return Some(limit - self.units(now, |placed| placed.place.channel == *channel));
        }
        let total = self.limits.total?;
        if *channel != Channel::Direct {
            return Some(0);
        }
        let open = self.units(now, |placed| !self.allotments.contains_key(&placed.place.channel));
        Some(total - self.allotments.values().sum::<u32>() - open)
    }

    fn fits(&self, now: Timestamp) -> bool {
        let (limits, set_aside) = (self.limits, self.allotments.values().sum::<u32>());
        let open = self.units(now, |placed| !self.allotments.contains_key(&placed.place.channel));
        let date = |day: i8| self.units(now, |placed| placed.place.date == Some(date(day)));
        let of = |channel: &Channel| self.units(now, |placed| placed.place.channel == *channel);
        limits.total.is_none_or(|total| set_aside + open <= total)
            && limits.per_date.is_none_or(|limit| (20..22).all(|day| date(day) <= limit))
            && self.allotments.iter().all(|(channel, limit)| of(channel) <= *limit)
    }

    /// The live placing that a command names.
    fn live(&mut self, at: HoldAt, now: Timestamp) -> Option<&mut Placed> {
        self.placed.iter_mut().find(|placed| placed.place.at == at && placed.is_live(now))
    }

    /// The same hold of an earlier epoch makes way.
    fn end_others(&mut self, hold: HoldId, now: Timestamp) {
        let others = self.placed.iter_mut().filter(|placed| placed.place.at.hold == hold);
        others.filter(|placed| placed.is_live(now)).for_each(|placed| placed.state = None);
    }

    /// What the machine did, or refused, is right.
    fn follow(&mut self, command: &Command, answer: &Result<Vec<Event>, Rejection>, now: Timestamp) {
        let happened = answer.as_ref().is_ok_and(|events| !events.is_empty());
        match command {
            Command::Place(place) => self.follow_place(place, answer, now),
            Command::BeginPaying(begin) if happened => {
                let placed = self.live(HoldAt { hold: begin.hold, epoch: begin.epoch }, now).expect("a live hold");
                assert_ne!(placed.state, Some(HoldState::Confirmed));
                placed.expires_at = placed.expires_at.max(begin.expires_at);
                placed.state = Some(HoldState::Paying);
            }
            Command::Confirm(at) if happened => {
                let placed = self.live(*at, now).expect("a live hold");
                assert_ne!(placed.state.replace(HoldState::Confirmed), Some(HoldState::Confirmed));
            }
            Command::Release(at) if happened => {
                let placed = self.live(*at, now).expect("a live hold");
                assert_ne!(placed.state.take(), Some(HoldState::Confirmed));
            }
            Command::Free(free) => {
                let placed = self.live(free.at, now).filter(|placed| placed.state == Some(HoldState::Confirmed));
                assert_eq!(answer.is_ok(), placed.is_some(), "{free:?}: {answer:?}");
                let Some(placed) = placed else { return };
                assert_eq!(happened, free.units_left < placed.left);
                placed.left = placed.left.min(free.units_left);
            }
            Command::SetLimits(limits) => {
                let before = std::mem::replace(&mut self.limits, *limits);
                assert_eq!(answer.is_ok(), self.fits(now), "{limits:?}: {answer:?}");
                if answer.is_err() {
                    self.limits = before;
                }
            }
            Command::SetAllotments(allotments) => {
                let before = self.allotments.clone();
                self.allotments.extend(allotments.iter().map(|one| (one.channel.clone(), one.quantity)));
                assert_eq!(answer.is_ok(), self.fits(now), "{allotments:?}: {answer:?}");
                if answer.is_err() {
                    self.allotments = before;
                }
            }
            Command::BeginPaying(_) | Command::Confirm(_) | Command::Release(_) | Command::Expire | Command::Forget => {
            }
        }
    }

    fn follow_place(&mut self, place: &Place, answer: &Result<Vec<Event>, Rejection>, now: Timestamp) {
        match answer {
            Ok(events) if events.is_empty() => {
                let placed = self.live(place.at, now).expect("it is already so");
                assert_eq!(placed.place.quantity, place.quantity);
            }
            Ok(_) => {
                self.end_others(place.at.hold, now);
                let held = Placed {
                    place: place.clone(),
                    left: place.quantity,
                    state: Some(HoldState::Held),
                    expires_at: place.expires_at,
                };
                self.placed.push(held);
                assert!(self.fits(now), "nothing is ever above a limit");
                let his = place.holder.map_or(0, |holder| self.of_holder(holder, now));
                assert!(self.limits.per_holder.is_none_or(|limit| place.holder.is_none() || his <= limit));
            }
            Err(Rejection::SoldOut { available, .. }) => {
                // What would make way for it does not stand in its way.
                let makes_way = |placed: &Placed| {
                    placed.state != Some(HoldState::Confirmed) && placed.place.at.epoch < place.at.epoch
                };
                let mut without =
                    Model { limits: self.limits, allotments: self.allotments.clone(), placed: self.placed.clone() };
                without.placed.retain(|placed| placed.place.at.hold != place.at.hold || !makes_way(placed));
                let of_date = self
                    .limits
                    .per_date
                    .zip(place.date)
                    .map(|(limit, date)| limit - without.units(now, |placed| placed.place.date == Some(date)));
                let left = without.left(&place.channel, now).into_iter().chain(of_date).min();
                if left.is_some_and(|left| left < place.quantity) {
                    assert_eq!(Some(u32::from(*available)), left);
                } else {
                    let his = place.holder.map_or(0, |holder| without.of_holder(holder, now));
                    assert!(self.limits.per_holder.is_some_and(|limit| his >= limit), "{place:?}");
                }
            }
            // Of the hold's past: the stories of holds tell them.
            Err(_) => {}
        }
    }

    fn check(&self, story: &Story, now: Timestamp) {
        let stock = &story.stock;
        let due: Vec<&Units> = stock.holds.due(now).map(|(_, hold)| &hold.takes).collect();
        let pools = stock.pools_without(&due);
        let channels: Vec<Channel> = [Channel::Direct].into_iter().chain(PARTNERS.map(partner)).collect();
        for channel in &channels {
            assert_eq!(pools.left(channel), self.left(channel, now), "{channel}");
        }
        let mut used = stock.used.clone();
        for units in due {
            used.remove(units);
        }
        let mut counted = Used::default();
        for placed in self.placed.iter().filter(|placed| placed.is_live(now)) {
            let Place { quantity, date, channel, holder, .. } = placed.place.clone();
            counted.add(&Units { quantity, left: placed.left, date, channel, holder });
        }
        assert_eq!(used, counted);
    }
}

/// All that a decision depends on, but for settled holds, which may be remembered or not.
fn essence(stock: &Stock, now: Timestamp) -> String {
    let until = Stock::settled_until(now);
    let is_settled = |hold: &Hold| hold.life.state == HoldState::Confirmed && hold.life.expires_at <= until;
    let holds: BTreeMap<HoldId, &Hold> = stock.holds().filter(|(_, hold)| !is_settled(hold)).collect();
    let deadlines: Vec<_> = stock.holds.due(Timestamp::MAX).map(|(id, hold)| (hold.life.expires_at, id)).collect();
    let Stock { id, born, terms, holds: all, .. } = stock;
    format!("{id} {born} {terms:?} {holds:?} {deadlines:?} {:?}", all.remembered(now))
}

impl Story {
    fn command(&self, step: &Step, placed: &HashMap<HoldId, Place>, now: Timestamp) -> Option<Command> {
        let hold = hold_id(step.hold);
        let last = placed.get(&hold);
        let epoch = last.map_or(1, |last| last.at.epoch).saturating_add_signed(step.epoch_shift).max(1);
        let at = HoldAt { hold, epoch };
        // An order that has had a hold confirmed does not ask for it again two days later.
        let is_settled = self.stock.hold(hold).is_none() && last.is_some_and(|last| self.settled(last.at).is_some());
        let channel = |at: usize| if at == 0 { Channel::Direct } else { partner(PARTNERS[at - 1]) };
        Some(match &step.what {
            What::Place { .. } if is_settled => Command::Place(last?.clone()),
            What::Place { quantity, day, channel: of, holder: by, minutes } => Command::Place(Place {
                at,
                quantity: *quantity,
                date: day.map(date),
                channel: channel(*of),
                holder: by.map(holder),
                expires_at: now.plus_ms(minutes * MINUTE),
            }),
            What::PlaceAgain => Command::Place(last?.clone()),
            What::Pay { minutes } => {
                Command::BeginPaying(BeginPaying { hold, epoch, expires_at: now.plus_ms(minutes * MINUTE) })
            }
            What::Confirm => Command::Confirm(at),
            What::Release => Command::Release(at),
            What::Free { left } => {
                // As the owner does: what it does not know it reads.
                let settled = self.stock.hold(hold).is_none().then(|| self.settled(at)).flatten();
                Command::Free(Free { at, units_left: *left, settled })
            }
            What::Limit(limits) => Command::SetLimits(*limits),
            What::Allot(allotments) => {
                let of = |(at, quantity): &(usize, u32)| Allotment { channel: channel(*at), quantity: *quantity };
                Command::SetAllotments(allotments.iter().map(of).collect())
            }
            What::Expire => Command::Expire,
            What::Forget => Command::Forget,
            What::Restart => return None,
        })
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

fn step() -> impl Strategy<Value = Step> {
    let minutes_later = prop_oneof![20 => Just(0), 8 => 1..3_i64, 2 => 5..12_i64, 1 => Just(DAYS)];
    let epoch_shift = prop_oneof![1 => Just(-1), 8 => Just(0), 2 => Just(1)];
    (minutes_later, 0..12_u16, epoch_shift, what()).prop_map(|(minutes_later, hold, epoch_shift, what)| Step {
        minutes_later,
        hold,
        epoch_shift,
        what,
    })
}

fn what() -> impl Strategy<Value = What> {
    let minutes = prop_oneof![6 => 5..11_i64, 1 => -1..3_i64];
    let channel = prop_oneof![3 => Just(0_usize), 2 => 1..3_usize];
    let place = (1..5_u32, prop::option::of(20..22_i8), channel, prop::option::of(0..3_u16), minutes)
        .prop_map(|(quantity, day, channel, holder, minutes)| What::Place { quantity, day, channel, holder, minutes });
    let limit = |most: u32| prop_oneof![2 => (0..most).prop_map(Some), 1 => Just(None)];
    let limits = (limit(30), limit(12), limit(4))
        .prop_map(|(total, per_date, per_holder)| What::Limit(Limits { total, per_date, per_holder }));
    let allot = prop_oneof![
        1 => (1..3_usize, 0..10_u32).prop_map(|one| vec![one]),
        1 => (0..10_u32, 0..10_u32).prop_map(|(trip, klook)| vec![(1, trip), (2, klook)]),
    ];
    prop_oneof![
        200 => place,
        40 => Just(What::PlaceAgain),
        30 => (1..16_i64).prop_map(|minutes| What::Pay { minutes }),
        90 => Just(What::Confirm),
        40 => Just(What::Release),
        50 => (0..5_u32).prop_map(|left| What::Free { left }),
        25 => limits,
        25 => allot.prop_map(What::Allot),
        20 => Just(What::Expire),
        10 => Just(What::Forget),
        15 => Just(What::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn r_hold_04_nothing_is_ever_above_a_limit_and_sums_are_exact_also_through_restarts(steps in steps()) {
        let mut story = Story { stock: Stock::unborn(package()), stored: Images::default(), version: 0 };
        let mut model = Model::default();
        let mut placed = HashMap::new();
        let mut now = at(0);
        for step in &steps {
            now = now.plus_ms(step.minutes_later * MINUTE);
            if let Some(command) = story.command(step, &placed, now) {
                let answer = story.tell(&command, now);
                model.follow(&command, &answer, now);
                // What is already so keeps its time.
                if let (Command::Place(place), Ok(events)) = (&command, &answer)
                    && !events.is_empty()
                {
                    placed.insert(place.at.hold, place.clone());
                }
            } else if story.stock.born {
                story.restart(now);
            }
            model.check(&story, now);
            if story.stock.born {
                let woken = Stock::from_rows(&story.answered(now), now).unwrap();
                prop_assert_eq!(essence(&woken, now), essence(&story.stock, now));
                prop_assert_eq!(woken.used, story.stock.used.clone());
            }
        }
    }
}

//! A naive inventory, slow and obvious, that must give the same answers as the real one. It does not choose seats: it
//! judges the machine's choice.

mod refit;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::random::{PARTNERS, STOPS, Sender, VESSEL, beginning, steps};
use super::*;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Life {
    Held,
    Paying,
    Confirmed,
    Released,
}

#[derive(Clone, Debug)]
struct NaiveHold {
    epoch: u32,
    life: Life,
    request: PlaceHold,
    seats: Vec<String>,
    freed: BTreeSet<String>,
    expires_at: Timestamp,
}

impl NaiveHold {
    fn is_due(&self, now: Timestamp) -> bool {
        self.life == Life::Held && self.expires_at <= now
    }

    /// Confirmed, and all its seats are back on sale since.
    fn is_given_back(&self) -> bool {
        self.life == Life::Confirmed && self.freed.len() == self.seats.len()
    }

    fn takes(&self, label: &str, way: u8) -> bool {
        self.life != Life::Released
            && self.seats.iter().any(|seat| seat == label)
            && !self.freed.contains(label)
            && (self.request.stretch.board..self.request.stretch.alight).contains(&way)
    }
}

/// What a command must lead to.
#[derive(PartialEq, Debug)]
enum Answer {
    AlreadySo,
    Done,
    Field(&'static str),
    Refused(Rejection),
    /// Which uses it names is told in stories.
    BelowUse,
}

/// Label, class, row and column.
type NaiveSeat = (String, SeatClassCode, u16, u8);

fn drawn(map: &SeatMap) -> impl Iterator<Item = NaiveSeat> + '_ {
    let code = |seat: &Seat| map.classes[usize::from(seat.class)].code.clone();
    map.seats.iter().map(move |seat| (seat.label.clone(), code(seat), seat.row, seat.column))
}

struct Naive {
    seats: Vec<NaiveSeat>,
    channels: BTreeMap<String, Channel>,
    holds: BTreeMap<HoldId, NaiveHold>,
    /// Of the seats, in their order.
    classes: Vec<SeatClassCode>,
    stopped: bool,
    cancelled: bool,
}

use Answer::{AlreadySo, BelowUse, Done, Field, Refused};

impl Naive {
    fn new() -> Naive {
        let map = seat_map(VESSEL);
        Naive {
            seats: drawn(&map).collect(),
            channels: map.seats.iter().map(|seat| (seat.label.clone(), Channel::Direct)).collect(),
            holds: BTreeMap::new(),
            classes: map.classes.iter().map(|class| class.code.clone()).collect(),
            stopped: false,
            cancelled: false,
        }
    }

    /// The hold is known under this id: live, or released and not yet past its time.
    fn known(&self, id: HoldId, now: Timestamp) -> Option<&NaiveHold> {
        self.holds.get(&id).filter(|hold| hold.life != Life::Released || hold.expires_at > now)
    }

    /// Whether a seat is free on a stretch at `now`, were `without` not there.
    fn is_free(&self, label: &str, stretch: Stretch, without: Option<HoldId>, now: Timestamp) -> bool {
        let ways = stretch.board..stretch.alight;
        let mut others = self.holds.iter().filter(|(id, hold)| Some(**id) != without && !hold.is_due(now));
        !others.any(|(_, hold)| ways.clone().any(|way| hold.takes(label, way)))
    }

    fn is_wholly_free(&self, label: &str, now: Timestamp) -> bool {
        self.is_free(label, Stretch { board: 0, alight: STOPS as u8 - 1 }, None, now)
    }

    /// The free seats of a request, as places in the map.
    fn free_for(&self, request: &PlaceHold, now: Timestamp) -> Vec<usize> {
        let old = self.holds.get(&request.hold);
        let gives_way = |hold: &&NaiveHold| hold.epoch < request.epoch && hold.life != Life::Confirmed;
        let without = old.filter(gives_way).map(|_| request.hold);
        let fits = |(label, class, ..): &(String, SeatClassCode, u16, u8)| {
            *class == request.class
                && self.channels[label] == request.channel
                && self.is_free(label, request.stretch, without, now)
        };
        (0..self.seats.len()).filter(|at| fits(&self.seats[*at])).collect()
    }

    fn answer(&self, command: &Command, now: Timestamp) -> Answer {
        match command {
            Command::PlaceHold(request) => self.answer_place(request, now),
            Command::BeginPaying(begin) => {
                let known = self.exactly(begin.hold, begin.epoch, now);
                match known {
                    Ok(hold) if hold.life == Life::Paying && hold.expires_at >= begin.expires_at => AlreadySo,
                    _ if self.cancelled => Refused(Rejection::DepartureCancelled),
                    Ok(hold) if hold.life == Life::Confirmed => Refused(Rejection::HoldAlreadyConfirmed),
                    Ok(_) => Done,
                    Err(refused) => Refused(refused),
                }
            }
            Command::ConfirmHold(at) => match self.exactly(at.hold, at.epoch, now) {
                Ok(hold) if hold.is_given_back() => Refused(Rejection::HoldAlreadyReleased),
                Ok(hold) if hold.life == Life::Confirmed => AlreadySo,
                Ok(_) => Done,
                Err(refused) => Refused(refused),
            },
            Command::ReleaseHold(at) => match self.exactly(at.hold, at.epoch, now) {
                Ok(hold) if hold.life == Life::Confirmed => Refused(Rejection::HoldAlreadyConfirmed),
                Ok(_) => Done,
                Err(Rejection::HoldEpochStale) => Refused(Rejection::HoldEpochStale),
                Err(_) => AlreadySo,
            },
            Command::FreeSeats(free) => {
                let same = self.holds.get(&free.hold).filter(|h| h.epoch == free.epoch && h.life != Life::Released);
                if same.is_some_and(|hold| free.seats.iter().any(|seat| !hold.seats.contains(seat))) {
                    return Field("seatNumbers");
                }
                match self.exactly(free.hold, free.epoch, now) {
                    Ok(hold) if hold.life != Life::Confirmed => Field("hold"),
                    Ok(hold) if free.seats.iter().all(|seat| hold.freed.contains(seat)) => AlreadySo,
                    Ok(_) => Done,
                    Err(refused) => Refused(refused),
                }
            }
            Command::SetAllotments(set) => self.answer_allotments(set, now),
            Command::Alter(alteration) => self.answer_alter(alteration, now),
            Command::Retime(_) => unreachable!("times are told in stories"),
            Command::CancelDeparture if self.cancelled => AlreadySo,
            Command::CancelDeparture => Done,
            Command::Expire if self.holds.values().any(|hold| hold.is_due(now)) => Done,
            Command::Expire => AlreadySo,
        }
    }

    fn exactly(&self, id: HoldId, epoch: u32, now: Timestamp) -> Result<&NaiveHold, Rejection> {
        match self.known(id, now) {
            Some(hold) if hold.epoch > epoch => Err(Rejection::HoldEpochStale),
            Some(hold) if hold.epoch < epoch => Err(Rejection::HoldNotFound),
            Some(hold) if hold.life == Life::Released => Err(Rejection::HoldAlreadyReleased),
            Some(hold) if hold.is_due(now) => Err(Rejection::HoldExpired),
            Some(hold) => Ok(hold),
            None => Err(Rejection::HoldNotFound),
        }
    }

    fn answer_place(&self, request: &PlaceHold, now: Timestamp) -> Answer {
        let known = self.known(request.hold, now);
        let same = known.filter(|hold| hold.epoch == request.epoch);
        if let Some(hold) = same.filter(|hold| hold.life != Life::Released && !hold.is_due(now)) {
            if hold.is_given_back() {
                return Refused(Rejection::HoldAlreadyReleased);
            }
            let same_seats = match &request.wanted {
                Wanted::Auto(count) => usize::from(*count) == hold.seats.len(),
                Wanted::Chosen(labels) => *labels == hold.seats,
                Wanted::Reserved { seats, .. } => usize::from(*seats) == hold.seats.len(),
            };
            let of = |place: &PlaceHold| (place.channel.clone(), place.class.clone(), place.stretch);
            return if same_seats && of(request) == of(&hold.request) { AlreadySo } else { Field("epoch") };
        }
        if !self.classes.contains(&request.class) {
            return Field("seatClass");
        }
        let Stretch { board, alight } = request.stretch;
        if board >= alight || usize::from(alight) >= STOPS {
            return Field("alightStop");
        }
        let class_of = |label: &String| self.seats.iter().find(|seat| seat.0 == *label).map(|seat| &seat.1);
        match &request.wanted {
            Wanted::Auto(count) if !(1..=10).contains(count) => return Field("seats"),
            Wanted::Auto(_) | Wanted::Reserved { .. } => {}
            Wanted::Chosen(labels) => {
                let distinct: BTreeSet<_> = labels.iter().collect();
                if distinct.len() < labels.len() || labels.iter().any(|l| class_of(l) != Some(&request.class)) {
                    return Field("seatNumbers");
                }
            }
        }
        let boards_at = DEPARTS_AT.plus_ms(i64::from(board) * 60 * MINUTE);
        if self.cancelled {
            return Refused(Rejection::DepartureCancelled);
        }
        if self.stopped || now >= boards_at.plus_ms(-30 * MINUTE) {
            return Refused(Rejection::BookingClosed);
        }
        let free = self.free_for(request, now);
        match &request.wanted {
            Wanted::Auto(count) if free.len() < usize::from(*count) => {
                return Refused(Rejection::SoldOut { of: Sold::Seats, wanted: *count, available: free.len() as u16 });
            }
            Wanted::Auto(_) => {}
            Wanted::Chosen(labels) => {
                let taken = |label: &&String| free.iter().all(|at| self.seats[*at].0 != **label);
                if let Some(seat) = labels.iter().find(taken) {
                    return Refused(Rejection::SeatTaken { seat: seat.clone() });
                }
            }
            Wanted::Reserved { reservation, seats } => {
                let of = |place: &PlaceHold| (place.channel.clone(), place.class.clone(), place.stretch);
                match self.exactly(*reservation, 1, now) {
                    Err(Rejection::HoldNotFound) => return Refused(Rejection::HoldExpired),
                    Err(Rejection::HoldAlreadyReleased) => return Refused(Rejection::ReservationEnded),
                    Err(refused) => return Refused(refused),
                    Ok(hold) if hold.life != Life::Held => return Refused(Rejection::ReservationEnded),
                    Ok(hold) if hold.seats.len() != usize::from(*seats) || of(request) != of(&hold.request) => {
                        return Field("reservationId");
                    }
                    Ok(_) => {}
                }
            }
        }
        match known {
            Some(hold) if hold.epoch > request.epoch => Refused(Rejection::HoldEpochStale),
            _ if request.expires_at <= now => Refused(Rejection::HoldExpired),
            _ if same.is_some_and(|hold| hold.is_due(now)) => Refused(Rejection::HoldExpired),
            _ if same.is_some() => Refused(Rejection::HoldAlreadyReleased),
            Some(hold) if hold.life == Life::Confirmed => Refused(Rejection::HoldAlreadyConfirmed),
            _ => Done,
        }
    }

    fn answer_allotments(&self, set: &[Allotment], now: Timestamp) -> Answer {
        let named: BTreeSet<_> = set.iter().map(|a| (&a.channel, &a.class)).collect();
        if named.len() < set.len() || set.iter().any(|of| !self.classes.contains(&of.class)) {
            return Field("allotments");
        }
        let mut change = false;
        for class in ['s', 'd'].map(class) {
            let of = |channel: &Channel, only_free: bool| {
                let mine = |(label, code, ..): &&(String, SeatClassCode, u16, u8)| {
                    *code == class
                        && self.channels[label] == *channel
                        && (!only_free || self.is_wholly_free(label, now))
                };
                self.seats.iter().filter(mine).count()
            };
            let mut spare = of(&Channel::Direct, true);
            let mut needed = 0;
            for allotment in set.iter().filter(|a| a.class == class) {
                let (has, target) = (of(&allotment.channel, false), usize::from(allotment.seats));
                if target < has && has - target > of(&allotment.channel, true) {
                    return BelowUse;
                }
                change |= target != has;
                spare += has.saturating_sub(target);
                needed += target.saturating_sub(has);
            }
            if needed > spare {
                return BelowUse;
            }
        }
        if change { Done } else { AlreadySo }
    }

    /// Follows the machine, which has done `command`, after judging what it chose.
    fn follow(&mut self, command: &Command, now: Timestamp, machine: &Inventory) {
        match command {
            Command::PlaceHold(request) => {
                let hold = machine.hold(request.hold).expect("was placed");
                let seats: Vec<usize> = hold.takes.seats.iter().map(usize::from).collect();
                let mut expires_at = request.expires_at;
                if let Wanted::Reserved { reservation, .. } = request.wanted {
                    let reserved = self.holds.get_mut(&reservation).expect("was adopted");
                    let labels = seats.iter().map(|seat| &self.seats[*seat].0);
                    assert!(labels.eq(&reserved.seats), "R-HOLD-07: the same seats");
                    reserved.life = Life::Released;
                    expires_at = expires_at.min(reserved.expires_at);
                } else {
                    self.judge(request, &seats, now);
                }
                let seats = seats.iter().map(|seat| self.seats[*seat].0.clone()).collect();
                self.sweep(now);
                let hold = NaiveHold {
                    epoch: request.epoch,
                    life: Life::Held,
                    request: request.clone(),
                    seats,
                    freed: BTreeSet::new(),
                    expires_at,
                };
                self.holds.insert(request.hold, hold);
            }
            Command::BeginPaying(begin) => {
                let hold = self.holds.get_mut(&begin.hold).unwrap();
                hold.life = Life::Paying;
                hold.expires_at = hold.expires_at.max(begin.expires_at);
            }
            Command::ConfirmHold(at) => self.holds.get_mut(&at.hold).unwrap().life = Life::Confirmed,
            Command::ReleaseHold(at) => self.holds.get_mut(&at.hold).unwrap().life = Life::Released,
            Command::FreeSeats(free) => {
                self.holds.get_mut(&free.hold).unwrap().freed.extend(free.seats.iter().cloned());
            }
            Command::SetAllotments(set) => {
                for (at, (label, ..)) in self.seats.iter().enumerate() {
                    let channel = machine.channel_of(at as u16).unwrap();
                    if self.channels[label] != *channel {
                        assert!(self.is_wholly_free(label, now), "seat {label} changed hands in use");
                    }
                }
                self.sweep(now);
                for (at, (label, ..)) in self.seats.iter().enumerate() {
                    self.channels.insert(label.clone(), machine.channel_of(at as u16).unwrap().clone());
                }
                for Allotment { channel, class, seats } in set {
                    assert_eq!(machine.allotment(class, channel), *seats);
                }
            }
            Command::Alter(alteration) => {
                self.stopped = alteration.stopped.unwrap_or(self.stopped);
                if let Some(refit) = &alteration.seats {
                    self.follow_refit(refit, now, machine);
                }
            }
            Command::Retime(_) => unreachable!("times are told in stories"),
            Command::CancelDeparture => self.cancelled = true,
            Command::Expire => self.sweep(now),
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        self.holds.retain(|_, hold| !hold.is_due(now));
    }

    /// The seats are free ones, as asked for, and as close together as there are.
    fn judge(&self, request: &PlaceHold, seats: &[usize], now: Timestamp) {
        let free = self.free_for(request, now);
        assert!(seats.iter().all(|seat| free.contains(seat)), "{seats:?} of {free:?}");
        let Wanted::Auto(wanted) = &request.wanted else {
            let labels: Vec<_> = seats.iter().map(|seat| self.seats[*seat].0.clone()).collect();
            assert_eq!(request.wanted, Wanted::Chosen(labels));
            return;
        };
        let wanted = usize::from(*wanted);
        assert_eq!(seats.iter().collect::<BTreeSet<_>>().len(), wanted);
        let row = |seat: usize| self.seats[seat].2;
        let side_by_side = |seats: &[usize]| {
            seats.windows(2).all(|two| row(two[0]) == row(two[1]) && self.seats[two[0]].3 + 1 == self.seats[two[1]].3)
        };
        if free.windows(wanted).any(side_by_side) {
            assert!(side_by_side(seats), "{seats:?} are not side by side, and others of {free:?} are");
        } else {
            let rows = |first: u16, last: u16| free.iter().filter(|s| (first..=last).contains(&row(**s))).count();
            let fits = |span: &u16| (0..8).any(|first| rows(first, first + span) >= wanted);
            let best = (0..8).find(fits).expect("they fit somewhere");
            let own = row(*seats.last().unwrap()) - row(seats[0]);
            assert_eq!(own, best, "rows spanned by {seats:?} of {free:?}");
        }
    }

    /// The machine shows what the model has, and the model never sells anything twice.
    fn compare(&self, machine: &Inventory, now: Timestamp) {
        for (at, (label, ..)) in self.seats.iter().enumerate() {
            for way in 0..STOPS as u8 - 1 {
                let holders = self.holds.values().filter(|hold| hold.takes(label, way)).count();
                assert!(holders <= 1, "R-HOLD-04: seat {label} has {holders} holders on way {way}");
                let shown = machine.occupancy(at as u16) & (1 << way) != 0;
                assert_eq!(shown, holders == 1, "seat {label} on way {way}");
            }
            assert_eq!(machine.channel_of(at as u16), Some(&self.channels[label]), "seat {label}");
        }
        let live: BTreeMap<_, _> = self.holds.iter().filter(|(_, hold)| hold.life != Life::Released).collect();
        assert_eq!(machine.holds().map(|(id, _)| id).collect::<BTreeSet<_>>(), live.keys().map(|id| **id).collect());
        for (id, hold) in &live {
            let own = machine.hold(**id).unwrap().life;
            let state = match hold.life {
                Life::Held => HoldState::Held,
                Life::Paying => HoldState::Paying,
                Life::Confirmed | Life::Released => HoldState::Confirmed,
            };
            assert_eq!((own.epoch, own.state, own.expires_at), (hold.epoch, state, hold.expires_at), "{id}");
        }
        let held = live.values().filter(|hold| hold.life == Life::Held).map(|hold| hold.expires_at);
        assert_eq!(machine.next_deadline(), held.min());
        let overdue = live.iter().filter(|(_, hold)| hold.life == Life::Paying && hold.expires_at <= now);
        assert_eq!(machine.overdue(now), overdue.map(|(id, _)| **id).collect::<Vec<_>>());
        self.compare_availability(machine);
    }

    fn compare_availability(&self, machine: &Inventory) {
        for channel in [Channel::Direct, partner(PARTNERS[0]), partner(PARTNERS[1])] {
            for (board, alight) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
                for class in ['s', 'd'].map(class) {
                    let is_taken =
                        |label: &str| (board..alight).any(|way| self.holds.values().any(|hold| hold.takes(label, way)));
                    let free = self.seats.iter().filter(|(label, code, ..)| {
                        *code == class && self.channels[label] == channel && !is_taken(label)
                    });
                    let left = machine.availability(&class, Stretch { board, alight }, &channel);
                    assert_eq!(usize::from(left), free.count(), "{channel} {class} {board}–{alight}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(250) })]

    #[test]
    fn r_hold_04_the_machine_and_a_naive_model_agree_over_random_commands(steps in steps()) {
        let mut machine = Inventory::unborn(departure(STOPS, VESSEL)).unwrap();
        // Evolve must bear any event, also one of another departure.
        let mut smaller = Inventory::unborn(departure(2, &["s"])).unwrap();
        let mut naive = Naive::new();
        let mut sender = Sender::default();
        let mut now = beginning();
        for step in &steps {
            now = now.plus_ms(step.minutes_later * MINUTE);
            let command = sender.command(step, &machine, now);
            let expected = naive.answer(&command, now);
            let decided = machine.decide(&command, now);
            prop_assert_eq!(&decided, &forgetful(&machine).decide(&command, now));
            let answer = match &decided {
                Ok(events) if events.is_empty() => AlreadySo,
                Ok(_) => Done,
                Err(Rejection::Field { field, .. }) => {
                    let known = [
                        "epoch", "alightStop", "seats", "seatNumbers", "reservationId", "hold", "allotments", "classes",
                        "seatClass",
                    ];
                    Field(known.into_iter().find(|known| known == field).expect("a field of the request"))
                }
                Err(Rejection::BelowUse { .. }) => BelowUse,
                Err(refused) => Refused(refused.clone()),
            };
            prop_assert_eq!(&answer, &expected, "{:?} at {}", command, now);

            let before: Vec<_> = (0..naive.seats.len() as u16).map(|s| (machine.occupancy(s), machine.channel_of(s).cloned())).collect();
            let events = decided.unwrap_or_default();
            for event in &events {
                machine.evolve(event);
                smaller.evolve(event);
            }
            if answer == Done {
                sender.done(&command);
                naive.follow(&command, now, &machine);
            }
            naive.compare(&machine, now);
            let touched: BTreeSet<u16> = events.iter().flat_map(Event::touched_seats).collect();
            for (seat, before) in before.into_iter().enumerate() {
                let seat = seat as u16;
                let same = before == (machine.occupancy(seat), machine.channel_of(seat).cloned());
                let renumbered = events.iter().any(Event::replaces_seats);
                prop_assert!(same || touched.contains(&seat) || renumbered, "seat {} changed untouched", seat);
            }
        }
    }
}

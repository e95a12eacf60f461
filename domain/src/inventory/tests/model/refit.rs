//! The model of another vehicle, or of more or fewer seats.

use super::*;

impl Naive {
    pub(super) fn answer_alter(&self, alteration: &Alteration, now: Timestamp) -> Answer {
        if let Some(Refit { vehicle, capacities: Some(named) }) = &alteration.seats {
            let codes: BTreeSet<_> = named.iter().map(|class| &class.code).collect();
            let too_many =
                |of: &ClassCapacity| usize::from(of.capacity) > drawn(vehicle).filter(|seat| seat.1 == of.code).count();
            let unknown = |of: &ClassCapacity| vehicle.class(&of.code).is_none();
            if codes.len() < named.len() || named.iter().any(|of| unknown(of) || too_many(of)) {
                return Field("classes");
            }
        }
        if self.cancelled {
            return Refused(Rejection::DepartureCancelled);
        }
        let other_sale = alteration.stopped.is_some_and(|stopped| stopped != self.stopped);
        let Some(refit) = &alteration.seats else { return if other_sale { Done } else { AlreadySo } };
        let Some(seats) = self.fitted(refit, now) else { return BelowUse };
        let same_aside = seats.iter().all(|seat| self.channels.get(&seat.0) == Some(&self.channel_on(seat, &seats)));
        if other_sale || self.seats != seats || self.fitted_classes(refit) != self.classes || !same_aside {
            Done
        } else {
            AlreadySo
        }
    }

    fn is_in_use(&self, label: &str, now: Timestamp) -> bool {
        !self.is_wholly_free(label, now)
    }

    /// The seats of a refit, unless it takes away what is in use or set aside.
    fn fitted(&self, refit: &Refit, now: Timestamp) -> Option<Vec<NaiveSeat>> {
        let all: Vec<NaiveSeat> = drawn(&refit.vehicle).collect();
        let own = |seat: &&NaiveSeat| self.seats.iter().any(|own| own.0 == seat.0 && own.1 == seat.1);
        let is_others = |seat: &NaiveSeat| self.channels[&seat.0] != Channel::Direct;
        let mut kept = Vec::new();
        for class in ['s', 'd'].map(class) {
            let of_class =
                |seats: &[NaiveSeat]| seats.iter().filter(|seat| seat.1 == class).cloned().collect::<Vec<_>>();
            let (before, after) = (of_class(&self.seats), of_class(&all));
            let named = refit.capacities.as_ref().map(|named| named.iter().find(|of| of.code == class));
            let target = match named {
                None => after.len(),
                Some(Some(of)) => usize::from(of.capacity),
                Some(None) => before.len().min(after.len()),
            };
            let in_use = |seat: &&NaiveSeat| self.is_in_use(&seat.0, now);
            if before.iter().filter(in_use).any(|used| after.iter().all(|seat| seat.0 != used.0)) {
                return None;
            }
            if before.iter().filter(|seat| self.is_in_use(&seat.0, now) || is_others(seat)).count() > target {
                return None;
            }
            let rank = |seat: &NaiveSeat| match own(&seat) {
                true if self.is_in_use(&seat.0, now) => 0,
                true if is_others(seat) => 1,
                true => 2,
                false => 3,
            };
            let ranked = (0..4).flat_map(|wanted| after.iter().filter(move |seat| rank(seat) == wanted));
            kept.extend(ranked.take(target).cloned());
        }
        Some(all.into_iter().filter(|seat| kept.contains(seat)).collect())
    }

    /// Without what is set aside anew for seats that are gone: then a seat is gone, and much has changed.
    fn channel_on(&self, seat: &NaiveSeat, seats: &[NaiveSeat]) -> Channel {
        assert!(seats.contains(seat));
        self.channels.get(&seat.0).cloned().unwrap_or(Channel::Direct)
    }

    fn fitted_classes(&self, refit: &Refit) -> Vec<SeatClassCode> {
        let mut classes: Vec<_> = refit.vehicle.classes.iter().map(|class| class.code.clone()).collect();
        let named = |code: &SeatClassCode| {
            self.holds.values().any(|hold| hold.life != Life::Released && hold.request.class == *code)
        };
        classes.extend(self.classes.iter().filter(|code| refit.vehicle.class(code).is_none() && named(code)).cloned());
        classes
    }

    pub(super) fn follow_refit(&mut self, refit: &Refit, now: Timestamp, machine: &Inventory) {
        let seats = self.fitted(refit, now).expect("was done");
        let map = &machine.spec().seat_map;
        assert_eq!(drawn(map).collect::<Vec<_>>(), seats);
        let classes: Vec<_> = map.classes.iter().map(|class| class.code.clone()).collect();
        assert_eq!(classes, self.fitted_classes(refit));
        for channel in PARTNERS.map(partner) {
            for class in ['s', 'd'].map(class) {
                let has = |seat: &&NaiveSeat| seat.1 == class && self.channels[&seat.0] == channel;
                let before = self.seats.iter().filter(has).count();
                assert_eq!(usize::from(machine.allotment(&class, &channel)), before, "{channel} keeps its seats");
            }
        }
        let mut channels = BTreeMap::new();
        for (seat, at) in seats.iter().zip(0..) {
            let channel = machine.channel_of(at).unwrap().clone();
            let was = self.seats.iter().any(|own| own.0 == seat.0 && own.1 == seat.1).then(|| &self.channels[&seat.0]);
            let moved = channel != Channel::Direct && !self.is_in_use(&seat.0, now);
            assert!(was == Some(&channel) || (was.is_none() && channel == Channel::Direct) || moved, "seat {}", seat.0);
            channels.insert(seat.0.clone(), channel);
        }
        if self.seats != seats || self.classes != classes {
            self.sweep(now);
        }
        (self.seats, self.channels, self.classes) = (seats, channels, classes);
    }
}

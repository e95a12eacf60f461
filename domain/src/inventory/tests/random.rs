//! Random commands with time passing, on a small departure where everything collides.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Two classes, an aisle, a row that is all deluxe.
pub(super) const VESSEL: &[&str] = &["ss ss", "ds s", "ddd", "sss s"];
/// What may run instead: with a class fewer or another, with rows more or fewer, with seats of another class.
const VESSELS: [&[&str]; 4] =
    [VESSEL, &["ss ss", "ss s", "sss"], &["ds ss", "ds s", "ddd", "sss s", "ssss"], &["d", "dd"]];
pub(super) const STOPS: usize = 4;
pub(super) const PARTNERS: [&str; 2] = ["trip", "klook"];

/// Shortly before booking closes at the first stop, so that it closes during most runs.
pub(super) fn beginning() -> Timestamp {
    DEPARTS_AT.plus_ms(-70 * MINUTE)
}

/// A command before it is known which epoch its hold has. What is random stays small, so that it collides and shrinks.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub minutes_later: i64,
    hold: u16,
    /// Whether a step after the placing picks a live hold, or any.
    at_live: bool,
    /// Against the newest epoch that was placed.
    epoch_shift: i32,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Place {
        channel: usize,
        class: char,
        board: u8,
        alight: u8,
        wanted: Wanted,
        minutes: i64,
    },
    /// As another hold was asked for, by its number, more or less seats apart.
    Adopt {
        reservation: u16,
        more: i16,
        minutes: i64,
    },
    /// The last placing of this hold once more.
    PlaceAgain,
    Pay {
        minutes: i64,
    },
    Confirm,
    Release,
    Free {
        seats: Vec<usize>,
        stranger: bool,
    },
    Allot(Vec<(usize, char, u16)>),
    Alter {
        vehicle: Option<usize>,
        capacities: Option<Vec<(char, u16)>>,
        stopped: Option<bool>,
    },
    Cancel,
    Expire,
}

/// What the sender of the commands remembers: the newest placing of every hold.
#[derive(Default)]
pub(super) struct Sender {
    placed: HashMap<HoldId, PlaceHold>,
}

impl Sender {
    /// `command` was done.
    pub fn done(&mut self, command: &Command) {
        if let Command::PlaceHold(place) = command {
            self.placed.insert(place.hold, place.clone());
        }
    }

    /// The step as a command to `inventory` at `now`.
    pub fn command(&self, step: &Step, inventory: &Inventory, now: Timestamp) -> Command {
        let mut live: Vec<HoldId> = inventory.holds().map(|(id, _)| id).collect();
        live.sort_unstable();
        let hold = match step.what {
            What::Place { .. } | What::Adopt { .. } => hold_id(step.hold),
            _ if step.at_live && !live.is_empty() => live[usize::from(step.hold) % live.len()],
            _ => hold_id(step.hold),
        };
        let last = self.placed.get(&hold);
        let epoch = last.map_or(1, |last| last.epoch).saturating_add_signed(step.epoch_shift).max(1);
        match &step.what {
            What::Place { channel, class: letter, board, alight, wanted, minutes } => {
                let place = PlaceHold {
                    hold,
                    epoch,
                    channel: if *channel == 0 { Channel::Direct } else { partner(PARTNERS[channel - 1]) },
                    class: class(*letter),
                    stretch: Stretch { board: *board, alight: *alight },
                    ride: None,
                    wanted: wanted.clone(),
                    expires_at: now.plus_ms(minutes * MINUTE),
                };
                Command::PlaceHold(place)
            }
            What::Adopt { reservation, more, minutes } => {
                let reservation = match live.len() {
                    0 => hold_id(*reservation),
                    holds => live[usize::from(*reservation) % holds],
                };
                let Some(reserved) = self.placed.get(&reservation) else { return Command::Expire };
                let held = inventory.hold(reservation).map_or(0, |hold| hold.takes.seats.len() as u16);
                let wanted = Wanted::Reserved { reservation, seats: held.saturating_add_signed(*more) };
                let expires_at = now.plus_ms(minutes * MINUTE);
                Command::PlaceHold(PlaceHold { hold, epoch, wanted, expires_at, ..reserved.clone() })
            }
            What::PlaceAgain => match last {
                Some(place) => Command::PlaceHold(place.clone()),
                None => Command::Expire,
            },
            What::Pay { minutes } => {
                Command::BeginPaying(BeginPaying { hold, epoch, expires_at: now.plus_ms(minutes * MINUTE) })
            }
            What::Confirm => Command::ConfirmHold(HoldAt { hold, epoch }),
            What::Release => Command::ReleaseHold(HoldAt { hold, epoch }),
            What::Free { seats, stranger } => {
                let of_hold = inventory.hold(hold).map(|hold| hold.takes.seats).unwrap_or_default();
                let named = seats.iter().filter_map(|at| of_hold.as_slice().get(*at));
                let mut seats: Vec<String> = named.map(|seat| inventory.label(*seat).to_owned()).collect();
                if *stranger {
                    seats.push("1A".to_owned());
                }
                Command::FreeSeats(FreeSeats { hold, epoch, seats })
            }
            What::Allot(allotments) => {
                let of = |(at, letter, seats): &(usize, char, u16)| Allotment {
                    channel: partner(PARTNERS[*at]),
                    class: class(*letter),
                    seats: *seats,
                };
                Command::SetAllotments(allotments.iter().map(of).collect())
            }
            What::Alter { vehicle, capacities, stopped } => {
                let named =
                    |(letter, capacity): &(char, u16)| ClassCapacity { code: class(*letter), capacity: *capacity };
                let refit = |at: usize| Refit {
                    vehicle: Arc::new(seat_map(VESSELS[at])),
                    capacities: capacities.as_ref().map(|named_| named_.iter().map(named).collect()),
                };
                Command::Alter(Alteration { seats: vehicle.map(refit), stopped: *stopped })
            }
            What::Cancel => Command::CancelDeparture,
            What::Expire => Command::Expire,
        }
    }
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..100)
}

fn step() -> impl Strategy<Value = Step> {
    let minutes_later = prop_oneof![10 => Just(0), 4 => 1..3_i64, 1 => 5..12_i64];
    let epoch_shift = prop_oneof![1 => Just(-1), 8 => Just(0), 2 => Just(1)];
    let at_live = prop::bool::weighted(0.7);
    (minutes_later, 0..12_u16, at_live, epoch_shift, what()).prop_map(
        |(minutes_later, hold, at_live, epoch_shift, what)| Step { minutes_later, hold, at_live, epoch_shift, what },
    )
}

fn what() -> impl Strategy<Value = What> {
    let letter = || prop_oneof![3 => Just('s'), 1 => Just('d')];
    let labels = |only: Option<u8>| {
        let of_class = seat_map(VESSEL).seats.into_iter().filter(move |seat| only.is_none_or(|c| c == seat.class));
        let label = prop::sample::select(of_class.map(|seat| seat.label).collect::<Vec<_>>());
        prop::collection::vec(label, 1..3).prop_map(Wanted::Chosen)
    };
    let wanted = prop_oneof![
        40 => (1..6_u16).prop_map(Wanted::Auto),
        1 => Just(Wanted::Auto(11)),
        15 => labels(Some(0)),
        2 => labels(None),
    ];
    let stretch = prop_oneof![
        40 => (0..3_u8, 1..4_u8).prop_map(|(board, length)| (board, (board + length).min(3))),
        1 => (0..5_u8, 0..6_u8),
    ];
    let channel = prop_oneof![4 => Just(0_usize), 2 => 1..3_usize];
    let minutes = prop_oneof![6 => 5..11_i64, 1 => -1..3_i64];
    let place =
        (channel, letter(), stretch, wanted, minutes).prop_map(|(channel, class, (board, alight), wanted, minutes)| {
            What::Place { channel, class, board, alight, wanted, minutes }
        });
    let free = (prop::collection::vec(0..4_usize, 0..3), prop::bool::weighted(0.1))
        .prop_map(|(seats, stranger)| What::Free { seats, stranger });
    let allot = prop::collection::vec((0..2_usize, letter(), 0..5_u16), 1..3).prop_map(What::Allot);
    let more = prop_oneof![8 => Just(0_i16), 1 => -1..2_i16];
    let adopt = (0..12_u16, more, 1..12_i64).prop_map(|(reservation, more, minutes)| What::Adopt {
        reservation,
        more,
        minutes,
    });
    let vehicle = prop_oneof![6 => (0..VESSELS.len()).prop_map(Some), 1 => Just(None)];
    let capacities =
        prop_oneof![3 => Just(None), 2 => prop::collection::vec((letter(), 0..12_u16), 0..3).prop_map(Some)];
    let stopped = prop_oneof![8 => Just(None), 2 => Just(Some(false)), 1 => Just(Some(true))];
    let alter = (vehicle, capacities, stopped).prop_map(|(vehicle, capacities, stopped)| What::Alter {
        vehicle,
        capacities,
        stopped,
    });
    prop_oneof![
        200 => place,
        40 => adopt,
        30 => alter,
        60 => Just(What::PlaceAgain),
        50 => (1..16_i64).prop_map(|minutes| What::Pay { minutes }),
        80 => Just(What::Confirm),
        50 => Just(What::Release),
        60 => free,
        30 => allot,
        1 => Just(What::Cancel),
        30 => Just(What::Expire),
    ]
}

//! Any commands in any order, with time passing and a restart after every record: a naive model that keeps a list of
//! what happened to each ticket agrees.

use proptest::prelude::*;

use super::*;

const TICKETS: u16 = 4;
const ENDS_AFTER: i64 = 600;

fn any_command() -> impl Strategy<Value = Command> {
    let number = 0..=TICKETS + 1;
    let became = prop_oneof![Just(Became::Used), Just(Became::Refunded)];
    let said = proptest::collection::btree_map(number.clone(), became, 1..4);
    prop_oneof![
        1 => Just(Command::UnitsTaken),
        1 => Just(Command::UnitsLost),
        4 => number.clone().prop_map(|number| Command::Activate { number }),
        3 => number.clone().prop_map(|number| Command::Cancel { number }),
        3 => said.prop_map(Command::Follow),
        2 => (0..=TICKETS).prop_map(|kept| Command::UnitsReturned { kept }),
        2 => Just(Command::Expire),
    ]
}

/// What the batch should be.
#[derive(Default)]
struct Model {
    generated: Option<bool>,
    ended: bool,
    tickets: [Option<TicketState>; TICKETS as usize],
}

impl Model {
    fn state(&mut self, number: u16) -> Option<&mut Option<TicketState>> {
        self.tickets.get_mut(usize::from(number).wrapping_sub(1)).filter(|_| self.generated == Some(true))
    }

    /// Whether it is granted.
    fn tell(&mut self, command: &Command, now: Timestamp) -> bool {
        let is_over = now >= after(ENDS_AFTER);
        match command {
            Command::Begin | Command::UnitsReturned { .. } => true,
            Command::UnitsTaken => {
                self.generated.get_or_insert(true);
                true
            }
            Command::UnitsLost => {
                self.generated.get_or_insert(false);
                true
            }
            Command::Activate { number } => {
                let Some(state @ None) = self.state(*number) else { return false };
                if !is_over {
                    *state = Some(TicketState::Active);
                }
                !is_over
            }
            Command::Cancel { number } => match self.state(*number) {
                Some(state @ None) if !is_over => {
                    *state = Some(TicketState::Cancelled);
                    true
                }
                Some(Some(TicketState::Cancelled)) => true,
                _ => false,
            },
            Command::Follow(said) => {
                for (number, became) in said {
                    if let Some(state) = self.state(*number)
                        && *state == Some(TicketState::Active)
                    {
                        *state = Some(became.state());
                    }
                }
                true
            }
            Command::Expire => {
                if is_over && self.generated == Some(true) && !self.ended {
                    self.ended = true;
                    self.tickets.iter_mut().for_each(|state| *state = state.or(Some(TicketState::Expired)));
                }
                true
            }
        }
    }
}

proptest! {
    #[test]
    fn the_batch_is_what_a_list_of_what_happened_says(
        steps in proptest::collection::vec((any_command(), 0..120_i64), 1..60),
    ) {
        let mut story = Story::of(BatchWish { expires_at: Some(after(ENDS_AFTER)), ..wish(TICKETS.into()) });
        let (mut model, mut now) = (Model::default(), NOON);
        for (command, seconds) in steps {
            now = now.plus_seconds(seconds);
            let is_told_before = matches!(command, Command::UnitsReturned { .. }) && model.generated != Some(true);
            if is_told_before {
                // Nobody has asked for it.
                continue;
            }
            let told = story.tell(&command, now);
            prop_assert_eq!(told.is_ok(), model.tell(&command, now), "{:?}: {:?}", command, told);
            story.restart();
            let expected = model.tickets.map(|state| state.unwrap_or(TicketState::PreGenerated));
            prop_assert_eq!(story.batch.tickets(), expected);
            let kept = expected.iter().filter(|state| state.keeps_unit()).count();
            prop_assert_eq!(usize::from(story.batch.counts().kept()), kept);
            if let Some(Effect::ReturnUnits { kept: told }) = story.batch.effect() {
                prop_assert_eq!(usize::from(told), kept);
            }
        }
    }
}

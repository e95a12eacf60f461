#![allow(clippy::needless_pass_by_value)] // a story reads better without references

use super::*;
use crate::ids::Shard;
use crate::machine::Machine as _;
use crate::redeems::Redeems;
use crate::testing::Images;

const T0: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn account(username: &str) -> Account {
    Account {
        username: username.into(),
        password_hash: "$argon2id$…".into(),
        roles: BTreeSet::from([Role::Operator]),
        redeems: Arc::default(),
        disabled: false,
        revision: 1,
    }
}

/// As whoever makes accounts outside of HTTP tells it.
fn put(account: Account) -> Command {
    let duties = if account.is_operator() { Duties::Operator(account.redeems) } else { Duties::Desk(account.roles) };
    let (disabled, password_hash) = (account.disabled, Some(account.password_hash));
    let change = AccountChange::Put { duties, disabled, password_hash };
    Command::WriteAccount(AccountWrite::new(&account.username, change, "admin"))
}

fn of_merchant(merchant: &str) -> Arc<Redeems> {
    Arc::new(Redeems { merchant: Some(merchant.parse().unwrap()), ..Redeems::default() })
}

fn session(token: u8, username: &str) -> Session {
    Session {
        token_hash: [token; 32],
        principal: Principal::Staff { username: username.into() },
        opened_at: T0,
        expires_at: T0.plus_seconds(3600),
    }
}

fn validator(number: u64, device: &str) -> Validator {
    Validator {
        id: SessionId::compose(T0, Shard::of(0), number << 2),
        username: "gate".into(),
        device: device.into(),
        location: None,
        departure: None,
        secret_hash: [number as u8; 32],
        opened_at: T0,
        expires_at: T0.plus_seconds(600),
    }
}

/// The machine together with the newest image of every row, as Postgres would have them.
#[derive(Default)]
struct Story {
    identities: Identities,
    rows: Images,
    version: u64,
}

impl Story {
    fn tell(&mut self, command: Command, now: Timestamp) -> Vec<Event> {
        let events = self.identities.decide(&command, now).expect("accepted");
        self.version += 1;
        self.rows.keep(&self.identities.apply(&events, self.version)).unwrap();
        events
    }

    fn reloaded(&self, now: Timestamp) -> Identities {
        Identities::from_rows(&self.rows.all(), now).expect("rows that were written can be read")
    }
}

#[test]
fn fault_17_a_devices_and_an_accounts_name_can_be_read() {
    let identities = Identities::default();
    for name in ["", "\u{200b}\u{2060}", "\u{3164}", "gate\u{202e}70", "gate\n", &"x".repeat(65)] {
        let refused = |command| identities.decide(&command, T0).is_err();
        assert!(refused(Command::OpenValidator(validator(1, name))), "{name:?}");
        assert!(refused(put(account(name))), "{name:?}");
    }
    for name in ["gate-07", "閘口 7", "محمد"] {
        assert!(identities.decide(&Command::OpenValidator(validator(1, name)), T0).is_ok(), "{name:?}");
    }
}

#[test]
fn r_scan_04_a_new_session_on_a_device_ends_its_old_one() {
    let mut story = Story::default();
    let (first, second) = (validator(1, "gate-7"), validator(2, "gate-7"));
    story.tell(Command::OpenValidator(first.clone()), T0);
    story.tell(Command::OpenValidator(second.clone()), T0.plus_seconds(1));

    assert!(story.identities.validator(first.id).is_none());
    assert!(story.identities.validator(second.id).is_some());
    assert_eq!(story.reloaded(T0.plus_seconds(2)), story.identities);
}

#[test]
fn fault_7_a_device_is_its_merchants_and_its_name_says_nothing_to_others() {
    let mut story = Story::default();
    let of = |merchant: &str| Account { redeems: of_merchant(merchant), ..account(merchant) };
    let at = |number, username: &str| Validator { username: username.into(), ..validator(number, "gate-7") };
    for account in [of("museum"), of("ferry"), Account { username: "ferry-2".into(), ..of("ferry") }, account("gate")] {
        story.tell(put(account), T0);
    }
    let gates = [at(1, "museum"), at(2, "ferry"), at(3, "gate")];
    for gate in &gates {
        story.tell(Command::OpenValidator(gate.clone()), T0.plus_seconds(1));
    }
    assert!(gates.iter().all(|gate| story.identities.validator(gate.id).is_some()), "three devices");
    assert_eq!(story.reloaded(T0.plus_seconds(2)), story.identities);

    story.tell(Command::OpenValidator(at(4, "ferry-2")), T0.plus_seconds(3));
    assert!(story.identities.validator(gates[1].id).is_none(), "a colleague takes the same device");
    assert!(story.identities.validator(gates[0].id).is_some() && story.identities.validator(gates[2].id).is_some());
    assert_eq!(story.reloaded(T0.plus_seconds(4)), story.identities);
}

#[test]
fn fault_7_an_operator_who_changes_the_merchant_leaves_no_gate_behind() {
    let mut story = Story::default();
    story.tell(put(account("gate")), T0);
    story.tell(Command::OpenSession(session(1, "gate")), T0);
    let gate = validator(1, "gate-7");
    story.tell(Command::OpenValidator(gate.clone()), T0);
    let at_the_hall = Redeems { locations: ["hall".parse().unwrap()].into(), ..Redeems::default() };
    story.tell(put(Account { redeems: Arc::new(at_the_hall), ..account("gate") }), T0);
    assert!(story.identities.validator(gate.id).is_some(), "the merchant is the same");

    let moved = Account { redeems: of_merchant("museum"), ..account("gate") };
    story.tell(put(moved), T0.plus_seconds(5));
    assert_eq!((story.identities.session(&[1; 32]), story.identities.validator(gate.id)), (None, None));
    story.tell(Command::OpenValidator(validator(2, "gate-7")), T0.plus_seconds(6));
    assert_eq!(story.reloaded(T0.plus_seconds(7)), story.identities);
}

#[test]
fn fault_14_a_new_password_ends_the_sessions_of_the_old_one() {
    let mut story = Story::default();
    story.tell(put(account("gate")), T0);
    story.tell(Command::OpenSession(session(1, "gate")), T0);
    let gate = validator(1, "gate-7");
    story.tell(Command::OpenValidator(gate.clone()), T0);

    story.tell(put(Account { password_hash: "another".into(), ..account("gate") }), T0.plus_seconds(5));
    assert_eq!((story.identities.session(&[1; 32]), story.identities.validator(gate.id)), (None, None));
    assert_eq!(story.reloaded(T0.plus_seconds(6)), story.identities);
}

#[test]
fn r_scan_04_disabling_an_operator_ends_the_logins_and_the_gates_at_once() {
    let mut story = Story::default();
    story.tell(put(account("gate")), T0);
    story.tell(Command::OpenSession(session(1, "gate")), T0);
    story.tell(Command::OpenSession(session(2, "museum")), T0);
    let gate = validator(1, "gate-7");
    story.tell(Command::OpenValidator(gate.clone()), T0);

    story.tell(put(Account { disabled: true, ..account("gate") }), T0.plus_seconds(5));
    assert!(story.identities.session(&[1; 32]).is_none());
    assert!(story.identities.validator(gate.id).is_none());
    assert!(story.identities.session(&[2; 32]).is_some(), "somebody else's login stays");
    assert_eq!(story.reloaded(T0.plus_seconds(6)), story.identities);
}

#[test]
fn only_the_operator_who_opened_a_gate_ends_it() {
    let mut story = Story::default();
    let gate = validator(1, "gate-7");
    story.tell(Command::OpenValidator(gate.clone()), T0);
    assert_eq!(story.tell(Command::EndValidator { id: gate.id, username: "museum".into() }, T0), vec![]);
    assert_eq!(story.tell(Command::EndValidator { id: gate.id, username: "gate".into() }, T0).len(), 1);
}

#[test]
fn fault_2_a_login_that_was_opened_with_a_clock_that_was_ahead_ends_with_the_next_start() {
    let mut story = Story::default();
    let year = 365 * 24 * 3600;
    story.tell(Command::OpenSession(session(1, "gate")), T0);
    let (late, gate) = (session(2, "gate"), validator(1, "gate-7"));
    let until = T0.plus_seconds(2 * year);
    story.tell(Command::OpenSession(Session { opened_at: T0.plus_seconds(year), expires_at: until, ..late }), T0);
    story.tell(Command::OpenValidator(Validator { opened_at: T0.plus_seconds(year), expires_at: until, ..gate }), T0);

    // Time was reset. Those of before go on.
    let identities = story.reloaded(T0.plus_seconds(5));
    assert!(identities.session(&[1; 32]).is_some());
    assert!(identities.session(&[2; 32]).is_none() && identities.validator(gate.id).is_none());
}

#[test]
fn sessions_that_ran_out_are_forgotten_and_do_not_come_back_from_their_rows() {
    let mut story = Story::default();
    story.tell(Command::OpenSession(session(1, "gate")), T0);
    story.tell(Command::OpenValidator(validator(1, "gate-7")), T0);
    assert_eq!(story.identities.next_deadline(), Some(T0.plus_seconds(600)));

    let late = T0.plus_seconds(3600);
    story.tell(Command::Sweep, late);
    assert_eq!(story.identities, Identities::default());
    assert_eq!(story.reloaded(late), Identities::default());
}

#[test]
fn the_same_account_again_changes_nothing_and_a_bad_name_is_named() {
    let mut story = Story::default();
    story.tell(put(account("gate")), T0);
    assert_eq!(story.tell(put(account("gate")), T0), vec![]);
    let refused = story.identities.decide(&put(account("a\u{0}b")), T0);
    assert_eq!(refused.map_err(|rejection| rejection.code()), Err("VALIDATION_ERROR"));
}

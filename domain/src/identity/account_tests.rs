//! Writes to accounts (R-ADMIN-07), as an administrator tells them.

#![allow(clippy::needless_pass_by_value)] // a story reads better without references

use super::*;
use crate::ids::SessionId;
use crate::machine::Machine as _;
use crate::redeems::Redeems;
use crate::register::AuditRow;
use crate::rejection::Rejection;
use crate::row::Rows;
use crate::testing::Images;

const T0: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn desk(roles: &[Role]) -> Duties {
    Duties::Desk(roles.iter().copied().collect())
}

fn operator(locations: &[&str]) -> Duties {
    let locations = locations.iter().map(|location| location.parse().unwrap()).collect();
    Duties::Operator(Arc::new(Redeems { locations, ..Redeems::default() }))
}

fn put(username: &str, duties: Duties) -> AccountWrite {
    AccountWrite::new(username, AccountChange::Put { duties, disabled: false, password_hash: None }, "ann")
}

fn disabled(username: &str, duties: Duties) -> AccountWrite {
    AccountWrite::new(username, AccountChange::Put { duties, disabled: true, password_hash: None }, "ann")
}

fn password(username: &str, hash: &str) -> AccountWrite {
    AccountWrite::new(username, AccountChange::Password { hash: hash.into(), stays: None }, "ann")
}

#[derive(Default)]
struct Story {
    identities: Identities,
    stored: Images,
    version: u64,
}

impl Story {
    /// Told at T0, by `ann`.
    fn tell(&mut self, write: AccountWrite) -> Result<AccountStanding, Rejection> {
        self.hear(Command::WriteAccount(write))
    }

    fn hear(&mut self, command: Command) -> Result<AccountStanding, Rejection> {
        let events = self.identities.decide(&command, T0)?;
        self.version += 1;
        self.stored.keep(&self.identities.apply(&events, self.version)).unwrap();
        self.identities.standing(&command, &events)
    }

    fn log_in(&mut self, token: u8, username: &str) {
        let principal = Principal::Staff { username: username.into() };
        let session = Session { token_hash: [token; 32], principal, opened_at: T0, expires_at: T0.plus_seconds(3_600) };
        self.hear(Command::OpenSession(session)).unwrap();
    }

    fn open_gate(&mut self, number: u128, username: &str) -> SessionId {
        let validator = Validator {
            id: SessionId::from_bits(number),
            username: username.into(),
            device: format!("device-{number}").into(),
            location: None,
            departure: None,
            secret_hash: [0; 32],
            opened_at: T0,
            expires_at: T0.plus_seconds(3_600),
        };
        self.hear(Command::OpenValidator(validator)).unwrap();
        SessionId::from_bits(number)
    }

    fn logged_in(&self) -> Vec<u8> {
        let mut tokens: Vec<u8> = self.identities.sessions().map(|session| session.token_hash[0]).collect();
        tokens.sort_unstable();
        tokens
    }
}

fn standing(revision: u32, changed: bool) -> AccountStanding {
    AccountStanding { revision, changed }
}

fn audited(rows: &Rows) -> Vec<AuditRow<'_>> {
    rows.all().unwrap()
}

#[test]
fn r_admin_06_every_write_to_an_account_has_one_audit_row_in_its_record_and_no_hash_stands_in_one() {
    let mut story = Story::default();
    assert_eq!(story.tell(put("gate", operator(&["HKSW"]))).unwrap(), standing(1, true));
    assert_eq!(story.tell(put("gate", operator(&["HKSW"]))).unwrap(), standing(1, false), "again");
    assert_eq!(story.tell(password("gate", "$argon2id$secret")).unwrap(), standing(1, true));
    assert_eq!(story.tell(put("gate", operator(&[]))).unwrap(), standing(2, true));
    let end = AccountWrite::new("gate", AccountChange::EndSessions, "ann");
    assert_eq!(story.tell(end).unwrap(), standing(2, true));
    let unfit = Rejection::field("merchantId", "no is not known");
    let refused = AccountWrite { unfit: Some(unfit.clone()), ..put("gate", operator(&["nowhere"])) };
    assert_eq!(story.tell(refused), Err(unfit));
    assert_eq!(&*story.identities.account("gate").unwrap().password_hash, "$argon2id$secret", "it keeps its password");

    let rows = story.stored.all();
    let audit = audited(&rows);
    let said: Vec<_> =
        audit.iter().map(|row| (row.number, row.action.code(), row.revision, row.refusal_code)).collect();
    assert_eq!(
        said,
        [
            (1, "put", Some(1), None),
            (3, "password", None, None),
            (4, "put", Some(2), None),
            (5, "end_sessions", None, None),
            (6, "put", None, Some("VALIDATION_ERROR")),
        ]
    );
    assert!(
        audit.iter().all(|row| (row.owner, row.account, row.entity, row.entity_id) == (OWNER, "ann", ENTITY, "gate"))
    );
    let first = r#"{"username":"gate","roles":["operator"],"locationIds":["HKSW"],"disabled":false}"#;
    assert_eq!((audit[0].before, audit[0].after), (None, Some(first)));
    assert_eq!(audit[2].before, Some(first));
    assert_eq!(audit[2].after, Some(r#"{"username":"gate","roles":["operator"],"disabled":false}"#));
    let texts = audit.iter().flat_map(|row| [row.before, row.after, row.refusal]).flatten();
    assert!(texts.into_iter().all(|text| !text.contains("argon2")));
    assert_eq!(Identities::from_rows(&rows, T0).unwrap(), story.identities);
}

#[test]
fn r_admin_07_the_last_administrator_who_can_log_in_neither_goes_nor_loses_the_role() {
    let mut story = Story::default();
    story.tell(put("ann", desk(&[Role::Admin]))).unwrap();
    story.tell(password("ann", "hers")).unwrap();
    story.tell(put("ben", desk(&[Role::Admin]))).unwrap();
    for write in [disabled("ann", desk(&[Role::Admin])), put("ann", desk(&[Role::Ops]))] {
        assert_eq!(story.tell(write), Err(Rejection::LastAdministrator), "ben has no password");
    }
    story.tell(password("ben", "his")).unwrap();
    assert!(story.tell(put("ann", desk(&[Role::Ops]))).is_ok());
    assert_eq!(story.tell(disabled("ben", desk(&[Role::Admin]))), Err(Rejection::LastAdministrator));
    assert!(story.tell(put("ben", desk(&[Role::Admin, Role::Finance]))).is_ok(), "the role stays");
    let refusals =
        audited(&story.stored.all()).iter().filter(|row| row.refusal_code == Some("LAST_ADMINISTRATOR")).count();
    assert_eq!(refusals, 3);
}

#[test]
fn r_admin_07_an_account_is_a_gates_or_a_desks_and_stays_it() {
    let mut story = Story::default();
    story.tell(put("gate", operator(&[]))).unwrap();
    story.tell(put("ann", desk(&[Role::Ops]))).unwrap();
    let other = |username: &str| Err(Rejection::AccountOfOtherKind { username: username.to_owned() });
    assert_eq!(story.tell(put("gate", desk(&[Role::Admin]))), other("gate"));
    assert_eq!(story.tell(put("ann", operator(&[]))), other("ann"));
    for roles in [&[][..], &[Role::Operator], &[Role::Admin, Role::Operator]] {
        assert_eq!(story.tell(put("new", desk(roles))).map_err(|refused| refused.code()), Err("VALIDATION_ERROR"));
    }
    assert_eq!(story.tell(password("nobody", "x")).map_err(|refused| refused.code()), Err("NOT_CONFIGURED"));
}

#[test]
fn r_admin_07_ones_own_new_password_ends_all_other_sessions_and_a_reset_ends_all() {
    let mut story = Story::default();
    story.tell(put("ann", desk(&[Role::Admin]))).unwrap();
    for token in [1, 2, 3] {
        story.log_in(token, "ann");
    }
    story.log_in(9, "ben");
    let own = AccountChange::Password { hash: "new".into(), stays: Some([2; 32]) };
    story.tell(AccountWrite::new("ann", own, "ann")).unwrap();
    assert_eq!(story.logged_in(), [2, 9]);
    story.tell(password("ann", "reset")).unwrap();
    assert_eq!(story.logged_in(), [9]);
}

#[test]
fn r_scan_04_an_operators_sessions_end_when_somebody_ends_them_or_disables_the_account() {
    let mut story = Story::default();
    story.tell(put("gate", operator(&[]))).unwrap();
    for (token, write) in
        [(1, AccountWrite::new("gate", AccountChange::EndSessions, "ann")), (2, disabled("gate", operator(&[])))]
    {
        story.log_in(token, "gate");
        let gate = story.open_gate(token.into(), "gate");
        story.tell(write).unwrap();
        assert_eq!((story.logged_in(), story.identities.validator(gate)), (vec![], None));
    }
    story.tell(put("gate", operator(&["HKSW"]))).unwrap();
    let gate = story.open_gate(3, "gate");
    story.tell(put("gate", operator(&["HKTM"]))).unwrap();
    assert!(story.identities.validator(gate).is_some(), "what it may redeem is asked at each scan");
}

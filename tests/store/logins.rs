//! What a start loads of accounts and logins (rule 14).

use std::sync::Arc;

use deeptravel::postgres;
use deeptravel_domain::identity::rows::{AccountRow, SessionRow, ValidatorSessionRow};
use deeptravel_domain::identity::{
    self, AccountChange, AccountWrite, Duties, Identities, KeyChange, KeyWrite, Principal, Session, Validator,
};
use deeptravel_domain::ids::SessionId;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::redeems::Redeems;
use deeptravel_domain::row::Rows;
use deeptravel_domain::time::Timestamp;

use crate::support::*;

/// How many accounts, sessions and sessions of validators there are.
fn counts(rows: &Rows) -> (usize, usize, usize) {
    (count::<AccountRow<'_>>(rows), count::<SessionRow<'_>>(rows), count::<ValidatorSessionRow<'_>>(rows))
}

#[test]
fn accounts_and_open_sessions_come_back_and_the_version_of_ended_ones_counts() {
    let stand = Stand::new();
    let (rows, version) = stand.identities(NOW).unwrap();
    assert_eq!((counts(&rows), version), ((0, 0, 0), 0));

    let redeems = Redeems {
        merchant: Some(code("TJ")),
        locations: [code("HKA"), code("hall")].into(),
        entitlements: [code("BOARDING")].into(),
    };
    let account = AccountChange::Put {
        duties: Duties::Operator(Arc::new(redeems)),
        disabled: false,
        password_hash: Some("$argon2id$v=19$…".into()),
    };
    let session = |hash, principal| Session {
        token_hash: [hash; 32],
        principal,
        opened_at: NOW,
        expires_at: NOW.plus_seconds(3600),
    };
    let validator = |number, device: &str| Validator {
        id: SessionId::from_bits(number),
        username: "gate".into(),
        device: device.into(),
        location: Some(code("HKA")),
        departure: None,
        secret_hash: [4; 32],
        opened_at: NOW,
        expires_at: NOW.plus_seconds(3600),
    };
    let commands = [
        identity::Command::WriteAccount(AccountWrite::new("gate", account, "ann")),
        identity::Command::OpenSession(session(1, Principal::Staff { username: "gate".into() })),
        identity::Command::OpenSession(session(2, Principal::Traveller { id: traveller(1), openid: "o-1".into() })),
        identity::Command::OpenSession(session(3, Principal::Traveller { id: traveller(2), openid: "o-2".into() })),
        identity::Command::OpenValidator(validator(1, "device-1")),
        // The device's earlier session ends.
        identity::Command::OpenValidator(validator(2, "device-1")),
        identity::Command::EndSession([3; 32]),
        identity::Command::WriteKey(KeyWrite {
            partner: code("klook"),
            id: code("first"),
            change: KeyChange::Make { secret_hash: [5; 32] },
            by: "ann".into(),
        }),
        // The newest row is a key's.
        identity::Command::NoteKeyUse { id: code("first"), at: NOW },
    ];
    let mut identities = Identities::default();
    for (version, command) in (1..).zip(commands) {
        let events = identities.decide(&command, NOW).unwrap();
        stand.project(&identities.apply(&events, version)).unwrap();
    }

    let (rows, version) = stand.identities(NOW).unwrap();
    assert_eq!(counts(&rows), (1, 2, 1));
    assert_eq!(version, 9);
    assert_eq!(Identities::from_rows(&rows, NOW).unwrap(), identities);

    let later = NOW.plus_seconds(3600);
    let (rows, version) = stand.identities(later).unwrap();
    assert_eq!((counts(&rows), version), ((1, 0, 0), 9));
}

/// How Postgres goes about a statement of a start.
fn plan(stand: &Stand, statement: &str) -> String {
    let sql = format!("EXPLAIN {}", statement.replace("$1", "now()"));
    let job = move |session: postgres::Session| async move {
        let lines = session.query(&sql, &[]).await?;
        Ok(lines.iter().map(|line| line.get::<_, String>(0)).collect::<Vec<_>>().join("\n"))
    };
    stand.runtime.block_on(stand.database.run(postgres::Lane::Lists, job)).unwrap()
}

#[test]
fn d17_a_start_looks_at_no_login_that_is_over() {
    let stand = Stand::new();
    // One every ten minutes for half a year: a third was ended, the others ran out.
    let logins = "INSERT INTO sessions (token_hash, version, traveller_id, openid, opened_at, expires_at, ended_at)
            SELECT sha256(n::text::bytea), n, 't', 'o', at, at + interval '2 hours',
                CASE WHEN n % 3 = 0 THEN at + interval '1 hour' END
            FROM (SELECT n, now() - (100 + 10 * (30000 - n)) * interval '1 minute' AS at
                FROM generate_series(1, 30000) AS n) AS logins;
        INSERT INTO validator_sessions
            (session_id, version, username, device_id, secret_hash, opened_at, expires_at, ended_at)
            SELECT version::text, version, 'gate', 'd', token_hash, opened_at, expires_at, ended_at FROM sessions;
        ANALYZE sessions, validator_sessions";
    let job = move |session: postgres::Session| async move { Ok(session.batch_execute(logins).await?) };
    stand.runtime.block_on(stand.database.run(postgres::Lane::Lists, job)).unwrap();

    let now = Timestamp::from_ms(jiff::Timestamp::now().as_millisecond());
    let (rows, version) = stand.identities(now).unwrap();
    assert_eq!((counts(&rows), version), ((0, 1, 1), 30_000), "one is open, and the last one was ended");
    for statement in [
        include_str!("../../sql/queries/load/sessions_open.sql"),
        include_str!("../../sql/queries/load/validator_sessions_open.sql"),
        include_str!("../../sql/queries/load/identity_version.sql"),
    ] {
        let plan = plan(&stand, statement);
        assert!(!plan.contains("Seq Scan on sessions") && !plan.contains("Seq Scan on validator_sessions"), "{plan}");
    }
}

#[test]
fn d18_a_travellers_openid_outlives_the_sessions_that_told_it() {
    let stand = Stand::new();
    let mut identities = Identities::default();
    let login = |hash, number, openid: &str| {
        let principal = Principal::Traveller { id: traveller(number), openid: openid.into() };
        let (opened_at, expires_at) = (NOW, NOW.plus_seconds(3600));
        identity::Command::OpenSession(Session { token_hash: [hash; 32], principal, opened_at, expires_at })
    };
    // On two phones, and out again on the first.
    let ended = identity::Command::EndSession([1; 32]);
    for (version, command) in (1..).zip([login(1, 1, "o-1"), login(2, 2, "o-2"), login(3, 1, "o-1"), ended]) {
        let events = identities.decide(&command, NOW).unwrap();
        stand.project(&identities.apply(&events, version)).unwrap();
    }

    stand.ask::<i64>("WITH gone AS (DELETE FROM sessions RETURNING 1) SELECT count(*) FROM gone");
    let known = "SELECT string_agg(openid || ' ' || version, ', ' ORDER BY traveller_id) FROM travellers";
    assert_eq!(stand.ask::<String>(known), "o-1 0, o-2 0");
}

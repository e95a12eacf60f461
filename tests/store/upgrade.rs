//! Databases of earlier releases, and records that they wrote (rule 23).

use deeptravel::postgres::{Lane, Session, migrate};
use deeptravel::testing::fresh_database;
use deeptravel_domain::inventory::rows::HoldRow;
use deeptravel_domain::inventory::{Command, HoldAt, Inventory};
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use refinery::Target;
use tokio_postgres::NoTls;

use crate::support::*;

mod embedded {
    refinery::embed_migrations!("sql/migrations");
}

/// A stand on a database that has no migration from this one on.
fn before_migration(number: i32) -> Stand {
    let database = fresh_database().unwrap();
    io_runtime().block_on(async {
        let (mut client, connection) = database.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
        let older = embedded::migrations::runner().set_target(Target::Version(number - 1));
        older.run_async(&mut client).await.unwrap();
    });
    Stand::in_database(database)
}

fn upgrade(stand: &Stand) {
    let config = stand.test_database.as_ref().unwrap().config.clone();
    stand.runtime.block_on(migrate(&config)).unwrap();
}

fn execute(stand: &Stand, sql: &'static str) {
    let job = move |session: Session| async move { Ok(session.batch_execute(sql).await?) };
    stand.runtime.block_on(stand.database.run(Lane::Projection, job)).unwrap();
}

/// The rows of a record in which a hold is placed again, as releases wrote it in which a hold had one row.
fn of_the_later_epoch(rows: &Rows) -> Rows {
    let mut kept = Rows::default();
    for (slot, image) in rows.images() {
        if slot != HoldRow::TABLE.slot || HoldRow::read(image).unwrap().epoch > 1 {
            kept.put_image(slot, image);
        }
    }
    kept
}

const HOLDS: &str = "SELECT string_agg(concat_ws(' ', epoch, state), ', ' ORDER BY hold_id, epoch) FROM holds";

fn holds(stand: &Stand, now: Timestamp) -> Vec<(u32, &'static str)> {
    let one = stand.departure("HKMO-0800.20261127").unwrap().unwrap();
    let all = stand.departures_after(NOW).unwrap().remove(0);
    let [one, all] = [one, all].map(|stored| {
        let woken = Inventory::from_rows(&stored, now).unwrap();
        let mut holds: Vec<_> = woken.holds().map(|(id, hold)| (id, hold.epoch, hold.state.code())).collect();
        holds.sort_unstable();
        holds.into_iter().map(|(_, epoch, state)| (epoch, state)).collect::<Vec<_>>()
    });
    assert_eq!(one, all);
    one
}

#[test]
fn rule_23_holds_from_before_epochs_had_rows_go_on_where_they_were() {
    let stand = before_migration(11);
    let mut coach = Coach::new("HKMO-0800.20261127", 3);
    stand.project(&coach.tell(&place(1, NOW), NOW)).unwrap();
    // Money comes late: the row of the first epoch is overwritten.
    let late = NOW.plus_seconds(900);
    let again = of_the_later_epoch(&coach.tell(&place_as(1, 2, late), late));
    execute(&stand, "DELETE FROM holds");
    stand.project(&again).unwrap();
    upgrade(&stand);
    assert_eq!((holds(&stand, late), stand.ask::<String>(HOLDS).as_str()), (vec![(2, "held")], "2 held"));

    // What follows in the journal was written before the upgrade, too.
    let confirm = Command::ConfirmHold(HoldAt { hold: hold(1), epoch: 2 });
    stand.project(&without_marks(&coach.tell(&confirm, late))).unwrap();
    stand.project(&without_marks(&coach.tell(&place(2, late), late))).unwrap();
    let later = late.plus_seconds(900);
    let again = of_the_later_epoch(&coach.tell(&place_as(2, 2, later), later));
    stand.project(&without_marks(&again)).unwrap();
    assert_eq!(holds(&stand, later), [(2, "confirmed"), (2, "held")]);

    // The second epoch ends, and the first one's row, of which nothing was written, is not taken for a hold.
    let over = later.plus_seconds(600);
    stand.project(&coach.tell(&Command::Expire, over)).unwrap();
    assert_eq!(holds(&stand, over), [(2, "confirmed")]);
    assert_eq!(stand.ask::<String>(HOLDS), "2 confirmed, 1 held, 2 expired");
}

#[test]
fn rule_23_travellers_who_logged_in_before_they_had_rows_have_them() {
    let stand = before_migration(12);
    execute(
        &stand,
        "INSERT INTO sessions (token_hash, version, traveller_id, openid, username)
         VALUES ('a', 1, 't-1', 'o-1', NULL), ('b', 2, NULL, NULL, 'gate'), ('c', 3, 't-1', 'o-1', NULL)",
    );
    upgrade(&stand);
    assert_eq!(stand.ask::<String>("SELECT string_agg(concat(t), ' ') FROM travellers AS t"), "(t-1,0,o-1)");
}

//! Databases of earlier releases, and records that they wrote (rule 23).

use deeptravel::postgres::{Access, Lane, Session, migrate};
use deeptravel::testing::fresh_database;
use deeptravel_domain::earlier::{self, renewed};
use deeptravel_domain::ids::HoldId;
use deeptravel_domain::inventory::rows::{DepartureRow, HoldRow};
use deeptravel_domain::inventory::{Command, HoldAt, Inventory};
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use refinery::Target;
use tokio_postgres::NoTls;

use crate::earlier::images::Images;
use crate::earlier::store;
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
    stand.runtime.block_on(migrate(&Access::by_socket(config.clone()))).unwrap();
}

pub fn execute(stand: &Stand, sql: impl Into<String>) {
    let sql = sql.into();
    let job = move |session: Session| async move { Ok(session.batch_execute(&sql).await?) };
    stand.runtime.block_on(stand.database.run(Lane::Projection, job)).unwrap();
}

/// The rows of a departure's record as they were written when a hold had one row, under an id that was a text.
fn as_written_then(rows: &Rows) -> Rows {
    let mut then = Rows::default();
    let last = rows.of::<HoldRow<'_>>().map(|row| row.unwrap().epoch).max();
    for (slot, image) in without_marks(rows).images() {
        if slot != HoldRow::TABLE.slot {
            then.put_image(slot, image);
            continue;
        }
        let row = HoldRow::read(image).unwrap();
        if Some(row.epoch) == last {
            then.put(&earlier::HoldRow {
                hold_id: HoldId { order: row.order_id.0, item: row.item },
                departure_id: code(row.departure_id),
                version: row.version,
                epoch: row.epoch,
                class_code: row.class_code,
                seats: row.seats,
                seat_numbers: row.seat_numbers,
                freed_seats: row.freed_seats,
                board_stop: row.board_stop,
                alight_stop: row.alight_stop,
                channel: row.channel,
                state: row.state,
                placed_at: row.placed_at,
                expires_at: row.expires_at,
                ended_at: row.ended_at,
            });
        }
    }
    then
}

const HOLDS: &str = "SELECT string_agg(concat_ws(' ', epoch, state), ', ' ORDER BY hold_id, epoch) FROM holds";

fn holds(stand: &Stand, now: Timestamp) -> Vec<(u32, &'static str)> {
    let one = stand.departure("HKMO-0800.20261127").unwrap().unwrap();
    let all = stand.departures_after(NOW).unwrap().remove(0);
    let [one, all] = [one, all].map(|stored| {
        let woken = Inventory::from_rows(&stored, now).unwrap();
        let mut holds: Vec<_> = woken.holds().map(|(id, hold)| (id, hold.life.epoch, hold.life.state.code())).collect();
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
    let mut then = Rows::default();
    let opened = coach.tell(&place(1, NOW), NOW);
    opened.images_of(DepartureRow::TABLE).for_each(|image| then.put_image(DepartureRow::TABLE.slot, image));
    // Money comes late: the row of the first epoch is overwritten.
    let late = NOW.plus_seconds(900);
    then.extend(&as_written_then(&coach.tell(&place_as(1, 2, late), late)));
    store(&stand, &newest(&[then]));
    upgrade(&stand);
    assert_eq!((holds(&stand, late), stand.ask::<String>(HOLDS).as_str()), (vec![(2, "held")], "2 held"));

    // What follows in the journal was written before the upgrade, too.
    let confirm = Command::ConfirmHold(HoldAt { hold: hold(1), epoch: 2 });
    let mut follows = |command: &Command, at| {
        let rows = renewed(as_written_then(&coach.tell(command, at))).unwrap();
        stand.project(&rows).unwrap();
    };
    follows(&confirm, late);
    follows(&place(2, late), late);
    let later = late.plus_seconds(900);
    follows(&place_as(2, 2, later), later);
    assert_eq!(holds(&stand, later), [(2, "confirmed"), (2, "held")]);

    // The second epoch ends, and the first one's row, of which nothing was written, is not taken for a hold.
    let over = later.plus_seconds(600);
    stand.project(&coach.tell(&Command::Expire, over)).unwrap();
    assert_eq!(holds(&stand, over), [(2, "confirmed")]);
    assert_eq!(stand.ask::<String>(HOLDS), "2 confirmed, 1 held, 2 expired");
}

/// What people see of orders, holds, tickets and scans. An item's and a passenger's version is the order's since they are part
/// of it; a channel, a partner's reference, a ticket's price, the item it is of, and an item's refund rule were not there
/// before.
fn shown(stand: &Stand) -> String {
    let views = |names: &[&str]| -> Vec<String> {
        let shown = |name: &&str| {
            let row = "(to_jsonb(t) - '{id,channel,payment_reference,price_minor,shared,refund_rule_id,refund_revision}'::text[])";
            let row = match *name {
                "tickets" => format!("({row} - 'item')"),
                _ if name.starts_with("order_") => format!("({row} - 'version')"),
                _ => row.to_owned(),
            };
            format!("(SELECT string_agg({row}::text, E'\n' ORDER BY {row}::text) FROM {name} AS t)")
        };
        names.iter().map(shown).collect()
    };
    let all = views(&[
        "holds",
        "orders",
        "order_items",
        "order_passengers",
        "tickets",
        "redemptions",
        "scan_attempts",
        "ticket_status_audit",
        "payments",
        "ledger_entries",
    ]);
    stand.ask(format!("SELECT concat_ws(E'\n\n', {})", all.join(", ")))
}

/// What each key has recorded, as the first release did.
fn records_of_the_first_release() -> Vec<Rows> {
    let records = include_str!("../../domain/tests/golden/first_release.records");
    let rows = |record: &str| Rows::from_bytes(hex::decode(record.rsplit(' ').next().unwrap()).unwrap()).unwrap();
    records.lines().map(rows).collect()
}

fn newest(records: &[Rows]) -> Images {
    let mut images = Images::default();
    for rows in records {
        images.keep(rows).unwrap();
    }
    images
}

#[test]
fn rule_23_what_people_see_is_the_same_wherever_the_records_of_the_first_release_meet_the_upgrade() {
    let records = records_of_the_first_release();
    let then = before_migration(13);
    store(&then, &newest(&records));
    let expected = shown(&then);
    for wanted in ["\"used\"", "\"result\": \"success\"", "\"cancelled\"", "\"confirmed\"", "\"document_mask\""] {
        assert!(expected.contains(wanted), "{wanted} in {expected}");
    }
    // A backup of the old schema, up to some record; what follows is still in the journal.
    for backup in [0, 1, records.len() / 2, records.len() - 1, records.len()] {
        let (before, after) = records.split_at(backup);
        let stand = before_migration(13);
        store(&stand, &newest(before));
        upgrade(&stand);
        for rows in after {
            stand.project(&renewed(rows.clone()).unwrap()).unwrap();
        }
        assert_eq!(shown(&stand), expected, "{backup} of {}", records.len());
    }
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

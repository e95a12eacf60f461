//! Configuration: what an administrator was answered is what everybody sees, and who wrote what is in the same record
//! (R-ADMIN-03, R-ADMIN-06).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deeptravel_domain::catalogue::{Change, Command, Key, Names, OWNER, Operator, RouteFaresRow, Template};
use deeptravel_domain::departure::{Channel, Stretch};
use deeptravel_domain::fare::FareTable;
use deeptravel_domain::hold::HoldAt;
use deeptravel_domain::ids::{HoldId, OrderId, TemplateId};
use deeptravel_domain::party::Party;
use deeptravel_domain::register::{Action, AuditRow, RevisionRow, Standing};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::stock::{self, Limits, Place, StockId};

use crate::journal::Position;
use crate::outage::Outage;
use crate::testing::{
    FARE, Postgres, Running, World, below_use, coach, code, eventually_so, fare_table, ferry, put, traveller, wish,
    within,
};

/// What one adult pays for the coach, as a search that begins now finds it.
fn price(running: &Running) -> i64 {
    let catalogue = running.services().catalogue.load();
    let trip = catalogue.trip(&coach(), Stretch::new(0, 4).unwrap()).unwrap();
    catalogue.quote(&trip, &code("standard"), Party::new(1, 0, 0).unwrap()).unwrap().total.minor
}

async fn write(running: &Running, command: Command) -> Result<Standing, Rejection> {
    running.shown(running.engine.configure(command)).await.unwrap()
}

async fn restore(running: &Running, revision: Option<u32>) -> Result<Standing, Rejection> {
    let key = Key::FareTable(code("coach"));
    running.shown(running.engine.restore(key, revision, "admin".into())).await.unwrap()
}

/// Writes that Postgres knows of.
fn audit(world: &World) -> Vec<(u64, Option<u32>, Option<String>)> {
    let rows = world.store.rows(AuditRow::TABLE);
    let rows = rows.of::<AuditRow<'_>>().map(|row| row.unwrap()).filter(|row| row.entity == "fares");
    rows.map(|row| (row.number, row.revision, row.refusal_code.map(str::to_owned))).collect()
}

/// The newest records of the catalogue, the last one last.
fn records(running: &Running) -> Vec<(u64, Rows)> {
    let mut reader = running.journal.reader(Position::NOTHING).unwrap();
    let records = reader.next_batch(10_000, 1 << 30).unwrap().into_iter().map(|(_, record)| record);
    let own = records.filter(|record| record.header.key.as_str() == "catalogue");
    own.map(|record| (record.header.key_version, Rows::from_bytes(record.payload).unwrap())).collect()
}

#[actix::test]
async fn r_admin_06_a_write_is_visible_to_whoever_searches_after_its_answer_a_thousand_times_under_load() {
    let (_world, running) = World::with_seats(400).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut load = Vec::new();
    for number in 0..4 {
        let (engine, done) = (running.engine.clone(), Arc::clone(&done));
        load.push(actix::spawn(async move {
            let mut orders = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let wanted = wish(traveller(number), &format!("{orders}"), &ferry(), 1);
                let order = engine.place(wanted, |order, _| Arc::clone(order)).await.unwrap().outcome.unwrap();
                engine.cancel(order.id()).await.unwrap().outcome.unwrap();
                orders += 1;
            }
            orders
        }));
    }
    let (engine, stop) = (running.engine.clone(), Arc::clone(&done));
    load.push(actix::spawn(async move {
        let mut searches = 0_u32;
        while !stop.load(Ordering::Relaxed) {
            let catalogue = engine.services().catalogue.load_full();
            searches += u32::from(catalogue.fares(&code("coach")).is_some());
            tokio::task::yield_now().await;
        }
        searches
    }));

    for minor in 1..=1_000 {
        let told = write(&running, put(fare_table("coach", minor))).await.unwrap();
        assert_eq!(price(&running), minor);
        assert_eq!((told.revision, told.changed), (1 + minor as u32, true));
    }

    done.store(true, Ordering::Relaxed);
    for work in load {
        assert!(within("the load ends", work).await.unwrap() > 10, "there was load");
    }
}

#[actix::test]
async fn r_admin_06_a_write_and_its_audit_are_one_record_also_of_one_that_was_refused() {
    let (world, running) = World::with_seats(2).await;
    let before = records(&running).len();
    write(&running, put(fare_table("coach", 6_000))).await.unwrap();
    write(&running, put(fare_table("coach", 6_000))).await.unwrap();
    let refused = put(FareTable { seat_lock_minutes: 0, ..fare_table("coach", 7_000) });
    let refused = write(&running, refused).await.unwrap_err();
    assert_eq!(refused.code(), "VALIDATION_ERROR");
    assert_eq!(price(&running), 6_000);

    let records = records(&running);
    let [(first, written), (second, denied)] = &records[before..] else { panic!("what is already so has no record") };
    let audit = |rows: &Rows| {
        let rows: Vec<AuditRow<'_>> = rows.all().unwrap();
        assert_eq!(rows.len(), 1);
        (rows[0].number, rows[0].action, rows[0].revision, rows[0].account == "admin", rows[0].refusal.is_some())
    };
    assert_eq!(audit(written), (*first, Action::Put, Some(2), true, false));
    assert_eq!((written.of::<RouteFaresRow<'_>>().count(), written.of::<RevisionRow<'_>>().count()), (1, 1));
    assert_eq!(audit(denied), (*second, Action::Put, None, true, true));
    assert_eq!((*second, denied.images().count()), (first + 1, 1));
    running.drained().await;
    assert_eq!(self::audit(&world).len(), 4, "with two of the first start");
}

#[actix::test]
async fn the_version_of_a_refused_write_is_not_used_again_after_a_restart() {
    for killed in [false, true] {
        let (world, running) = World::with_seats(2).await;
        write(&running, put(fare_table("coach", -1))).await.unwrap_err();
        if killed {
            running.kill().await;
        } else {
            running.stop().await.unwrap();
        }

        let running = world.start().await;

        assert_eq!(price(&running), FARE);
        let told = write(&running, put(fare_table("coach", 6_000))).await.unwrap();
        assert_eq!(told.revision, 2);
        running.drained().await;
        let audit = audit(&world);
        let [.., (refused, None, Some(code)), (written, Some(2), None)] = &audit[..] else { panic!("{audit:?}") };
        assert_eq!((code.as_str(), *written), ("VALIDATION_ERROR", refused + 1));
        assert_eq!(price(&running), 6_000);
    }
}

#[actix::test]
async fn r_admin_03_an_earlier_revision_comes_back_also_after_a_restart() {
    let (world, running) = World::with_seats(2).await;
    let none = restore(&running, None).await.unwrap_err();
    assert_eq!(none, Rejection::NoEarlierRevision);
    for minor in [6_000, 7_000] {
        write(&running, put(fare_table("coach", minor))).await.unwrap();
    }
    running.stop().await.unwrap();
    let running = world.start().await;

    let told = restore(&running, None).await.unwrap();
    assert_eq!((told.revision, told.changed, price(&running)), (4, true, 6_000), "as before the one that stood");
    let told = restore(&running, Some(1)).await.unwrap();
    assert_eq!((told.revision, told.changed, price(&running)), (5, true, FARE));
    let told = restore(&running, Some(1)).await.unwrap();
    assert_eq!((told.revision, told.changed), (5, false));
    assert_eq!(restore(&running, Some(9)).await.unwrap_err(), Rejection::NoEarlierRevision);
    let unknown = running.engine.restore(Key::Operator(code("nobody")), None, "admin".into());
    let unknown = running.shown(unknown).await.unwrap().unwrap_err();
    assert_eq!(unknown.code(), "NOT_CONFIGURED");

    running.drained().await;
    let actions = world.store.rows(AuditRow::TABLE);
    let actions = actions.of::<AuditRow<'_>>().map(|row| row.unwrap()).filter(|row| row.entity_id == "coach");
    let history: Vec<_> = actions.filter(|row| row.entity == "fares").map(|row| (row.action, row.revision)).collect();
    let (put, restore) = (Action::Put, Action::Restore);
    assert_eq!(
        history,
        [
            (put, Some(1)),
            (restore, None),
            (put, Some(2)),
            (put, Some(3)),
            (restore, Some(4)),
            (restore, Some(5)),
            (restore, None),
        ]
    );
}

#[actix::test]
async fn a_restore_waits_for_postgres_and_says_so_when_it_does_not_follow() {
    let (world, running) = World::with_seats(2).await;
    write(&running, put(fare_table("coach", 6_000))).await.unwrap();
    running.drained().await;
    world.store.set(Postgres::Behind);
    write(&running, put(fare_table("coach", 7_000))).await.unwrap();
    let restoring = running.engine.restore(Key::FareTable(code("coach")), None, "admin".into());
    let outage = running.shown(restoring).await.unwrap_err();
    assert!(matches!(outage, Outage::Storage), "{outage:?}");
    assert_eq!(price(&running), 7_000);
    world.store.set(Postgres::Up);
    restore(&running, None).await.unwrap();
    assert_eq!(price(&running), 6_000);
}

#[actix::test]
async fn what_is_in_use_cannot_be_withdrawn_and_what_was_withdrawn_stays_so() {
    let (world, running) = World::with_seats(2).await;
    let withdraw = |key| Command::new(Change::withdraw(key), "admin");
    let in_use = write(&running, withdraw(Key::Operator(code("op")))).await.unwrap_err();
    assert_eq!((in_use.code(), in_use.to_string().as_str()), ("IN_USE", "operator op is still used by route coach"));
    write(&running, put(Operator { code: code("other"), names: Names::new("公司", "Company") })).await.unwrap();
    let told = write(&running, withdraw(Key::Operator(code("other")))).await.unwrap();
    assert_eq!((told.revision, told.changed), (2, true));
    running.stop().await.unwrap();

    let running = world.start().await;

    let catalogue = running.services().catalogue.load_full();
    assert_eq!(catalogue.operator("other"), None);
    assert_eq!(catalogue.registers().operators.entry("other").unwrap().revision, 2);
    let restoring = running.engine.restore(Key::Operator(code("other")), None, "admin".into());
    let told = running.shown(restoring).await.unwrap().unwrap();
    assert_eq!((told.revision, told.changed), (3, true));
    assert!(running.services().catalogue.load().operator("other").is_some());
}

/// A package of so many units, under a version token.
fn package(token: &str, units: u32) -> Template {
    let template = serde_json::json!({
        "name": { "zh": "套票", "en": "Package" }, "versionToken": token, "status": "active",
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1, "redemptionChannel": "any",
            "requiresIdentity": false, "shared": false, "validity": { "kind": "relative", "days": 90 },
        }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 100, "currency": "CNY" } }],
        "stock": { "total": units },
    });
    serde_json::from_value(template).unwrap()
}

async fn put_package(running: &Running, token: &str, units: u32) -> Result<Standing, Rejection> {
    running.shown(running.engine.configure(put(package(token, units)))).await.unwrap()
}

fn template() -> TemplateId {
    package("any", 0).id
}

fn stock() -> StockId {
    StockId::Package(template())
}

fn units_left(running: &Running) -> Option<u32> {
    running.services().stock_board.left(&stock(), None, &Channel::Direct)
}

/// So many units go to an order.
async fn sell_units(running: &Running, quantity: u32) {
    let place = Place {
        at: HoldAt { hold: HoldId { order: OrderId::from_bits(7), item: 0 }, epoch: 1 },
        quantity,
        date: None,
        channel: Channel::Direct,
        holder: None,
        expires_at: running.engine.now().plus_seconds(600),
    };
    let stock = stock();
    let placed = running.services().stocks.consult(&stock, stock::Command::Place(place));
    within("the units are held", placed).await.unwrap().outcome.unwrap();
}

#[actix::test]
async fn r_admin_01_a_template_that_its_stock_refuses_changes_nothing_but_the_audit() {
    let (_world, running) = World::with_seats(2).await;
    assert_eq!(put_package(&running, "a", 5).await.unwrap().revision, 1);
    assert_eq!(units_left(&running), Some(5));
    sell_units(&running, 4).await;
    let before = records(&running).len();

    assert_eq!(put_package(&running, "b", 3).await, Err(below_use(4, 0)));

    assert_eq!(units_left(&running), Some(1));
    assert_eq!(running.services().catalogue.load().package(template().as_str()).unwrap().revision, 1);
    let [(_, refused)] = &records(&running)[before..] else { panic!("one record") };
    let audit: AuditRow<'_> = refused.only().unwrap();
    assert_eq!((audit.refusal_code, refused.images().count()), (Some("BELOW_USE"), 1));
    assert_eq!(put_package(&running, "b", 4).await.unwrap().revision, 2, "its token was not used up");
    assert_eq!(put_package(&running, "a", 5).await.unwrap().revision, 1, "told again, it leaves the stock alone");
    assert_eq!(units_left(&running), Some(0));
}

#[actix::test]
async fn r_admin_01_a_template_whose_write_broke_off_behind_its_stock_goes_through_when_it_is_told_again() {
    let (world, running) = World::with_seats(2).await;
    put_package(&running, "a", 5).await.unwrap();
    let limits = Limits { total: Some(9), ..Limits::default() };
    running.shown(running.engine.set_stock_limits(&stock(), limits)).await.unwrap().unwrap();
    running.kill().await;

    let running = world.start().await;

    assert_eq!(running.services().catalogue.load().package(template().as_str()).unwrap().stock.total, Some(5));
    assert_eq!(put_package(&running, "b", 9).await.unwrap().revision, 2);
    assert_eq!(units_left(&running), Some(9));
}

#[actix::test]
async fn r_admin_01_a_template_that_breaks_between_its_two_records_goes_through_with_the_same_token() {
    let (_world, running) = World::with_seats(2).await;
    put_package(&running, "a", 5).await.unwrap();
    running.services().faults.plant_key(OWNER, 1);
    let write = || running.shown(running.engine.configure(put(package("b", 9))));
    assert_eq!(write().await, Err(Outage::Rebuilding));
    assert_eq!(units_left(&running), Some(9));
    assert_eq!(running.services().catalogue.load().package(template().as_str()).unwrap().revision, 1);

    eventually_so("the catalogue is there again", || async { write().await.is_ok() }).await;

    let told = write().await.unwrap().unwrap();
    assert_eq!((told.revision, told.changed), (2, false), "written once");
    assert_eq!(running.services().catalogue.load().package(template().as_str()).unwrap().stock.total, Some(9));
    assert_eq!(units_left(&running), Some(9));
}

#[actix::test]
async fn r_admin_01_a_write_of_a_template_that_is_refused_leaves_its_stock() {
    let (_world, running) = World::with_seats(2).await;
    put_package(&running, "a", 5).await.unwrap();
    assert_eq!(put_package(&running, "a", 9).await, Err(Rejection::VersionConflict));
    assert_eq!(units_left(&running), Some(5));
}

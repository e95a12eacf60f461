//! Births: an order whose first images stand in another owner's record, with version 0; its own first record is version 1,
//! and nobody ever finds that there is no such order (rule 4).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::order::rows::{LedgerRow, ScanRow, TicketRow};
use deeptravel_domain::order::{Capture, Draft, Order, sale};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::tables::newest_version;
use deeptravel_domain::ticket::TicketStatus;
use futures_util::future::join_all;
use futures_util::poll;

use crate::journal::{AppendError, KeyText, Position, Record, RecordHeader};
use crate::kind::{CODEC, Kind};
use crate::order::{OrderActor, Seed};
use crate::outage::Outage;
use crate::registry::Woken;
use crate::registry::birth::Birth;
use crate::testing::{Postgres, Running, World, coach, eventually, eventually_so, ferry, redeemed, traveller, wish};

/// Longer than an idle order is kept.
const LONG: i64 = 11 * 60;

/// A world, and a paid order with two tickets of another one: here its key never had a record.
async fn with_child() -> (World, Running, Arc<Order>) {
    let (elsewhere, running) = World::with_seats(4).await;
    let child = running.buy_and_pay(&elsewhere, wish(traveller(1), "key", &coach(), 2)).await;
    running.kill().await;
    let mut world = World::default();
    world.clock = elsewhere.clock.clone();
    let running = world.open_sale(4).await;
    (world, running, child)
}

/// Its rows as a parent writes them, who has had its money.
fn first_images(order: &Order) -> Rows {
    let (at, tickets) = (order.created_at(), order.tickets().to_vec());
    let draft = Draft { items: order.items().to_vec(), ..order.details().clone() };
    let money = Capture { transaction_id: "elsewhere".into(), amount: order.total(), payer: None, paid_at: None };
    let capture = Some((order.payments()[0].number, money));
    let born = [sale::Event::Placed.into(), sale::Event::Paid { at, capture, tickets }.into()];
    Order::draft(draft, at).apply(&born, 0)
}

/// The parent's record.
fn write(running: &Running, version: u64, child: &Order) -> Result<Position, AppendError> {
    let (key, at_ms) = (KeyText::new("batch/1").unwrap(), running.engine.now().as_ms());
    let header = RecordHeader { kind: Kind::Rows.number(), codec: CODEC, key, key_version: version, at_ms };
    running.append(&Record { header, payload: first_images(child).into_bytes() })
}

fn expect(running: &Running, child: &Order) -> Birth<OrderActor> {
    running.services().orders.expect_birth(&child.id()).unwrap()
}

/// The child as its parent lays it into its slot.
fn awake(running: &Running, child: &Order) -> Woken<OrderActor> {
    Woken::Awake(Seed::from_rows(&first_images(child), running.engine.now()).unwrap())
}

fn bear(running: &Running, version: u64, child: &Order) {
    let birth = expect(running, child);
    write(running, version, child).unwrap();
    birth.born(awake(running, child));
}

/// Versions of the order's row and of its first entry in the ledger, which never changes after the birth.
fn stored_versions(world: &World, child: &Order) -> (u64, u64) {
    let rows = world.store.rows_of_order(child.id()).unwrap();
    let entry: LedgerRow = rows.of().next().unwrap().unwrap();
    (newest_version(&rows).unwrap(), entry.version)
}

/// Versions of the key's own records.
fn own_versions(running: &Running, child: &Order) -> Vec<u64> {
    let mut reader = running.journal.reader(Position::NOTHING).unwrap();
    let records = reader.next_batch(10_000, 1 << 30).unwrap();
    let key = format!("order/{}", child.id());
    let own = records.into_iter().filter(|(_, record)| record.header.key.as_str() == key);
    own.map(|(_, record)| record.header.key_version).collect()
}

#[actix::test]
async fn a_child_is_there_from_its_parents_record_on_and_its_own_first_record_is_version_1() {
    let (world, running, child) = with_child().await;

    bear(&running, 1, &child);
    running.drained().await;
    assert_eq!(stored_versions(&world, &child), (0, 0));
    assert_eq!(running.order(child.id()).await.tickets(), child.tickets());
    assert_eq!(redeemed(&running.scan(child.id(), 1, "press").await), 2);

    running.drained().await;
    assert_eq!(stored_versions(&world, &child), (1, 0));
    assert_eq!(own_versions(&running, &child), [1]);
    assert_eq!(running.services().orders.restarts(), 0);
}

#[actix::test]
async fn whoever_asks_for_a_child_before_it_is_born_waits_and_nobody_else_makes_it() {
    let (world, running, child) = with_child().await;
    let orders = &running.services().orders;
    let birth = expect(&running, &child);
    // What is in Postgres or not is of no concern.
    world.store.set(Postgres::Away);

    let mut asked: Vec<_> = (0..5).map(|_| Box::pin(running.order(child.id()))).collect();
    for asking in &mut asked {
        assert!(poll!(asking).is_pending());
    }
    assert!(!orders.is_in_memory(&child.id()));
    assert!(orders.expect_birth(&child.id()).is_none());
    assert!(!orders.put(&child.id(), Seed::from_rows(&first_images(&child), running.engine.now()).unwrap()));
    write(&running, 1, &child).unwrap();
    birth.born(awake(&running, &child));

    for order in join_all(asked).await {
        assert_eq!(order.id(), child.id());
    }
    assert!(orders.expect_birth(&child.id()).is_none(), "it is there");
}

#[actix::test]
async fn a_child_whose_parent_could_not_write_does_not_exist_and_may_be_born_later() {
    let (_world, running, child) = with_child().await;
    let birth = expect(&running, &child);
    let mut asked = Box::pin(running.shown(running.engine.order(child.id())));
    assert!(poll!(&mut asked).is_pending());

    assert!(matches!(write(&running, 7, &child), Err(AppendError::WrongVersion { .. })));
    drop(birth);

    assert_eq!(asked.await.unwrap().unwrap_err(), Rejection::OrderNotFound);
    assert_eq!(running.services().orders.in_memory(), 0);
    bear(&running, 1, &child);
    assert_eq!(running.order(child.id()).await.id(), child.id());
}

#[actix::test]
async fn a_child_does_not_leave_memory_before_its_parents_record_is_projected() {
    let (world, running, child) = with_child().await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    bear(&running, 1, &child);
    let orders = &running.services().orders;
    eventually("it rests", || orders.dormant().keys() == 1).await;

    for _ in 0..3 {
        world.clock.pass(LONG);
        // It is looked at, and asked, and rests again.
        eventually_so("it answers", || async { running.order(child.id()).await.tickets() == child.tickets() }).await;
        eventually("it rests", || orders.dormant().keys() == 1).await;
    }
    assert!(world.store.rows_of_order(child.id()).is_none());

    world.store.set(Postgres::Up);
    running.drained().await;
    world.clock.pass(LONG);
    eventually("it sleeps", || orders.in_memory() == 0).await;
    assert_eq!(stored_versions(&world, &child), (0, 0));
    assert_eq!(running.order(child.id()).await.tickets().len(), 2);
    running.drained().await;
    assert_eq!(own_versions(&running, &child), Vec::<u64>::new());
}

#[actix::test]
async fn a_crash_between_the_parents_record_and_the_birth_loses_nothing() {
    let (world, running, child) = with_child().await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    let birth = expect(&running, &child);
    let position = write(&running, 1, &child).unwrap();
    running.journal.wait(position).await.unwrap();
    running.kill().await;
    drop(birth);
    world.store.set(Postgres::Up);

    let running = world.start().await;

    assert_eq!(stored_versions(&world, &child), (0, 0));
    assert_eq!(redeemed(&running.scan(child.id(), 1, "press").await), 2);
    running.drained().await;
    assert_eq!(stored_versions(&world, &child), (1, 0));
    assert_eq!(own_versions(&running, &child), [1]);
}

#[actix::test]
async fn a_parent_that_breaks_leaves_the_key_to_its_rows_whether_it_had_written_or_not() {
    for has_written in [true, false] {
        let (world, running, child) = with_child().await;
        running.drained().await;
        world.store.set(Postgres::Behind);
        let birth = expect(&running, &child);
        catch_unwind(AssertUnwindSafe(|| {
            let _birth = birth;
            if has_written {
                write(&running, 1, &child).unwrap();
            }
            panic!("planted");
        }))
        .unwrap_err();
        running.buy(wish(traveller(2), "key", &coach(), 1)).await;

        // Nobody knows yet, and nobody is told that there is no such order.
        assert_eq!(running.shown(running.engine.order(child.id())).await.unwrap_err(), Outage::Rebuilding);
        assert!(running.services().orders.expect_birth(&child.id()).is_none());

        world.store.set(Postgres::Up);
        eventually_so("it is known", || async { running.shown(running.engine.order(child.id())).await.is_ok() }).await;
        let found = running.shown(running.engine.order(child.id())).await.unwrap();
        assert_eq!(
            found.map(|order| order.id()),
            if has_written { Ok(child.id()) } else { Err(Rejection::OrderNotFound) }
        );
    }
}

#[actix::test]
async fn a_child_that_breaks_before_its_first_record_is_rebuilt_with_version_0() {
    let (world, running, child) = with_child().await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    bear(&running, 1, &child);
    let orders = &running.services().orders;
    assert!(orders.ask(&child.id(), crate::testing::Break).await.is_err());
    assert_eq!(running.shown(running.engine.order(child.id())).await.unwrap_err(), Outage::Rebuilding);

    world.store.set(Postgres::Up);

    eventually_so("it is back", || async { running.shown(running.engine.order(child.id())).await.is_ok() }).await;
    assert_eq!(redeemed(&running.scan(child.id(), 1, "press").await), 2);
    running.drained().await;
    assert_eq!(stored_versions(&world, &child), (1, 0));
}

#[actix::test]
async fn a_first_image_that_comes_too_late_changes_nothing() {
    let (world, running, child) = with_child().await;
    bear(&running, 1, &child);
    assert_eq!(redeemed(&running.scan(child.id(), 1, "press").await), 2);

    // A parent that is mistaken about its child.
    write(&running, 2, &child).unwrap();

    running.drained().await;
    assert_eq!(stored_versions(&world, &child), (1, 0));
    let rows = world.store.rows_of_order(child.id()).unwrap();
    let ticket: TicketRow<'_> = rows.of().next().unwrap().unwrap();
    assert_eq!((ticket.status, rows.images_of(ScanRow::TABLE).count()), (TicketStatus::Used, 2));
}

#[actix::test]
async fn an_order_of_one_departure_is_born_in_the_record_that_holds_its_seats() {
    let (world, running) = World::with_seats(4).await;
    running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let before = running.journal.appended();

    let order = running.buy(wish(traveller(2), "key", &coach(), 2)).await;

    assert_eq!(running.journal.appended(), before.next());
    running.drained().await;
    let stored = world.store.rows_of_order(order.id()).unwrap();
    assert_eq!((newest_version(&stored).unwrap(), own_versions(&running, &order)), (0, vec![]));
    let paid = running.buy_and_pay(&world, wish(traveller(3), "key", &coach(), 1)).await;
    assert_eq!(own_versions(&running, &paid).first(), Some(&1));
}

#[actix::test]
async fn an_order_of_several_departures_has_records_of_its_own() {
    let (world, running) = World::with_seats(4).await;
    let mut there_and_on = wish(traveller(1), "key", &coach(), 1);
    there_and_on.items.extend(wish(traveller(1), "key", &ferry(), 1).items);

    let order = running.buy(there_and_on).await;

    assert_eq!(own_versions(&running, &order), [1]);
    running.drained().await;
    assert_eq!(newest_version(&world.store.rows_of_order(order.id()).unwrap()).unwrap(), 1);
}

//! What orders announce is counted once, whatever ends when: by the follower that is always there (rule 16).

use deeptravel_domain::announcement::{AnnouncementKind, AnnouncementRow};
use deeptravel_domain::order::{Gate, OrderStatus, Scan};
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::totals::TotalsRow;

use crate::follow::Following;
use crate::journal::{Position, Record};
use crate::kind::Kind;
use crate::testing::{
    Break, Postgres, Running, World, coach, eventually, eventually_so, ferry, redeemed, scan, traveller, wish,
};

/// What orders announce: paid, cancelled, revived, redeemed, completed; and of partners' orders used and refunded.
type Counted = [u64; 7];

/// As everybody sees them, without asking.
fn totals(running: &Running) -> Counted {
    let totals = running.services().totals.load();
    let of_all = AnnouncementKind::ALL.map(|kind| totals.of(kind));
    std::array::from_fn(|place| of_all[place])
}

/// Waits until there is nothing more to follow.
async fn followed(running: &Running, following: &Following) {
    eventually("it is followed", || following.statuses()[0].seen >= running.journal.appended()).await;
}

fn records(running: &Running) -> Vec<(Position, Record)> {
    let mut reader = running.journal.reader(running.journal.oldest().previous()).unwrap();
    reader.next_batch(100_000, 1 << 30).unwrap()
}

/// Buys, pays and uses both seats at once: paid, redeemed twice, completed.
async fn travel(world: &World, running: &Running, key: &str) {
    let order = running.buy_and_pay(world, wish(traveller(1), key, &coach(), 2)).await;
    assert_eq!(redeemed(&running.scan(order.id(), 1, key).await), 2);
}

#[actix::test]
async fn rule_16_what_happens_to_orders_is_counted_by_kind() {
    let (world, running) = World::with_seats(10).await;
    let following = world.follow(&running);
    let mut both = wish(traveller(1), "both", &coach(), 1);
    both.items.extend(wish(traveller(1), "", &ferry(), 1).items);
    let order = running.buy_and_pay(&world, both).await.id();
    let aboard = |departure, request| {
        let Scan { gate, .. } = scan(1, request);
        Scan { gate: Gate { departure: Some(departure), ..gate }, ..scan(1, request) }
    };
    for (departure, request) in [(coach(), "r1"), (coach(), "r1"), (coach(), "r2"), (ferry(), "r3"), (ferry(), "r3")] {
        running.redeem(order, aboard(departure, request)).await.unwrap().unwrap();
    }
    assert_eq!(running.order(order).await.status(), OrderStatus::Completed);
    let given_up = running.buy(wish(traveller(2), "given up", &coach(), 1)).await;
    let number = running.open_payment(given_up.id()).await;
    running.shown(running.engine.cancel(given_up.id())).await.unwrap().unwrap();
    let money = world.gateway.pay_after_all(number).unwrap();
    running.shown(running.engine.learn(money)).await.unwrap().unwrap();
    eventually_so("it is back", || async { running.order(given_up.id()).await.status() == OrderStatus::Paid }).await;
    running.buy(wish(traveller(3), "unpaid", &coach(), 1)).await;

    followed(&running, &following).await;

    assert_eq!(totals(&running), [1, 1, 1, 2, 1, 0, 0]);
    for (position, record) in records(&running) {
        let rows = Rows::from_bytes(record.payload).unwrap();
        let kind = Kind::of_rows(rows.has(AnnouncementRow::TABLE));
        assert_eq!(Kind::known(record.header.kind), Some(kind), "{position} says what is in it");
        assert!(!(rows.has(TotalsRow::TABLE) && kind.announces()), "{position} would be followed by itself");
    }
    running.drained().await;
    assert!(world.store.rows(AnnouncementRow::TABLE).is_empty(), "they are the journal's");
    assert_eq!(world.store.rows(TotalsRow::TABLE).images().count(), 1);
}

#[actix::test]
async fn rule_20_an_owner_of_totals_that_panics_comes_back_and_counts_on() {
    let (world, running) = World::with_seats(10).await;
    let following = world.follow(&running);
    travel(&world, &running, "first").await;
    followed(&running, &following).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    travel(&world, &running, "second").await;
    followed(&running, &following).await;

    // Its newest record is not projected: until it is, the owner stays away, and what comes waits for it.
    let owner = &running.services().totals_owner;
    owner.ask(&"totals", Break).await.unwrap_err();
    travel(&world, &running, "third").await;
    assert_eq!(totals(&running), [2, 0, 0, 4, 2, 0, 0]);
    world.store.set(Postgres::Up);
    eventually("it is counted", || totals(&running) == [3, 0, 0, 6, 3, 0, 0]).await;
    followed(&running, &following).await;

    assert_eq!((totals(&running), owner.restarts()), ([3, 0, 0, 6, 3, 0, 0], 1));
    assert_eq!(following.statuses()[0].set_aside, 0);
}

#[actix::test]
async fn rule_20_a_record_that_the_owner_of_totals_breaks_over_twice_is_passed() {
    let (world, running) = World::with_seats(10).await;
    let following = world.follow(&running);
    running.services().faults.plant_key("totals", 2);
    let given_up = running.buy(wish(traveller(2), "given up", &coach(), 1)).await;
    running.shown(running.engine.cancel(given_up.id())).await.unwrap().unwrap();
    eventually("it is passed", || following.statuses()[0].set_aside == 1).await;

    travel(&world, &running, "afterwards").await;
    followed(&running, &following).await;

    assert_eq!(totals(&running), [1, 0, 0, 2, 1, 0, 0]);
    assert_eq!(running.services().totals_owner.restarts(), 2);
}

#[actix::test]
async fn rule_16_a_start_finds_what_was_counted_though_postgres_had_not() {
    let (world, running) = World::with_seats(10).await;
    let following = world.follow(&running);
    world.store.set(Postgres::Behind);
    travel(&world, &running, "key").await;
    followed(&running, &following).await;
    running.kill().await;

    world.store.set(Postgres::Up);
    let running = world.start().await;
    assert_eq!(totals(&running), [1, 0, 0, 2, 1, 0, 0], "before anybody follows");
    let (following, before) = (world.follow(&running), running.journal.appended());
    followed(&running, &following).await;
    assert_eq!(running.journal.appended(), before, "nothing is counted again");
    travel(&world, &running, "another").await;
    followed(&running, &following).await;
    assert_eq!(totals(&running), [2, 0, 0, 4, 2, 0, 0]);
}

#[actix::test]
async fn rule_16_a_start_counts_again_what_was_counted_and_not_durable() {
    let (world, running) = World::with_seats(10).await;
    let following = world.follow(&running);
    travel(&world, &running, "first").await;
    followed(&running, &following).await;
    travel(&world, &running, "second").await;
    followed(&running, &following).await;
    let records = running.records();
    let newest = records.iter().rposition(|(_, record)| record.header.key.as_str() == "totals").unwrap();
    running.kill().await;

    let world = World::of_records(&records[..newest]).await;
    let running = world.start().await;
    let found = totals(&running);
    assert!(found[0] < 2 || found[4] < 2, "the newest count is lost: {found:?}");
    let following = world.follow(&running);
    followed(&running, &following).await;
    assert_eq!(totals(&running), [2, 0, 0, 4, 2, 0, 0]);
}

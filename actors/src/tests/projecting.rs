//! Postgres follows the journal: every record, in order, once; loudly not at all where something does not fit
//! (rule 12).

use std::sync::Arc;

use deeptravel_domain::inventory::rows::HoldRow;
use deeptravel_domain::order::OrderStatus;
use deeptravel_domain::order::rows::{OrderRow, PaymentRow};
use deeptravel_domain::row::Rows;

use futures_util::poll;

use crate::journal::{KeyText, Position, Record, RecordHeader};
use crate::kind::{CODEC, Kind};
use crate::projector::{ProjectionHalted, Projector};
use crate::testing::{MemoryStore, Postgres, World, coach, eventually, traveller, wish};

#[actix::test]
async fn many_records_are_one_transaction() {
    let (world, running) = World::with_seats(200).await;
    running.drained().await;
    let (before, _) = world.store.batches();
    world.store.set(Postgres::Behind);
    for number in 1..=50 {
        running.buy(wish(traveller(number), "key", &coach(), 1)).await;
    }
    world.store.set(Postgres::Up);

    running.drained().await;

    let (after, _) = world.store.batches();
    assert_eq!(world.store.orders().len(), 50);
    assert!(after - before <= 3, "{} transactions", after - before);
}

#[actix::test]
async fn an_answer_lost_at_commit_is_made_up_for() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    world.store.set(Postgres::LosesAnswer);

    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    running.drained().await;
    let second = running.buy(wish(traveller(2), "key", &coach(), 1)).await;
    running.drained().await;

    assert!(world.store.rows_of_order(order.id()).is_some());
    assert!(world.store.rows_of_order(second.id()).is_some());
}

#[actix::test]
async fn while_postgres_is_away_projection_pauses_and_then_catches_up() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    world.store.set(Postgres::Away);
    let (_, tried) = world.store.batches();
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    eventually("it tries more than once", || world.store.batches().1 >= tried + 2).await;

    world.store.set(Postgres::Up);

    running.drained().await;
    assert!(world.store.rows_of_order(order.id()).is_some());
}

#[actix::test]
async fn a_database_that_is_too_slow_for_a_whole_batch_gets_on_with_parts_of_it() {
    let (world, running) = World::with_seats(200).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    for number in 1..=100 {
        running.buy(wish(traveller(number), "key", &coach(), 1)).await;
    }
    world.store.set(Postgres::Slow);

    running.drained().await;

    assert_eq!(world.store.orders().len(), 100);
}

#[actix::test]
async fn what_was_durable_at_the_close_is_projected() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    assert!(world.store.rows_of_order(order.id()).is_none());
    world.store.set(Postgres::Up);

    running.stop().await.unwrap();

    assert!(world.store.rows_of_order(order.id()).is_some());
}

#[actix::test]
async fn a_batch_that_the_database_refuses_halts_projection() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    let position = world.store.position();
    world.store.set(Postgres::Refusing);
    running.buy(wish(traveller(1), "key", &coach(), 1)).await;

    let halted = running.halted().await;

    assert!(matches!(halted, Err(ProjectionHalted::Data { from, .. }) if from == position), "{halted:?}");
    assert_eq!(world.store.position(), position);
}

#[actix::test]
async fn a_position_that_moves_back_is_another_servers_doing() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    world.store.set_position(Position(1));
    running.buy(wish(traveller(1), "key", &coach(), 1)).await;

    let halted = running.halted().await;

    assert!(matches!(halted, Err(ProjectionHalted::Fenced(_))), "{halted:?}");
}

#[actix::test]
async fn a_record_of_an_unknown_kind_halts_projection() {
    for (kind, codec) in [(Kind::Announcing.number() + 1, CODEC), (Kind::Rows.number(), CODEC + 1)] {
        let (world, running) = World::with_seats(4).await;
        running.drained().await;
        let position = world.store.position();
        let key = KeyText::new("later/1").unwrap();
        let header = RecordHeader { kind, codec, key, key_version: 1, at_ms: 0 };
        running.append(&Record { header, payload: vec![1] }).unwrap();

        let halted = running.halted().await;

        assert!(matches!(halted, Err(ProjectionHalted::Record { .. })), "{halted:?}");
        assert_eq!(world.store.position(), position);
    }
}

/// An older release would otherwise skip what a newer one has written (rule 23).
#[actix::test]
async fn rows_of_an_unknown_table_halt_projection() {
    let (world, running) = World::with_seats(4).await;
    running.drained().await;
    let mut rows = Rows::default();
    rows.put_image(999, b"");
    let key = KeyText::new("later/1").unwrap();
    let header = RecordHeader { kind: Kind::Rows.number(), codec: CODEC, key, key_version: 1, at_ms: 0 };
    running.append(&Record { header, payload: rows.into_bytes() }).unwrap();

    let halted = running.halted().await;

    assert!(matches!(halted, Err(ProjectionHalted::Record { .. })), "{halted:?}");
    drop(world);
}

#[actix::test]
async fn the_newest_image_of_a_row_wins() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    running.drained().await;

    let rows = world.store.rows_of_order(order.id()).unwrap();
    let departure = world.store.rows_of_departure(&coach()).unwrap();

    assert_eq!(rows.all::<OrderRow<'_>>().unwrap()[0].status, OrderStatus::Paid);
    assert_eq!(rows.all::<PaymentRow<'_>>().unwrap()[0].state, "paid");
    let holds: Vec<HoldRow<'_>> = departure.all().unwrap();
    assert_eq!(holds[0].state, "confirmed");
    assert_eq!(holds.len(), 1);
}

#[actix::test]
async fn while_little_is_sold_commits_are_spaced_and_what_comes_after_silence_is_projected_at_once() {
    let (world, running) = World::with_seats(200).await;
    running.drained().await;
    let (before, _) = world.store.batches();
    let started = std::time::Instant::now();
    for number in 1..=60 {
        running.buy(wish(traveller(number), "key", &coach(), 1)).await;
    }
    running.drained().await;
    let (after, _) = world.store.batches();

    assert_eq!(world.store.orders().len(), 60);
    let at_most = started.elapsed().as_millis() / crate::projector::GATHER.as_millis() + 2;
    assert!((after - before) as u128 <= at_most, "{} transactions, expected {at_most} at most", after - before);
}

#[actix::test]
async fn fault_1_a_segment_that_cannot_be_opened_now_is_waited_for() {
    let (world, running) = World::with_seats(4).await;
    let order = running.buy(wish(traveller(1), "key", &coach(), 1)).await;
    let segment = world.newest_segment();
    let elsewhere = segment.with_extension("elsewhere");
    std::fs::rename(&segment, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&segment, &segment).unwrap();
    let store = Arc::new(MemoryStore::default());
    let (mut projector, _projected) = Projector::new(&running.journal, store.clone(), Position::NOTHING).unwrap();
    let mut catching_up = Box::pin(projector.catch_up());
    assert!(poll!(&mut catching_up).is_pending(), "projection does not end");

    std::fs::remove_file(&segment).unwrap();
    std::fs::rename(&elsewhere, &segment).unwrap();
    assert_eq!(catching_up.await.unwrap(), running.journal.durable());
    assert!(store.rows_of_order(order.id()).is_some());
}

//! An idle owner's turn runs on the thread of whoever asks it; one that has something to do hears him by message (rule 1).

use std::sync::mpsc::{Sender, channel};

use deeptravel_domain::ids::DepartureId;
use futures_util::poll;

use crate::outage::Outage;
use crate::testing::{
    Fault, Running, World, coach, eventually, ferry, held, release_of_nothing, traveller, wish, within,
};

/// From now on every thread that has owners does nothing until its sender is dropped.
fn hang_all_arbiters(running: &Running) -> Vec<Sender<()>> {
    let desks = &running.services().desks;
    let mut hanging: Vec<(usize, Sender<()>)> = Vec::new();
    for desk in 0..crate::services::DESKS {
        if hanging.iter().any(|(other, _)| desks.is_beside(&desk, desks, other)) {
            continue;
        }
        let ((release, released), (hangs, it_hangs)) = (channel::<()>(), channel());
        desks.run_at_home(&desk, move || {
            hangs.send(()).unwrap();
            assert!(released.recv().is_err());
        });
        // What it was told before could otherwise be done after it.
        it_hangs.recv().unwrap();
        hanging.push((desk, release));
    }
    hanging.into_iter().map(|(_, release)| release).collect()
}

async fn awake(running: &Running, departures: &[DepartureId]) {
    for (number, departure) in (900..).zip(departures) {
        running.buy(wish(traveller(number), "key", departure, 1)).await;
    }
    // What these left to do for their departures is done.
    for departure in departures {
        running.services().departures.consult(departure, release_of_nothing()).await.unwrap().outcome.unwrap();
    }
}

#[actix::test]
async fn whoever_asks_idle_owners_needs_no_thread_but_his_own() {
    let (_world, running) = World::with_seats(10).await;
    awake(&running, &[coach()]).await;
    let release = hang_all_arbiters(&running);

    let order = running.buy(wish(traveller(1), "key", &coach(), 2)).await;
    let again = running.shown(running.place(wish(traveller(2), "key", &coach(), 1))).await.unwrap().unwrap();

    assert_eq!((held(&order).len(), again.1), (2, true));
    assert_eq!(running.free_seats(&coach()), 10 - 4);
    drop(release);
}

#[actix::test]
async fn an_owner_with_a_message_waiting_hears_the_next_one_by_message_too() {
    let (_world, running) = World::with_seats(10).await;
    awake(&running, &[coach()]).await;
    let release = hang_all_arbiters(&running);
    let departures = &running.services().departures;

    let departure = coach();
    let mut first = Box::pin(departures.consult(&departure, release_of_nothing()));
    assert!(poll!(&mut first).is_pending());
    let mut second = Box::pin(running.shown(running.place(wish(traveller(1), "key", &coach(), 1))));
    assert!(poll!(&mut second).is_pending());
    assert_eq!(running.free_seats(&coach()), 10 - 1, "it was overtaken");
    drop(release);

    first.await.unwrap().outcome.unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(running.free_seats(&coach()), 10 - 2);
}

#[actix::test]
async fn rule_20_a_turn_that_panics_on_its_askers_thread_ends_that_owner_alone() {
    let (_world, running) = World::with_seats(10).await;
    awake(&running, &[coach(), ferry()]).await;
    let services = running.services();
    let release = hang_all_arbiters(&running);

    services.faults.plant(&coach(), Fault::AtMessage);
    let broken = running.shown(running.place(wish(traveller(1), "key", &coach(), 1))).await;
    assert_eq!(broken.unwrap_err(), Outage::Rebuilding, "whoever asked is told at once");
    running.buy(wish(traveller(2), "key", &ferry(), 1)).await;
    drop(release);

    eventually("it is rebuilt", || services.departures.restarts() == 1).await;
    eventually("it is back", || services.departures.is_live(&coach())).await;
    running.buy(wish(traveller(3), "key", &coach(), 1)).await;
    assert_eq!((services.desks.restarts(), running.free_seats(&coach())), (0, 10 - 2));
    within("heard", services.departures.consult(&coach(), release_of_nothing())).await.unwrap().outcome.unwrap();
}

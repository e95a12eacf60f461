//! Partners are told what happened, in order and until they have heard it, whatever ends when (R-OTA-09).

use std::sync::Arc;

use deeptravel_domain::announcement::{AnnouncementKind, AnnouncementRow};
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::row::Row as _;
use deeptravel_domain::sealing::SealedSecret;
use deeptravel_domain::webhook::rows::{WebhookDeliveryRow, WebhookEventRow};
use deeptravel_domain::webhook::{
    CallError, Command, Event, EventKind, Hook, RECENT_MAX, RETRY_SECONDS, ROTATION_SECONDS, Standing, Take,
    WebhookChange, Write,
};

use crate::follow::Following;
use crate::keeper::{Keeping as _, Tell};
use crate::testing::{
    Break, NOON, Postgres, Reception, Running, World, coach, eventually, eventually_so, traveller, wish,
};
use crate::webhooks::{Heralded, Numbering};

fn a() -> PartnerCode {
    PartnerCode::constant("partner-a")
}

fn b() -> PartnerCode {
    PartnerCode::constant("partner-b")
}

/// Every order that is paid is a ticket of partner A; of everything else nobody hears.
fn events_of(announced: &AnnouncementRow) -> Vec<(PartnerCode, Event)> {
    let is_paid = announced.kind == AnnouncementKind::Paid;
    is_paid.then(|| (a(), activated(&announced.order_id.to_string()))).into_iter().collect()
}

fn activated(ticket: &str) -> Event {
    let kind = EventKind::TicketActivated;
    Event { kind, subject: ticket.into(), order: None, ticket: None, count: None, at: NOON }
}

fn follow(world: &World, running: &Running) -> Following {
    let services = running.services();
    let numbering = Numbering::new(Arc::clone(&services.webhooks_owner), services).of(events_of);
    world.follow_as(running, Box::new(numbering))
}

/// Waits until there is nothing more to follow.
async fn followed(running: &Running, following: &Following) {
    eventually("it is followed", || following.statuses()[0].seen >= running.journal.appended()).await;
}

/// As if a follower had found so many events of each.
async fn happen(running: &Running, events: &[(PartnerCode, u64)]) {
    let services = running.services();
    let after = services.webhooks.borrow().position();
    let of = |(partner, count): &(PartnerCode, u64)| {
        let partner = partner.clone();
        (0..*count).map(move |number| (partner.clone(), Arc::new(activated(&number.to_string()))))
    };
    let take = Take { after, up_to: after + 1, events: events.iter().flat_map(of).collect() };
    eventually_so("it is numbered", || async {
        let tell = Tell(Command::Take(take.clone()));
        services.webhooks_owner.ask(&Heralded::KEY, tell).await.is_ok_and(|told| told.unwrap().outcome.is_ok())
    })
    .await;
}

fn secret(byte: u8) -> SealedSecret {
    SealedSecret { key_version: 1, ciphertext: [byte; 8].into() }
}

async fn write(running: &Running, partner: &PartnerCode, change: WebhookChange) {
    let write = Write { partner: partner.clone(), change, by: "admin".into() };
    running.shown(running.engine.write_webhook(write)).await.unwrap().unwrap();
}

async fn put(running: &Running, partner: &PartnerCode, enabled: bool) {
    let url = format!("https://{partner}.example/hook").into();
    write(running, partner, WebhookChange::Put { url, enabled, fresh: secret(1) }).await;
}

fn hook(running: &Running, partner: &PartnerCode) -> Arc<Hook> {
    Arc::clone(running.services().webhooks.borrow().hook(partner).unwrap())
}

fn standing(running: &Running, partner: &PartnerCode) -> Standing {
    hook(running, partner).endpoint().unwrap().standing
}

/// Waits until a partner was told all of these, and no others, in this order.
async fn heard(world: &World, partner: &PartnerCode, numbers: impl IntoIterator<Item = u64>) {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    eventually("they are told", || world.receivers.heard(partner).len() >= numbers.len()).await;
    assert_eq!(world.receivers.heard(partner), numbers);
}

/// Waits until the end of a call is written down.
async fn failed(running: &Running, partner: &PartnerCode, times: u32) {
    eventually("it has failed", || hook(running, partner).failures() == times).await;
}

#[actix::test]
async fn r_ota_09_partners_are_told_in_order_and_do_not_wait_for_each_other() {
    let world = World::default();
    let running = world.start().await;
    let _sending = world.send(&running);
    put(&running, &a(), true).await;
    put(&running, &b(), true).await;
    world.receivers.set(&a(), Reception::Slow);
    happen(&running, &[(a(), 3), (b(), 20)]).await;

    heard(&world, &b(), 1..=20).await;
    heard(&world, &a(), [1]).await;
    world.receivers.set(&a(), Reception::Good);
    heard(&world, &a(), 1..=3).await;
    eventually("all ends are written down", || hook(&running, &a()).next() == 4).await;

    let told = world.receivers.messages(&a()).swap_remove(0);
    assert_eq!(
        (&*told.url, &*told.id, told.secrets),
        ("https://partner-a.example/hook", "evt_partner-a_1", vec![secret(1)])
    );
    running.drained().await;
    let rows = world.store.rows(WebhookDeliveryRow::TABLE);
    let logged: Vec<WebhookDeliveryRow> = rows.all().unwrap();
    let of_a = logged.iter().filter(|row| row.partner_id == a()).map(|row| (row.number, row.sequence, row.status));
    assert_eq!(of_a.collect::<Vec<_>>(), [(1, 1, Some(204)), (2, 2, Some(204)), (3, 3, Some(204))]);
}

#[actix::test]
async fn r_ota_09_a_receiver_that_is_down_or_fails_is_called_again_and_one_that_says_410_is_not() {
    let world = World::default();
    let running = world.start().await;
    let _sending = world.send(&running);
    put(&running, &a(), true).await;
    put(&running, &b(), true).await;
    world.receivers.set(&a(), Reception::Down);
    world.receivers.set(&b(), Reception::Answers(410));
    happen(&running, &[(a(), 2), (b(), 2)]).await;

    failed(&running, &a(), 1).await;
    world.receivers.set(&a(), Reception::Answers(500));
    world.clock.pass(RETRY_SECONDS[0].into());
    failed(&running, &a(), 2).await;
    world.receivers.set(&a(), Reception::Good);
    world.clock.pass(RETRY_SECONDS[1].into());
    heard(&world, &a(), [1, 1, 2]).await;

    eventually("it is gone", || standing(&running, &b()) == Standing::Gone).await;
    assert_eq!(world.receivers.heard(&b()), [1]);
    assert_eq!(running.services().attention.webhooks_ended(), 1);
    world.receivers.set(&b(), Reception::Good);
    put(&running, &b(), true).await;
    heard(&world, &b(), [1, 1, 2]).await;
    assert_eq!(running.services().attention.webhooks_ended(), 0);
    running.drained().await;
    let rows = world.store.rows(WebhookDeliveryRow::TABLE);
    let logged: Vec<WebhookDeliveryRow> = rows.all().unwrap();
    let of_a = logged.iter().filter(|row| row.partner_id == a()).map(|row| (row.status, row.error));
    let down = (None, Some(CallError::Connection));
    assert_eq!(of_a.take(3).collect::<Vec<_>>(), [down, (Some(500), None), (Some(204), None)]);
}

#[actix::test]
async fn r_ota_09_five_days_without_an_answer_disable_an_endpoint_and_lose_nothing() {
    let world = World::default();
    let running = world.start().await;
    let _sending = world.send(&running);
    put(&running, &a(), true).await;
    world.receivers.set(&a(), Reception::Down);
    happen(&running, &[(a(), 2)]).await;
    for (times, pause) in (1..).zip(RETRY_SECONDS) {
        failed(&running, &a(), times).await;
        world.clock.pass(pause.into());
    }
    eventually("it has failed for good", || standing(&running, &a()) == Standing::Exhausted).await;

    world.receivers.set(&a(), Reception::Good);
    put(&running, &a(), true).await;
    heard(&world, &a(), [1, 2]).await;
}

#[actix::test]
async fn r_ota_09_nothing_is_lost_over_a_crash_and_a_call_without_an_end_is_made_again() {
    let (world, running) = World::with_seats(10).await;
    let following = follow(&world, &running);
    let sending = world.send(&running);
    put(&running, &a(), true).await;
    world.receivers.set(&a(), Reception::Slow);
    let first = running.buy_and_pay(&world, wish(traveller(1), "first", &coach(), 1)).await;
    heard(&world, &a(), [1]).await;
    let second = running.buy_and_pay(&world, wish(traveller(2), "second", &coach(), 1)).await;
    followed(&running, &following).await;
    drop(sending);
    running.kill().await;

    world.receivers.set(&a(), Reception::Good);
    let running = world.start().await;
    assert_eq!(hook(&running, &a()).next(), 1, "its end was never written down");
    let (following, _sending) = (follow(&world, &running), world.send(&running));
    let third = running.buy_and_pay(&world, wish(traveller(3), "third", &coach(), 1)).await;
    followed(&running, &following).await;
    heard(&world, &a(), [1, 1, 2, 3]).await;

    let told = world.receivers.messages(&a());
    assert_eq!(told[0], told[1], "the same message, by its id and to the letter");
    for (message, order) in told[1..].iter().zip([&first, &second, &third]) {
        assert!(message.body.contains(&order.id().to_string()), "{}", message.body);
    }
}

#[actix::test]
async fn rule_16_an_event_is_numbered_once_though_its_number_was_lost_or_postgres_had_not_seen_it() {
    let (world, running) = World::with_seats(10).await;
    let following = follow(&world, &running);
    put(&running, &a(), true).await;
    running.drained().await;
    world.store.set(Postgres::Behind);
    let order = running.buy_and_pay(&world, wish(traveller(1), "key", &coach(), 1)).await;
    followed(&running, &following).await;
    eventually("it is numbered", || hook(&running, &a()).last() == 1).await;
    running.kill().await;

    world.tear_last_record();
    world.store.set(Postgres::Up);
    let running = world.start().await;
    assert_eq!(hook(&running, &a()).last(), 0, "the number is lost");
    let following = follow(&world, &running);
    world.store.set(Postgres::Behind);
    followed(&running, &following).await;
    eventually("it is numbered again", || hook(&running, &a()).last() == 1).await;
    running.kill().await;

    world.store.set(Postgres::Up);
    let running = world.start().await;
    let (following, before) = (follow(&world, &running), running.journal.appended());
    followed(&running, &following).await;
    assert_eq!(running.journal.appended(), before, "nothing is numbered twice");
    let given_up = running.buy(wish(traveller(2), "given up", &coach(), 1)).await;
    running.shown(running.engine.cancel(given_up.id())).await.unwrap().unwrap();
    let before = running.journal.appended();
    followed(&running, &following).await;
    assert_eq!(running.journal.appended(), before, "of what is nobody's nothing is written, not even the position");
    running.drained().await;
    let rows = world.store.rows(WebhookEventRow::TABLE);
    let event: WebhookEventRow<'_> = rows.only().unwrap();
    assert_eq!((event.sequence, event.subject), (1, &*order.id().to_string()));
}

#[actix::test]
async fn r_ota_09_events_are_replayed_from_a_number_on_from_their_rows_when_postgres_is_there() {
    let world = World::default();
    let running = world.start().await;
    let _sending = world.send(&running);
    put(&running, &a(), true).await;
    happen(&running, &[(a(), 4)]).await;
    heard(&world, &a(), 1..=4).await;
    running.drained().await;
    world.store.set(Postgres::Away);
    write(&running, &a(), WebhookChange::Replay { from: 2 }).await;
    happen(&running, &[(a(), 1), (b(), 1)]).await;
    put(&running, &b(), true).await;
    happen(&running, &[(b(), 1)]).await;
    heard(&world, &b(), [2]).await;
    assert_eq!(world.receivers.heard(&a()).len(), 4, "what is in no memory waits for Postgres, and others do not");

    world.store.set(Postgres::Up);
    heard(&world, &a(), [1, 2, 3, 4, 2, 3, 4, 5]).await;
    let told = world.receivers.messages(&a());
    assert_eq!(told[1], told[4], "a replay is the same message");
}

#[actix::test]
async fn r_ota_09_whoever_is_far_behind_is_served_from_postgres_and_then_from_memory() {
    let world = World::default();
    let running = world.start().await;
    put(&running, &a(), true).await;
    let count = RECENT_MAX as u64 + 20;
    happen(&running, &[(a(), count)]).await;
    let _sending = world.send(&running);
    heard(&world, &a(), 1..=count).await;
}

#[actix::test]
async fn r_ota_09_both_secrets_sign_while_one_rotates() {
    let world = World::default();
    let running = world.start().await;
    let _sending = world.send(&running);
    put(&running, &a(), true).await;
    write(&running, &a(), WebhookChange::NewSecret { fresh: secret(2) }).await;
    happen(&running, &[(a(), 1)]).await;
    heard(&world, &a(), [1]).await;
    world.clock.pass(ROTATION_SECONDS);
    happen(&running, &[(a(), 1)]).await;
    heard(&world, &a(), [1, 2]).await;
    let secrets: Vec<_> = world.receivers.messages(&a()).into_iter().map(|message| message.secrets).collect();
    assert_eq!(secrets, [vec![secret(2), secret(1)], vec![secret(2)]]);
}

#[actix::test]
async fn rule_20_an_owner_of_webhooks_that_panics_comes_back_and_partners_are_told_on() {
    let world = World::default();
    let running = world.start().await;
    let _sending = world.send(&running);
    put(&running, &a(), true).await;
    happen(&running, &[(a(), 2)]).await;
    heard(&world, &a(), [1, 2]).await;
    eventually("all ends are written down", || hook(&running, &a()).next() == 3).await;
    running.drained().await;

    running.services().webhooks_owner.ask(&Heralded::KEY, Break).await.unwrap_err();
    eventually("it is back", || running.services().webhooks_owner.restarts() == 1).await;
    happen(&running, &[(a(), 1)]).await;
    heard(&world, &a(), [1, 2, 3]).await;
}

//! What partners are told, through `kill -9` and receivers that are slow, fail, go away and want nothing more (R-OTA-09).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Market, PRODUCT, codes};
use crate::history::patiently;
use crate::receiver::{Message, Mood, Receiver};
use crate::server::{PATIENCE, Server};
use crate::shop::Agent;

/// A partner that is told something, and the tickets of which it is told.
struct Listener<'a> {
    market: &'a Market,
    agent: &'a Agent,
    receiver: Receiver,
    secret: String,
    tickets: Vec<String>,
    activated: u64,
}

impl<'a> Listener<'a> {
    async fn new(market: &'a Market, agent: &'a Agent) -> anyhow::Result<Listener<'a>> {
        let receiver = Receiver::start().await?;
        let (_, batch) = patiently(|| agent.generate(PRODUCT, "B-1", 60)).await;
        let mut listener =
            Listener { market, agent, receiver, secret: String::new(), tickets: codes(&batch), activated: 0 };
        let put = listener.put(true).await;
        listener.secret = put["secret"].as_str().unwrap_or_else(|| panic!("{put}")).into();
        Ok(listener)
    }

    fn path(&self) -> String {
        format!("/admin/ota/partners/{}/webhooks", self.agent.id)
    }

    async fn put(&self, enabled: bool) -> Value {
        let (path, body) = (self.path(), json!({ "url": self.receiver.url(), "enabled": enabled }));
        let (status, put) = patiently(|| self.market.shop.put(&self.market.admin, &path, &body)).await;
        assert!(status.is_success(), "{put}");
        put
    }

    /// Whatever waits is told at once.
    async fn again(&self) {
        self.put(false).await;
        self.put(true).await;
    }

    async fn shown(&self) -> Value {
        let path = self.path();
        patiently(|| self.market.shop.list(&self.market.admin, &path)).await.1
    }

    /// So many tickets are activated: an event each.
    async fn activates(&mut self, count: u64) {
        for ticket in self.tickets.drain(..count as usize) {
            let (status, answer) = patiently(|| self.agent.activate(&ticket)).await;
            assert!(status.is_success() || answer["code"] == "TICKET_ALREADY_ACTIVATED", "{answer}");
            self.activated += 1;
        }
    }

    async fn has_heard_all(&self) -> anyhow::Result<()> {
        self.receiver.until("everything is heard", |receiver| receiver.last() == self.activated).await;
        self.receiver.verify(&self.secret)
    }

    async fn stands(&self, standing: &str) {
        let since = Instant::now();
        while self.shown().await["standing"] != standing {
            assert!(since.elapsed() < PATIENCE, "it is {standing}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// In order, nothing left out, and the same whenever it came again.
    fn check(&self) {
        let mut contents: BTreeMap<u64, (String, Value)> = BTreeMap::new();
        let mut last = 0;
        for message in self.receiver.heard() {
            let sequence = message.sequence();
            assert!(sequence <= last + 1, "{sequence} was told after {last}");
            last = last.max(sequence);
        }
        for message in self.receiver.calls() {
            let now = (message.id().to_owned(), message.content());
            let before = contents.entry(message.sequence()).or_insert_with(|| now.clone());
            assert_eq!(*before, now, "it is the same");
        }
        assert_eq!(contents.keys().copied().collect::<Vec<_>>(), (1..=self.activated).collect::<Vec<_>>());
        let mut tickets: Vec<&str> =
            contents.values().filter_map(|(_, event)| event["data"]["ticketCode"].as_str()).collect();
        tickets.sort_unstable();
        tickets.dedup();
        assert_eq!(tickets.len() as u64, self.activated, "each ticket once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_ota_09_partners_are_told_everything_in_order_through_kill_9_whatever_their_receivers_do()
-> anyhow::Result<()> {
    let (market, mut server): (Market, Server) = Market::open(200, [100, 100]).await?;
    let mut a = Listener::new(&market, &market.agents[0]).await?;
    let mut b = Listener::new(&market, &market.agents[1]).await?;

    // Slow, and killed in the middle.
    a.receiver.is(Mood::Slowly(Duration::from_millis(40)));
    a.activates(10).await;
    a.receiver.until("some are heard", |receiver| receiver.last() >= 3).await;
    server = market.killed(server).await?;
    a.has_heard_all().await?;

    // Failing: what comes after it waits for it; others do not.
    a.receiver.is(Mood::With(500));
    a.activates(4).await;
    let calls = a.receiver.calls().len();
    a.receiver.until("it fails", |receiver| receiver.calls().len() > calls).await;
    server = market.killed(server).await?;
    b.activates(3).await;
    b.has_heard_all().await?;
    assert_eq!(a.receiver.last(), 10, "nothing was passed over");
    a.receiver.is(Mood::Well);
    a.again().await;
    a.has_heard_all().await?;

    // Down, and so is the server.
    a.receiver.go().await;
    a.activates(4).await;
    server = market.killed(server).await?;
    b.activates(3).await;
    b.has_heard_all().await?;
    a.receiver.come().await?;
    a.again().await;
    a.has_heard_all().await?;

    // It wants nothing more, until an administrator says so.
    a.receiver.is(Mood::With(410));
    a.activates(3).await;
    a.stands("gone").await;
    let calls = a.receiver.calls().len();
    a.receiver.is(Mood::Well);
    server = market.killed(server).await?;
    a.activates(2).await;
    b.activates(1).await;
    b.has_heard_all().await?;
    a.stands("gone").await;
    assert_eq!(a.receiver.calls().len(), calls, "nothing is sent there");
    a.put(true).await;
    a.has_heard_all().await?;

    // Everything again, killed in the middle.
    a.receiver.is(Mood::Slowly(Duration::from_millis(20)));
    let heard = a.receiver.heard().len();
    let (path, replay) = (format!("{}/replay", a.path()), json!({ "fromSequence": 1 }));
    let (status, answer) = patiently(|| market.shop.tell(&market.admin, &path, &replay)).await;
    assert!(status.is_success(), "{answer}");
    a.receiver.until("some come again", |receiver| receiver.heard().len() > heard + 5).await;
    let server = market.killed(server).await?;
    let is_last_again = |receiver: &Receiver| {
        let again = &receiver.heard()[heard..];
        again.iter().any(|message| message.sequence() == receiver.last())
    };
    a.receiver.until("all come again", is_last_again).await;
    let mut again: Vec<u64> = a.receiver.heard()[heard..].iter().map(Message::sequence).collect();
    again.dedup();
    assert_eq!(again, (1..=a.activated).collect::<Vec<_>>(), "in order");

    for listener in [&a, &b] {
        listener.receiver.verify(&listener.secret)?;
        listener.check();
    }
    market.audited().await?;
    drop(server);
    Ok(())
}

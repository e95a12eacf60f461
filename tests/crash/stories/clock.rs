//! Rule 15: the server's wall clock jumps while it sells.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::history::{Purchase, patiently};
use crate::postgres::Postgres;
use crate::server::{Server, World, run_seconds};
use crate::shop::{Gate, Shop, day_in};
use crate::wall::Wall;

const LOCK_SECONDS: i64 = 4;
/// A hold may be kept so much longer than its lock.
const KEPT_SECONDS_MAX: u32 = 5;
const HOUR_SECONDS: i32 = 3600;
/// The server looks every second; the rest is for a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
const SELLERS: usize = 4;

struct Stand {
    _dir: tempfile::TempDir,
    postgres: Postgres,
    world: World,
    wall: Wall,
    shop: Shop,
    departures: Vec<(String, String)>,
}

impl Stand {
    async fn new() -> anyhow::Result<(Stand, Server)> {
        let dir = tempfile::Builder::new().prefix("deeptravel-clock-").tempdir_in("/tmp")?;
        let postgres = Postgres::start().await?;
        let world = World::new(Some(postgres.url()))?;
        let wall = Wall::new(dir.path())?;
        let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
        let mut stand = Stand { _dir: dir, postgres, world, wall, shop, departures: Vec::new() };
        let server = stand.start().await?;
        stand.departures = stand.shop.departures(day_in(2)?).await?;
        Ok((stand, server))
    }

    async fn start(&self) -> anyhow::Result<Server> {
        let launch = self.wall.rule(self.world.launch())?;
        launch.with("DEEPTRAVEL__ORDER__LOCK_SECONDS", LOCK_SECONDS.to_string()).start().await
    }

    /// Waits until the metrics say that the wall clock is so far away, two seconds more or less, and whether that is an alarm.
    async fn notices(&self, offset_seconds: RangeInclusive<i32>, trusted: bool) {
        let (least, most) = (f64::from(offset_seconds.start() - 2), f64::from(offset_seconds.end() + 2));
        let since = std::time::Instant::now();
        loop {
            let offset = self.shop.metric("clock_offset_seconds").await;
            let seen = self.shop.metric("clock_trusted").await;
            if offset.is_some_and(|offset| least < offset && offset < most)
                && seen == Some(f64::from(u8::from(trusted)))
            {
                return;
            }
            assert!(
                since.elapsed() < NOTICED_WITHIN,
                "{offset:?} s away instead of {offset_seconds:?}, trusted {seen:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sells until the end, on `SELLERS` connections.
    fn sell(&self, token: &str, round: &str, until: Timestamp) -> Vec<tokio::task::JoinHandle<Vec<Hold>>> {
        let seller = |number: usize| {
            let (shop, token, round) = (self.shop.clone(), token.to_owned(), round.to_owned());
            let departures = self.departures.clone();
            tokio::spawn(async move {
                let mut holds = Vec::new();
                for n in 0.. {
                    if Timestamp::now() > until {
                        break;
                    }
                    let departure = &departures[(number + n) % departures.len()];
                    holds.extend(Hold::place(&shop, &token, &format!("{round}-{number}-{n}"), departure).await);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                holds
            })
        };
        (0..SELLERS).map(seller).collect()
    }

    /// Every hold that has ended, ended after its time, by engine time, and not much after.
    async fn assert_holds_ended_in_time(&self) -> anyhow::Result<()> {
        let client = self.postgres.connect().await?;
        let sql = "SELECT count(*), count(*) FILTER (WHERE ended_at < expires_at
                                                       OR ended_at > expires_at + $1 * interval '1 second')
                   FROM holds WHERE state IN ('expired', 'released')";
        let row = client.query_one(sql, &[&(f64::from(KEPT_SECONDS_MAX))]).await?;
        let (ended, wrong): (i64, i64) = (row.get(0), row.get(1));
        assert!(ended > 0 && wrong == 0, "{wrong} of {ended} holds ended early or late");
        Ok(())
    }
}

/// An unpaid order, by the clock of its traveller.
struct Hold {
    order: String,
    placed_before: Timestamp,
    placed_after: Timestamp,
}

impl Hold {
    async fn place(shop: &Shop, token: &str, key: &str, departure: &(String, String)) -> Option<Hold> {
        let placed_after = Timestamp::now();
        let (status, order) = shop.order(token, key, departure).await.expect("sales go on");
        if status == 409 {
            assert_eq!(order["code"], "SOLD_OUT", "{order}");
            return None;
        }
        assert_eq!(status, 201, "{order}");
        let order = order["orderId"].as_str()?.to_owned();
        Some(Hold { order, placed_after, placed_before: Timestamp::now() })
    }

    /// It is there until its time has come, and gone soon after. `slack`: what the server lost of its engine time.
    async fn ends_in_time(&self, shop: &Shop, token: &str, slack_seconds: i32) {
        let lock = SignedDuration::from_secs(LOCK_SECONDS);
        let (not_before, not_after) =
            (self.placed_after + lock, self.placed_before + lock + SignedDuration::from_secs(KEPT_SECONDS_MAX.into()));
        loop {
            let asked = Timestamp::now();
            let (_, order) = shop.order_of(token, &self.order).await.expect("an answer");
            let answered = Timestamp::now();
            if order["status"] == "cancelled" {
                assert!(answered >= not_before, "lost {} early", not_before - answered);
                return;
            }
            assert_eq!(order["status"], "pending", "{order}");
            let late = asked - SignedDuration::from_secs(slack_seconds.into());
            assert!(late <= not_after, "kept too long: {order}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Paid tickets with their codes, to be scanned one by one.
async fn buy(stand: &Stand, token: &str, round: &str, count: usize) -> Vec<Purchase> {
    let mut bought = Vec::new();
    for n in 0..count {
        let departure = stand.departures[n % stand.departures.len()].clone();
        let mut purchase = Purchase { key: format!("bought-{round}-{n}"), departure, ..Purchase::default() };
        purchase.buy(&stand.shop, token).await.expect("bought");
        bought.push(purchase);
    }
    bought
}

async fn code_of(stand: &Stand, token: &str, purchase: &Purchase) -> String {
    patiently(|| stand.shop.code(token, &purchase.tickets[0])).await.expect("the ticket is usable")
}

async fn assert_scans(gate: &Gate, code: &str, request: &str) {
    let scan: Value = gate.scan(code, request).await.expect("an answer");
    assert_eq!(scan["result"], "success", "{scan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_15_a_jump_of_the_wall_clock_ends_no_hold_and_no_ticket() -> anyhow::Result<()> {
    let (stand, server) = Stand::new().await?;
    let token = stand.shop.login("clock").await?;
    let gate = stand.shop.gate("clock-gate").await?;
    stand.notices(0..=0, true).await;

    for (round, jump) in [HOUR_SECONDS, -HOUR_SECONDS, 24 * HOUR_SECONDS].into_iter().enumerate() {
        let mut bought = buy(&stand, &token, &format!("{round}"), 3).await;
        let early_code = code_of(&stand, &token, &bought[0]).await;
        let under_way = Hold::place(&stand.shop, &token, &format!("before-{round}"), &stand.departures[0]).await;
        stand.wall.set_wrong_by(jump)?;
        let until = Timestamp::now() + SignedDuration::from_secs(i64::try_from(run_seconds(2))?);
        let sellers = stand.sell(&token, &format!("jump-{round}"), until);

        stand.notices(jump..=jump, false).await;
        assert_eq!(stand.shop.health("ready").await.map(|status| status.as_u16()), Some(200), "sales go on");
        under_way.expect("a free seat").ends_in_time(&stand.shop, &token, 0).await;
        assert_scans(&gate, &early_code, &format!("early-{round}")).await;
        let code = code_of(&stand, &token, &bought[1]).await;
        assert_scans(&gate, &code, &format!("during-{round}")).await;
        let mut holds = Vec::new();
        for seller in sellers {
            holds.extend(seller.await?);
        }
        assert!(holds.len() > SELLERS, "the run did something");
        for hold in holds.iter().rev().step_by(10) {
            hold.ends_in_time(&stand.shop, &token, 0).await;
        }

        stand.wall.set_wrong_by(0)?;
        stand.notices(0..=0, true).await;
        let last = bought.pop().expect("a third ticket");
        let code = code_of(&stand, &token, &last).await;
        assert_scans(&gate, &code, &format!("after-{round}")).await;
        println!("{jump} s: {} holds while the clock was wrong", holds.len());
    }
    let alarms = server.log.text().matches("more than is followed").count();
    assert_eq!(alarms, 3, "logged once per episode");
    stand.assert_holds_ended_in_time().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_15_a_restart_while_the_wall_clock_is_an_hour_slow_goes_on_from_the_journaled_time() -> anyhow::Result<()>
{
    let (stand, server) = Stand::new().await?;
    let token = stand.shop.login("clock").await?;
    let gate = stand.shop.gate("clock-gate").await?;
    let bought = buy(&stand, &token, "slow", 2).await;
    let under_way = Hold::place(&stand.shop, &token, "before", &stand.departures[0]).await.expect("a free seat");
    let last_record = Timestamp::now();

    server.kill()?;
    stand.wall.set_wrong_by(-HOUR_SECONDS)?;
    let server = stand.start().await?;
    // Engine time stood still until the clock was read, which is at most until the server was ready.
    let lost_seconds = i32::try_from(Timestamp::now().duration_since(last_record).as_secs() + 1)?;
    stand.notices(-HOUR_SECONDS..=lost_seconds - HOUR_SECONDS, false).await;
    under_way.ends_in_time(&stand.shop, &token, lost_seconds).await;
    let after = Hold::place(&stand.shop, &token, "after", &stand.departures[0]).await.expect("a free seat");
    after.ends_in_time(&stand.shop, &token, 0).await;
    assert_scans(&gate, &code_of(&stand, &token, &bought[0]).await, "slow").await;

    // Right again: the few seconds of the restart are slewed, an alarm they are not.
    stand.wall.set_wrong_by(0)?;
    stand.notices(0..=lost_seconds, true).await;
    server.kill()?;
    let _server = stand.start().await?;
    stand.notices(0..=0, true).await;
    let again = Hold::place(&stand.shop, &token, "again", &stand.departures[0]).await.expect("a free seat");
    again.ends_in_time(&stand.shop, &token, 0).await;
    assert_scans(&gate, &code_of(&stand, &token, &bought[1]).await, "right").await;
    Ok(())
}

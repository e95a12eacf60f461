//! A start with a wall clock that is wrong (rule 15): it is doubted before anything is written with it, and what was
//! written has a way back.

use deeptravel_actors::journal::inspect;
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::history::{Purchase, patiently};
use crate::postgres::Postgres;
use crate::server::{Launch, PATIENCE, Server, World};
use crate::shop::{Shop, day_in};
use crate::wall::Wall;

const HOUR_SECONDS: i32 = 3_600;
const DAY_SECONDS: i32 = 24 * HOUR_SECONDS;
const RESET: [&str; 2] = ["journal", "reset-time"];

struct Stand {
    _dir: TempDir,
    postgres: Postgres,
    world: World,
    wall: Wall,
    shop: Shop,
    launch: Launch,
}

impl Stand {
    async fn new(launch: impl FnOnce(&World) -> anyhow::Result<Launch>) -> anyhow::Result<Stand> {
        let dir = tempfile::Builder::new().prefix("deeptravel-wrong-clock-").tempdir_in("/tmp")?;
        let postgres = Postgres::start().await?;
        let world = World::new(Some(postgres.url()))?;
        let wall = Wall::new(dir.path())?;
        let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
        let launch = wall.rule(launch(&world)?)?;
        Ok(Stand { _dir: dir, postgres, world, wall, shop, launch })
    }

    /// Starts with a clock that is so wrong.
    async fn start(&self, wrong_by: i32) -> anyhow::Result<Server> {
        self.wall.set_wrong_by(wrong_by)?;
        self.launch.start().await
    }

    async fn refused(&self, wrong_by: i32, why: &str) -> anyhow::Result<()> {
        self.wall.set_wrong_by(wrong_by)?;
        self.launch.spawn()?.refuses(PATIENCE, why).await
    }

    fn journal(&self) -> anyhow::Result<inspect::Summary> {
        Ok(inspect::summary(&self.world.data_dir().join("journal"))?)
    }

    async fn is_trusted(&self) -> bool {
        self.shop.metric("clock_trusted").await == Some(1.0)
    }

    /// With consent; before it is given, nothing changes.
    async fn reset(&self) -> anyhow::Result<()> {
        self.wall.set_wrong_by(0)?;
        let before = self.journal()?;
        for answer in ["", "yes\n"] {
            let asked = self.launch.run(&RESET, answer).await?;
            assert!(!asked.succeeded && asked.text.contains("nothing has been changed"), "{asked:?}");
            assert!(asked.text.contains("orders, tickets, money and their times"), "it says what stays");
        }
        assert_eq!(self.journal()?.last_at_ms, before.last_at_ms);
        let newest = jiff::Timestamp::from_millisecond(before.last_at_ms.expect("records"))?;
        let word = jiff::Timestamp::from_second(newest.as_second())?.to_string();
        let reset = self.launch.run(&[RESET.as_slice(), &["--agree-to-leave", &word]].concat(), "").await?;
        assert!(reset.succeeded, "{reset:?}");
        let after = self.journal()?;
        assert_eq!((after.last, after.journal), (before.last, before.journal), "nothing but its time");
        let again = self.launch.run(&RESET, "").await?;
        assert!(again.succeeded && again.text.contains("nothing to reset"), "{again:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_2_serve_refuses_a_clock_far_from_the_newest_record_until_somebody_says_that_it_is_right()
-> anyhow::Result<()> {
    let stand = Stand::new(World::serve).await?;
    let server = stand.start(0).await?;
    stand.shop.login("somebody").await?;
    server.stop().await?;

    let before = stand.journal()?;
    stand.refused(400 * DAY_SECONDS, "start it with --accept-clock, once").await?;
    let refused = stand.launch.run(&["admin", "create", "ann"], "a password of ann\n").await?;
    assert!(!refused.succeeded && refused.text.contains("--accept-clock"), "whoever writes is refused: {refused:?}");
    assert_eq!((stand.journal()?.last, stand.journal()?.epoch), (before.last, before.epoch), "nothing was written");

    let accepting = Launch { words: vec!["serve", "--accept-clock"], ..stand.launch.clone() };
    let server = accepting.start().await?;
    server.log.says("It goes on as if the clock were right").await?;
    stand.shop.login("another").await?;
    server.stop().await?;
    stand.refused(0, "`deeptravel journal reset-time` leads back").await?;
    stand.reset().await?;

    // A smaller jump starts, and is said; so is the way back.
    let server = stand.start(2 * HOUR_SECONDS).await?;
    server.log.says("if this server has not stood still for so long, the clock is wrong").await?;
    stand.shop.login("somebody").await?;
    server.stop().await?;
    let server = stand.start(0).await?;
    server.log.says("`deeptravel journal reset-time` leads back").await?;
    assert!(!stand.is_trusted().await);
    server.stop().await?;
    stand.reset().await?;
    let server = stand.start(0).await?;
    assert!(stand.is_trusted().await);
    stand.shop.login("somebody").await?;
    assert!(!server.log.text().contains("wall clock"), "nothing to say");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_2_a_demo_that_was_started_in_the_future_is_brought_back_with_its_orders_and_tickets()
-> anyhow::Result<()> {
    for wrong_by in [2 * HOUR_SECONDS, 400 * DAY_SECONDS] {
        let stand = Stand::new(|world| Ok(world.launch())).await?;
        let server = stand.start(0).await?;
        let token = stand.shop.login("early").await?;
        let departures = stand.shop.departures(day_in(2)?).await?;
        let mut bought = Purchase { key: "bought".into(), departure: departures[0].clone(), ..Purchase::default() };
        bought.buy(&stand.shop, &token).await.expect("bought");
        server.stop().await?;
        let sold = stand.sold().await?;

        let server = stand.start(wrong_by).await?;
        server.log.says("after the newest record").await?;
        let late_token = stand.shop.login("late").await?;
        server.stop().await?;

        // The clock is right again, and engine time is not.
        let server = stand.start(0).await?;
        server.log.says("in the future of the wall clock").await?;
        assert!(!stand.is_trusted().await);
        if wrong_by > 3 * DAY_SECONDS {
            assert!(stand.shop.departures(day_in(2)?).await.map_or(0, |found| found.len()) == 0, "all is in the past");
        }
        server.stop().await?;
        stand.reset().await?;

        let server = stand.start(0).await?;
        assert!(stand.is_trusted().await);
        assert_eq!(stand.sold().await?, sold, "orders, tickets and money are as they were");
        assert_eq!(stand.shop.departures(day_in(2)?).await?.len(), departures.len(), "search finds what it found");
        let gate = stand.shop.gate("gate").await?;
        bought.check(&stand.shop, &token, &gate).await;
        let code = patiently(|| stand.shop.code(&token, &bought.tickets[0])).await.expect("the ticket is usable");
        let scan = gate.scan(&code, "scan").await.expect("an answer");
        assert_eq!(scan["result"], "success", "{scan}");
        let late = stand.shop.list(&late_token, "/orders").await.expect("an answer");
        assert_eq!(late.0.as_u16(), 401, "a login that was opened in the future does not last until then");

        let placed = jiff::Timestamp::now();
        let (status, order) = stand.shop.order(&token, "after", &departures[1]).await.expect("an answer");
        assert_eq!(status, 201, "{order}");
        let until: jiff::Timestamp = order["lockExpireAt"].as_str().expect("a time").parse()?;
        assert!(until.duration_since(placed) < SignedDuration::from_hours(1), "its lock ends in time: {order}");
        server.kill()?;
        let _server = stand.start(0).await?;
        assert!(stand.is_trusted().await, "what is written now is believed");
    }
    Ok(())
}

impl Stand {
    /// Every row of orders, tickets and money.
    async fn sold(&self) -> anyhow::Result<crate::rows::Tables> {
        let mut tables = crate::rows::tables(&self.postgres.connect().await?).await?;
        tables.retain(|name, _| {
            ["order_rows", "ticket_rows", "payments", "refunds", "ledger_entries", "holds"].contains(&name.as_str())
        });
        assert!(tables["order_rows"].0 > 0 && tables["ticket_rows"].0 > 0);
        Ok(tables)
    }
}

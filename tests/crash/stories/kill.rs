use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::history::{History, Purchase, assert_no_seat_twice};
use crate::server::{World, run_seconds};
use crate::shop::{Gate, Shop, day_in};

const BUYERS: usize = 16;
const ROUNDS: usize = 3;

/// Buyers who buy until told to stop, or until the server no longer answers.
pub fn buyers(
    shop: &Shop,
    gate: &Gate,
    tokens: &[String],
    departures: &Arc<Vec<(String, String)>>,
    history: &History,
    round: usize,
    stop: &Arc<AtomicBool>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let buyer = |(number, token): (usize, &String)| {
        let (shop, gate, token, departures, history, stop) =
            (shop.clone(), gate.clone(), token.clone(), departures.clone(), history.clone(), stop.clone());
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let departure = departures[(number + n) % departures.len()].clone();
                let mut purchase =
                    Purchase { key: format!("r{round}-b{number}-n{n}"), departure, ..Purchase::default() };
                purchase.run_carefully(&shop, &token, &gate).await;
                let goes_on = purchase.unanswered.is_none();
                history.add(purchase);
                if !goes_on {
                    return;
                }
            }
        })
    };
    tokens.iter().enumerate().map(buyer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_hold_04_r_hold_05_kill_9_under_load_loses_nothing_that_was_answered() -> anyhow::Result<()> {
    let world = World::new(None)?;
    let mut server = world.start().await?;
    let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
    let departures = Arc::new(shop.departures(day_in(2)?).await?);
    let mut tokens = Vec::new();
    for number in 0..BUYERS {
        tokens.push(shop.login(&format!("buyer{number}")).await?);
    }
    let gate = shop.gate("crash-gate").await?;
    let history = History::default();

    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let running = buyers(&shop, &gate, &tokens, &departures, &history, round, &stop);
        tokio::time::sleep(Duration::from_millis(run_seconds(2) * 1000 + 137 * round as u64)).await;
        server.kill()?;
        stop.store(true, Ordering::Relaxed);
        for buyer in running {
            buyer.await?;
        }

        server = world.start().await?;
        let mut checked = Vec::new();
        for mut purchase in history.purchases() {
            let number: usize = purchase.key[4..purchase.key[4..].find('-').unwrap() + 4].parse()?;
            purchase.check(&shop, &tokens[number], &gate).await;
            checked.push(purchase);
        }
        assert_no_seat_twice(&checked);
        println!(
            "round {round}: {} orders, {} paid, {} scanned, ready after {:?}",
            history.count(|purchase| purchase.order.is_some()),
            history.count(|purchase| purchase.seen_paid),
            history.count(|purchase| purchase.scanned.is_some()),
            server.ready_after,
        );
    }
    assert!(history.count(|purchase| purchase.scanned.is_some()) > 0, "the run did something");
    Ok(())
}

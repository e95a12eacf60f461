//! 5,000 tickets in one request, killed in the middle: all or none.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::{Market, PRODUCT, codes};
use crate::history::patiently;

const TICKETS: usize = 5_000;
/// Instants at which the server is killed, from before the request to after its answer.
const KILLS: u32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_ota_04_a_batch_of_5000_that_is_killed_in_the_middle_is_there_as_a_whole_or_not_at_all() -> anyhow::Result<()>
{
    let all = TICKETS as u64 * (u64::from(KILLS) + 1);
    // Twice: what a killed request held is free again only after a while.
    let (market, mut server) = Market::open(2 * all, [2 * all, 0]).await?;
    let agent = &market.agents[0];
    let begun = Instant::now();
    let (status, first) = patiently(|| agent.generate(PRODUCT, "undisturbed", TICKETS)).await;
    let took = begun.elapsed();
    assert_eq!((status, codes(&first).len()), (StatusCode::CREATED, TICKETS), "{}", first["code"]);

    let mut found = Vec::new();
    for kill in 0..KILLS {
        let batch = format!("killed-{kill}");
        let asking = tokio::spawn({
            let (agent, batch) = (agent.clone(), batch.clone());
            async move { agent.generate(PRODUCT, &batch, TICKETS).await.ok() }
        });
        tokio::time::sleep(took.mul_f64(1.2) / (KILLS - 1) * kill + Duration::from_millis(1)).await;
        server = market.killed(server).await?;
        let answered = asking.await?.filter(|(status, _)| status.is_success());

        // The repeated batch id tells which; either way all of it is there now.
        let (status, again) = patiently(|| agent.generate(PRODUCT, &batch, TICKETS)).await;
        assert!(matches!(status, StatusCode::CREATED | StatusCode::OK), "{status} {}", again["code"]);
        assert!(answered.is_none() || status == StatusCode::OK, "what was answered is there");
        let tickets = codes(&again);
        assert_eq!(tickets.len(), TICKETS, "all");
        if let Some((_, answered)) = &answered {
            assert_eq!(codes(answered), tickets, "the same ones");
        }
        let list = format!("tickets?batchId={batch}&limit=1");
        let (_, listed) = patiently(|| agent.get(&list)).await;
        assert_eq!(listed["totalCount"], TICKETS as u64, "{listed}");
        found.push((answered.is_some(), status == StatusCode::OK));
    }
    let sold = market.audited().await?;
    assert_eq!(sold.batches, KILLS as usize + 1);
    assert_eq!(sold.tickets["PRE_GENERATED"] as u64, all);
    // A hold of a request that left nothing behind lapses by itself.
    assert!(sold.units(&market.template, "ota:partner-a") >= all as i64, "{sold:?}");
    println!("{TICKETS} tickets in {took:?}; killed, (answered, there): {found:?}");
    Ok(())
}

//! Tickets of partners at a gate while Postgres is away.

use super::{Market, PRODUCT, codes};
use crate::history::patiently;

fn said(scan: &serde_json::Value) -> [&str; 2] {
    ["result", "reason"].map(|field| scan[field].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_ota_06_a_ticket_that_nobody_has_activated_is_called_that_also_while_postgres_is_away() -> anyhow::Result<()>
{
    let (market, server) = Market::open(100, [50, 0]).await?;
    let agent = &market.agents[0];
    let (_, batch) = patiently(|| agent.generate(PRODUCT, "B-1", 3)).await;
    let tickets = codes(&batch);
    let printed = [0, 1, 2].map(|n: usize| batch["tickets"][n]["qrCode"].as_str().expect("a code"));
    // Everything is known again after a start, without asking for it.
    let _server = market.killed(server).await?;
    let gate = market.shop.gate("partners-away").await?;

    market.postgres.stop().await?;
    let scan = patiently(|| gate.scan(printed[0], "r1")).await;
    assert_eq!(said(&scan), ["reject", "NOT_ACTIVATED"], "{scan}");
    let (status, active) = patiently(|| agent.activate(&tickets[1])).await;
    assert!(status.is_success(), "{active}");
    let scan = patiently(|| gate.scan(printed[1], "r2")).await;
    assert_eq!(scan["result"], "success", "{scan}");
    let (status, cancelled) = patiently(|| agent.cancel(&tickets[2])).await;
    assert!(status.is_success(), "{cancelled}");
    let scan = patiently(|| gate.scan(printed[2], "r3")).await;
    assert_eq!(said(&scan), ["reject", "CANCELLED"], "{scan}");

    market.postgres.start_again().await?;
    let sold = market.audited().await?;
    assert_eq!([sold.tickets["PRE_GENERATED"], sold.tickets["USED"], sold.tickets["CANCELLED"]], [1, 1, 1]);
    assert_eq!(sold.units(&market.template, "ota:partner-a"), 2, "the cancelled one's unit is free again");
    Ok(())
}

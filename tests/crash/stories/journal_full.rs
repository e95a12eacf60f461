use std::time::Duration;

use crate::history::Purchase;
use crate::postgres::Postgres;
use crate::shop::Unanswered;
use crate::trial::Trial;

/// A journal of a few hundred orders; retention would keep half of it.
const SMALL_JOURNAL: &str = "
    [journal]
    segment_bytes = 65536
    max_bytes = 655360
    retain_bytes = 327680
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_11_new_orders_stop_when_the_journal_fills_and_what_was_sold_goes_on() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let trial = Trial::begin(Some(postgres.url()), SMALL_JOURNAL).await?;
    let token = &trial.tokens[0];
    let mut unpaid = Purchase { key: "unpaid".into(), departure: trial.departures[0].clone(), ..Purchase::default() };
    unpaid.place(&trial.shop, token).await.expect("an order");
    postgres.stop().await?;

    // Until every buyer was refused.
    let round = trial.sell_out_of_space().await?;
    let new = trial.shop.order(token, "one-more", &trial.departures[0]).await;
    let Err(Unanswered::Refused(text)) = new else { panic!("no new order: {new:?}") };
    assert!(text.contains("STORAGE_FULL") && text.contains("Retry-After: "), "{text}");
    let sold = trial.orders();
    assert!(sold > 40, "{sold}");

    // What was sold before is paid, issued and scanned; staff come and go.
    unpaid.run(&trial.shop, token, &trial.gate).await.expect("to the gate");
    assert!(unpaid.scanned.is_some(), "{unpaid:?}");
    trial.history.add(unpaid);
    trial.staff_come_and_go("rationed").await?;

    // Postgres follows, segments are freed although retention would keep them, sales open by themselves.
    postgres.start_again().await?;
    trial.caught_up().await;
    trial.sales_open().await;
    trial.buy(round, Duration::from_millis(500)).await?;
    assert!(trial.orders() > sold + 1, "sales are open again");
    trial.assert_rows_are_exact(&postgres).await?;
    println!("{sold} orders until the journal was full, {} at the end", trial.orders());
    Ok(())
}

/// The last of the space is used up by what has a right to it: then everything waits, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_11_at_the_end_of_the_space_everything_waits_and_nothing_is_lost() -> anyhow::Result<()> {
    let postgres = Postgres::start().await?;
    let trial = Trial::begin(Some(postgres.url()), SMALL_JOURNAL).await?;
    let token = &trial.tokens[0];
    let mut unpaid = Purchase { key: "unpaid".into(), departure: trial.departures[0].clone(), ..Purchase::default() };
    unpaid.place(&trial.shop, token).await.expect("an order");
    postgres.stop().await?;

    trial.sell_out_of_space().await?;
    // Attempts at the gate are written down: they use up the rest, at last one by one. Those that are refused together may
    // have left room for one that comes alone.
    let fill = async |width: usize| {
        for attempt in 0..10_000 {
            let scans = (0..width).map(|number| {
                let (gate, request) = (trial.gate.clone(), format!("fill-{width}-{attempt}-{number}"));
                async move { gate.scan("DT1", &request).await.err() }
            });
            let refused = futures_util::future::join_all(scans).await.into_iter().flatten().next();
            if let Some(refused) = refused {
                return refused;
            }
        }
        panic!("it is never full")
    };
    fill(64).await;
    let refused = fill(1).await;
    let Unanswered::Refused(text) = refused else { panic!("{refused:?}") };
    assert!(text.contains("STORAGE_FULL"), "{text}");
    let order = unpaid.order.clone().expect("it was answered");
    assert!(trial.shop.open_payment(token, &order).await.is_err());
    let (_, shown) = trial.shop.order_of(token, &order).await.expect("shown from memory");
    assert_eq!(shown["status"], "pending");
    assert_eq!(trial.shop.figure("owner_restarts_total{kind=\"order\"}").await?, 0, "nobody died");

    postgres.start_again().await?;
    trial.caught_up().await;
    trial.sales_open().await;
    unpaid.run(&trial.shop, token, &trial.gate).await.expect("to the gate");
    assert!(unpaid.scanned.is_some(), "{unpaid:?}");
    trial.history.add(unpaid);
    trial.assert_rows_are_exact(&postgres).await?;
    Ok(())
}

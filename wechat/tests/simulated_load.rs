//! Many orders through the simulator with all faults on at once: it stays quick, and its money adds up.
//! `DEEPTRAVEL_SIMULATED_ORDERS` makes it long.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::World;
use deeptravel_wechat::TradeState;
use serde_json::{Value, json};

const TOTAL: u64 = 12_850;
const CLIENTS: usize = 16;

fn orders() -> usize {
    std::env::var("DEEPTRAVEL_SIMULATED_ORDERS").map_or(200, |count| count.parse().unwrap())
}

/// Switches many unlikely faults on, none of which can lose a payment for good.
async fn misbehave(world: &World) {
    let answers = [
        json!({"drop_before": true}),
        json!({"drop_after": true}),
        json!({"status_before": 500}),
        json!({"status_after": 502}),
        json!({"status_before": 429}),
        json!({"signtest": "decodable"}),
        json!({"wrong_serial": true}),
        json!({"stale_seconds": 400}),
        json!({"truncate_body": true}),
    ];
    let notices = [
        json!({"signtest": "undecodable"}),
        json!({"lose_notify": true}),
        json!({"duplicate_notify": 2}),
        json!({"notify_later_seconds": 1}),
        json!({"tamper": {"total": 1}}),
    ];
    for (endpoints, faults) in [(&["create", "query"][..], &answers[..]), (&["notify"], &notices)] {
        for (endpoint, fault) in endpoints.iter().flat_map(|endpoint| faults.iter().map(move |fault| (endpoint, fault)))
        {
            let mut fault = fault.clone();
            fault["probability"] = json!(0.02);
            world.faults(json!({ *endpoint: fault })).await;
        }
    }
}

/// Creates with the same bytes until it is answered, then asks until it is paid.
async fn buy(world: &World, number: &str) {
    let bought = async {
        let body = world.body(number);
        while world.client.create_jsapi(&body).await.is_err_and(|error| !is_used(&error)) {}
        while world.client.query(number).await.map(|seen| seen.trade_state) != Ok(TradeState::Success) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(common::DEADLINE, bought).await.unwrap_or_else(|_| panic!("{number} is not paid"));
}

/// Paid before a replay of the create was answered.
fn is_used(error: &deeptravel_wechat::CallError) -> bool {
    matches!(error, deeptravel_wechat::CallError::Refused { code, .. } if code == "OUTTRADENOUSED")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_orders_under_all_faults_are_each_paid_once() {
    let orders = orders();
    let world = Arc::new(World::start());
    let payer = json!({"probability": 1.0, "min_seconds": 0.0, "max_seconds": 0.01});
    world.control("settings", json!({"payer": payer, "seed": 42, "notifications_by_certificate": 0.5})).await;
    misbehave(&world).await;

    let started = Instant::now();
    let buyers: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for index in (client..orders).step_by(CLIENTS) {
                    buy(&world, &format!("T-load-{index}")).await;
                }
            })
        })
        .collect();
    for buyer in buyers {
        buyer.await.unwrap();
    }
    println!("{orders} orders in {:.1} s", started.elapsed().as_secs_f64());

    let money = world.look("money").await;
    assert_eq!((&money["paid_count"], &money["paid"]), (&json!(orders), &json!(orders as u64 * TOTAL)));
    let ids: std::collections::HashSet<&str> =
        money["transactions"].as_array().unwrap().iter().filter_map(|paid| paid["transaction_id"].as_str()).collect();
    assert_eq!(ids.len(), orders);
    let deliveries: Value = world.look("deliveries").await;
    assert!(deliveries.as_array().unwrap().len() >= orders / 2);
}

//! Whole runs against a small server in this process: what is counted, and what the audit finds.

#![allow(clippy::unwrap_used, reason = "helpers of tests end at the first surprise, as tests do")]

mod fake;

use std::time::Duration;

use clap::Parser;
use deeptravel_loadtest::options::Options;
use deeptravel_loadtest::report::{Report, Scenario as Outcome};
use deeptravel_loadtest::run::run;
use deeptravel_loadtest::scenario::Scenario;
use deeptravel_loadtest::server::{Launch, Server};
use fake::{Fake, Fault};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// With yardsticks: the program that is tested is started as such.
const COMPARED: [&str; 8] =
    ["--seconds", "0.3", "--warm-up", "0", "--own-program", env!("CARGO_BIN_EXE_loadtest"), "--tickets", "600"];

async fn report_of(scenario: Scenario, fake: &Fake, more: &[&str]) -> Report {
    report_in(&tempfile::tempdir().unwrap(), scenario, fake, more).await
}

async fn report_in(scratch: &tempfile::TempDir, scenario: Scenario, fake: &Fake, more: &[&str]) -> Report {
    let url = fake.url();
    let always = ["x", "--quiet", "--target", &url, "--simulator", &url, "--travellers", "7", "--connections", "4"];
    let place = ["--scratch", scratch.path().to_str().unwrap()];
    let options = Line::parse_from(always.iter().chain(&place).chain(more)).options;
    run(&[scenario], &options).await.unwrap()
}

async fn run_one(scenario: Scenario, fake: &Fake, more: &[&str]) -> Outcome {
    let url = fake.url();
    let always = [
        "x",
        "--quiet",
        "--target",
        &url,
        "--simulator",
        &url,
        "--travellers",
        "7",
        "--connections",
        "4",
        "--rounds",
        "1",
    ];
    let options = Line::parse_from(always.iter().chain(more)).options;
    let mut report = run(&[scenario], &options).await.unwrap();
    report.scenarios.remove(scenario.name()).unwrap()
}

const SHORT: [&str; 4] = ["--seconds", "0.3", "--warm-up", "0.1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_made_counted_and_found_again() {
    let fake = Fake::start(Fault::None).await;
    let outcome = run_one(Scenario::Orders, &fake, &SHORT).await;
    assert!(outcome.ok, "{outcome:?}");
    let audit = outcome.audit.unwrap();
    assert_eq!(audit.acknowledged as usize, fake.orders());
    assert!(audit.through_api > 0 && audit.in_database == 0);
    // The warm-up is audited and not counted.
    assert!(outcome.figures.accepted > 0 && outcome.figures.accepted < audit.acknowledged);
    assert!(outcome.figures.errors.is_empty() && outcome.figures.refused.is_empty());
    assert!(
        outcome.figures.percentiles.p50 > 0.0 && outcome.figures.percentiles.max >= outcome.figures.percentiles.p99
    );
    assert_eq!(fake.logins(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_hold_04_a_seat_sold_twice_fails_the_run() {
    let fake = Fake::start(Fault::SeatTwice).await;
    let outcome = run_one(Scenario::Orders, &fake, &["--rate", "1000", "--seconds", "0.5", "--warm-up", "0"]).await;
    let audit = outcome.audit.unwrap();
    assert!(!outcome.ok && audit.violations == audit.acknowledged / 100, "{audit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_order_that_is_gone_fails_the_run() {
    let fake = Fake::start(Fault::Forgets).await;
    let outcome = run_one(Scenario::Orders, &fake, &SHORT).await;
    let audit = outcome.audit.unwrap();
    assert!(!outcome.ok && audit.violations == audit.through_api, "{audit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_overload_are_counted_by_code_and_fail_nothing() {
    let fake = Fake::start(Fault::Refuses).await;
    let outcome = run_one(Scenario::Orders, &fake, &SHORT).await;
    assert!(outcome.ok, "{outcome:?}");
    assert!(outcome.figures.refused["409 SOLD_OUT"] > 0 && outcome.figures.errors["503 OVERLOADED"] > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_open_loop_charges_a_slow_server_from_the_scheduled_time() {
    // Four connections that take 20 ms an answer carry 200 requests a second; 400 are due.
    let fake = Fake::start(Fault::Slow(20)).await;
    let outcome = run_one(Scenario::Orders, &fake, &["--rate", "400", "--seconds", "1", "--warm-up", "0"]).await;
    assert_eq!(outcome.figures.mode, "open");
    assert!((outcome.figures.offered - 400.0).abs() < 1e-9 && outcome.figures.achieved < 250.0, "{outcome:?}");
    assert!(outcome.figures.unsent > 100, "{outcome:?}");
    assert_eq!(outcome.figures.unsent + outcome.figures.accepted, 400);
    // From sending it would be 20 ms throughout.
    assert!(outcome.figures.percentiles.p50 > 100.0 && outcome.figures.percentiles.max > 400.0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_scan_03_tickets_are_bought_and_scanned_once() {
    let fake = Fake::start(Fault::None).await;
    let outcome = run_one(Scenario::Scans, &fake, &["--tickets", "600", "--seconds", "20", "--warm-up", "0"]).await;
    assert!(outcome.ok, "{outcome:?}");
    let audit = outcome.audit.unwrap();
    assert_eq!((audit.acknowledged, fake.orders()), (600, 60));
    // Every fiftieth is shown again; the run ends when there is nothing left to show.
    assert_eq!((fake.scans(), outcome.figures.accepted), (612, 612));
    assert!(outcome.figures.seconds < 10.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_scan_03_a_ticket_redeemed_twice_fails_the_run() {
    let fake = Fake::start(Fault::RedeemsTwice).await;
    let outcome = run_one(Scenario::Scans, &fake, &["--tickets", "600", "--seconds", "20", "--warm-up", "0"]).await;
    assert!(!outcome.ok && outcome.audit.unwrap().violations == 6);
}

#[tokio::test]
async fn a_server_that_ends_at_once_is_said_to_have_ended() {
    let scratch = tempfile::tempdir().unwrap();
    let launch = Launch {
        binary: "/bin/false".into(),
        scratch: scratch.path().into(),
        keep: false,
        settings: Vec::new(),
        departures_per_day: 200,
    };
    let error = tokio::time::timeout(Duration::from_secs(10), Server::start(&launch)).await.unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("it ended with exit status: 1"), "{error:#}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "its directory is removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_and_a_yardstick_take_turns_and_each_round_has_its_ratio() {
    let fake = Fake::start(Fault::None).await;
    for (scenario, ratio) in
        [(Scenario::Burst, "burstVsDurable"), (Scenario::Search, "searchVsBare"), (Scenario::Scans, "scansVsDurable")]
    {
        let report = report_of(scenario, &fake, &[&COMPARED[..], &["--rounds", "2"]].concat()).await;
        let outcome = &report.scenarios[scenario.name()];
        assert!(outcome.ok, "{outcome:?}");
        let rounds = &report.rounds[ratio];
        assert!(rounds.len() == 2 && rounds.iter().all(|round| *round > 0.0), "{ratio}: {rounds:?}");
        assert!((report.ratios[ratio] - f64::midpoint(rounds[0], rounds[1])).abs() < 1e-9);
        let yardstick = if scenario == Scenario::Search { "bare" } else { "durable" };
        for turn in &outcome.turns[yardstick] {
            assert!(turn.refused.is_empty() && turn.errors.is_empty(), "{turn:?}");
            // Its answers are as large as ours were, but for what its fields take at least.
            assert!((turn.answer_bytes - outcome.figures.answer_bytes.max(200.0)).abs() < 100.0, "{turn:?}");
        }
        assert!(report.lines.iter().any(|line| line.name.contains("against")), "{:?}", report.lines);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yardstick_that_fails_has_no_ratio_and_fails_the_run() {
    let (ours, theirs) = (Fake::start(Fault::None).await, Fake::start(Fault::Refuses).await);
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("url"), theirs.url()).unwrap();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/yardstick.sh");
    let more = [&SHORT[..], &["--rounds", "1", "--own-program", program]].concat();
    let report = report_in(&scratch, Scenario::Burst, &ours, &more).await;
    let outcome = &report.scenarios["burst"];
    assert!(outcome.figures.errors.is_empty() && outcome.turns["durable"][0].accepted > 0, "{outcome:?}");
    let [problem] = &outcome.problems[..] else { panic!("one problem: {outcome:?}") };
    assert!(!outcome.ok && problem.starts_with("the yardstick \"durable\" failed"), "{problem}");
    assert!(report.ratios.is_empty() && report.lines.iter().all(|line| !line.name.contains("against")), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flash_sale_sells_one_departure_after_the_other() {
    let fake = Fake::start(Fault::None).await;
    let outcome = run_one(Scenario::FlashSale, &fake, &SHORT).await;
    assert!(outcome.ok, "{outcome:?}");
    assert_eq!(outcome.audit.unwrap().acknowledged as usize, fake.orders());
}

/// Both are asked of one server by the same travellers: none of their keys may be the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flash_sale_takes_turns_with_orders_that_are_spread() {
    let fake = Fake::start(Fault::None).await;
    let report = report_of(Scenario::FlashSale, &fake, &[&COMPARED[..], &["--rounds", "1"]].concat()).await;
    let outcome = &report.scenarios["flash-sale"];
    assert!(outcome.ok && outcome.turns["orders, spread"][0].refused.is_empty(), "{outcome:?}");
    assert!(report.ratios["hotVsSpread"] > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_packages_take_turns_with_orders_of_journeys() {
    let fake = Fake::start(Fault::None).await;
    let report = report_of(Scenario::Packages, &fake, &[&COMPARED[..], &["--rounds", "2"]].concat()).await;
    let outcome = &report.scenarios["packages"];
    assert!(outcome.ok && outcome.figures.refused.is_empty(), "{outcome:?}");
    assert_eq!(outcome.audit.as_ref().unwrap().acknowledged as usize, fake.orders());
    assert_eq!(report.rounds["packagesVsJourneys"].len(), 2);
    assert!(report.lines.iter().any(|line| line.name.contains("one package")), "{:?}", report.lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_of_a_package_that_is_gone_fails_the_run() {
    let fake = Fake::start(Fault::Forgets).await;
    let outcome = run_one(Scenario::Packages, &fake, &SHORT).await;
    let audit = outcome.audit.unwrap();
    assert!(!outcome.ok && audit.violations == audit.through_api, "{audit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_scan_03_items_are_redeemed_once_at_counters_beside_scans_at_gates() {
    let fake = Fake::start(Fault::None).await;
    let more =
        ["--tickets", "1200", "--seconds", "20", "--warm-up", "0", "--own-program", env!("CARGO_BIN_EXE_loadtest")];
    let report = report_of(Scenario::Redemptions, &fake, &[&more[..], &["--rounds", "2"]].concat()).await;
    let outcome = &report.scenarios["redemptions"];
    assert!(outcome.ok, "{outcome:?}");
    // 600 at counters and 600 at gates, and every fiftieth of them again.
    assert_eq!((outcome.audit.as_ref().unwrap().acknowledged, fake.scans()), (1_200, 1_224));
    assert_eq!(report.rounds["redemptionsVsScans"].len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_scan_03_an_item_redeemed_twice_fails_the_run() {
    let fake = Fake::start(Fault::RedeemsTwice).await;
    let outcome =
        run_one(Scenario::Redemptions, &fake, &["--tickets", "1200", "--seconds", "20", "--warm-up", "0"]).await;
    assert!(!outcome.ok && outcome.audit.unwrap().violations == 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_day_is_audited_like_orders_scans_and_cancels() {
    let fake = Fake::start(Fault::None).await;
    let outcome = run_one(Scenario::Mixed, &fake, &["--seconds", "0.5", "--warm-up", "0", "--tickets", "100"]).await;
    assert!(outcome.ok, "{outcome:?}");
    let (facts, audit) = (&outcome.facts, outcome.audit.unwrap());
    assert!(facts["orders"] > 0.0 && facts["scans"] > 0.0 && facts["cancels"] > 0.0, "{facts:?}");
    assert!(audit.acknowledged > 0 && outcome.figures.refused.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_goes_on_where_the_closed_one_ended() {
    // The rate of the open loop is half of what the closed one reached; no key is used twice.
    let fake = Fake::start(Fault::Slow(10)).await;
    let outcome = run_one(Scenario::Steady, &fake, &["--seconds", "0.5", "--warm-up", "0"]).await;
    assert!(outcome.ok && outcome.figures.refused.is_empty(), "{outcome:?}");
    let closed = &outcome.turns["orders, closed loop"][0];
    assert!((outcome.figures.offered - closed.achieved / 2.0).abs() < 1e-6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_half_of_the_maximum_nothing_may_be_refused() {
    let fake = Fake::start(Fault::Refuses).await;
    let outcome = run_one(Scenario::Steady, &fake, &["--seconds", "0.5", "--warm-up", "0"]).await;
    let figures = &outcome.figures;
    assert!(figures.refused["409 SOLD_OUT"] > 0 && figures.errors["503 OVERLOADED"] > 0, "{figures:?}");
    let [problem] = &outcome.problems[..] else { panic!("one problem: {outcome:?}") };
    let not_accepted = figures.refused.values().chain(figures.errors.values()).sum::<u64>();
    assert_eq!(*problem, format!("{not_accepted} orders of the open loop were refused or failed"));
    assert!(!outcome.ok);
}

#[tokio::test]
async fn a_scenario_that_cannot_be_run_fails_and_the_report_says_why() {
    let fake = Fake::start(Fault::None).await;
    // Memory is that of a server of our own.
    let outcome = run_one(Scenario::Memory, &fake, &[]).await;
    assert!(!outcome.ok && outcome.problems[0].contains("of our own"), "{outcome:?}");
}

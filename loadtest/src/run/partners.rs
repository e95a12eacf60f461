//! `partners`: that each sells what is its own and no more, how long 5,000 tickets take and what they leave in memory, pages of
//! 100,000 of them, that so many calls a minute pass and no more, and tickets of partners at gates against orders of direct sale
//! of the same product. It configures the server, which is therefore ours.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::memory::at_rest;
use super::plan;
use super::scans::WARM_UP_MAX;
use crate::api::{Api, Call, spread, text};
use crate::audit;
use crate::course::Course;
use crate::drive::Plan;
use crate::http::Target;
use crate::options::Options;
use crate::report::ratios::{by_round, median};
use crate::report::{Outcome, Scenario};
use crate::scenario::partners::{self, Agent, BATCH, Product};
use crate::scenario::scans::{Place, Scans};
use crate::scenario::setup::{self, PaidTicket, run_number};
use crate::subject::{Setup, Subject};

const DIRECT: &str = "orders of direct sale";

/// Of the product that all three sell: direct sale, and each partner.
const OWN: [usize; 3] = [2_000, 3_000, 1_000];
/// Units of a partner's request.
const REQUEST: usize = 5;
/// Everybody asks for so many times what is there.
const WANTED: f64 = 1.25;
/// Tickets whose pages are asked for, and how often each page is.
const LISTED: usize = 100_000;
const LOOKS: usize = 200;
/// Calls at once, and how many of them pass (R-OTA-01).
const CALLS: usize = 130;
const CALLS_A_MINUTE: usize = 100;
/// The pairs of which the median counts.
const PAIRS_MIN: usize = 4;

pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    ensure!(options.target.is_none(), "partners are set up on a server of our own");
    let passed = calls_at_once(options).await?;
    let settings = [("OTA__RATE_LIMIT_PER_MINUTE", "100000"), ("ORDER__LOCK_SECONDS", "3600")];
    let settings = settings.map(|(key, value)| (format!("DEEPTRAVEL__{key}"), value.to_owned())).into();
    let subject = Subject::prepare(options, Setup { settings, ..Setup::default() }).await?;
    let target = &subject.target;
    let number = options.tickets.div_ceil(2);
    let tokens = setup::travellers(target, options.travellers).await?;
    let (a, b) = (&partners::agent(target, "load-a").await?, &partners::agent(target, "load-b").await?);
    let units = [OWN.iter().sum(), LISTED, 2 * number + BATCH];
    let [shared, listed, scanned] = &partners::products(target, &units).await?[..] else { unreachable!("three") };
    partners::set_aside(target, a, &[(shared, OWN[1]), (listed, LISTED), (scanned, number)]).await?;
    partners::set_aside(target, b, &[(shared, OWN[2])]).await?;

    let sold = isolation(target, &tokens, [a, b], shared).await?;
    let generating = generating(&subject, a, listed).await?;
    let looks = pages(target, a).await?;
    let (mut scenario, rounds) = scans(options, &subject, &tokens, (a, scanned), number).await?;

    scenario.fact(&format!("passedOf{CALLS}CallsAtOnce"), passed as f64);
    let channels = ["Directly", "ByPartnerA", "ByPartnerB"];
    for ((channel, sold), own) in channels.iter().zip(sold).zip(OWN) {
        scenario.fact(&format!("sold{channel}Of{own}"), sold as f64);
    }
    for (name, value) in generating.into_iter().chain(looks) {
        scenario.fact(&name, value);
    }
    let wrong = [
        (passed != CALLS_A_MINUTE).then(|| format!("{passed} of {CALLS} calls passed, not {CALLS_A_MINUTE}")),
        (sold != OWN).then(|| format!("{sold:?} units were sold of {OWN:?}")),
    ];
    for wrong in wrong.into_iter().flatten() {
        scenario.end(Some(wrong));
    }
    scenario.end(subject.stop().err().map(|error| format!("{error:#}")));
    Ok(Outcome { scenario, rounds: [("partnersScansVsDirect", rounds)].into() })
}

/// How many of a partner's calls pass, on a server that is configured as usual.
async fn calls_at_once(options: &Options) -> anyhow::Result<usize> {
    let subject = Subject::prepare(options, Setup::default()).await?;
    let agent = &partners::agent(&subject.target, "load-calls").await?;
    let answers = spread(&subject.target, 0..CALLS, CALLS, async |api: &mut Api, _| {
        let (status, ..) = partners::ask(api, agent, Call::get("/api/ota/inventory"), None).await?;
        ensure!(matches!(status, 200 | 429), "a call was answered {status}");
        Ok(status)
    });
    let passed = answers.await?.into_iter().filter(|status| *status == 200).count();
    subject.stop()?;
    Ok(passed)
}

/// Everybody asks for more than is there, all at once; the units that each was sold.
async fn isolation(
    target: &Target,
    tokens: &[String],
    [a, b]: [&Agent; 2],
    product: &Product,
) -> anyhow::Result<[usize; 3]> {
    let wanted = |own: usize, each: usize| (own as f64 * WANTED) as usize / each;
    let run = run_number();
    let directly = spread(target, 0..wanted(OWN[0], 1), setup::WIDTH, async |api: &mut Api, index| {
        let body = json!({
            "items": [setup::package_item(&product.template)],
            "passengers": [{ "name": "Load Tester", "type": "adult" }],
            "contact": { "name": "Load Test", "phone": "+85251234567" },
        });
        let key = format!("partners-{index}-{run:x}");
        let headers = [("idempotency-key", key.as_str())];
        let call = Call::post("/orders").token(&tokens[index % tokens.len()]).headers(&headers);
        let (status, answer) = api.call(call, Some(&body)).await?;
        sold_or_refused(status, &answer, "SOLD_OUT", 1)
    });
    let partner = async |agent: &Agent, own| {
        let sold = spread(target, 0..wanted(own, REQUEST), setup::WIDTH, async |api: &mut Api, index| {
            let batch = format!("own-{index}-{run:x}");
            let (status, answer, _) = partners::generate(api, agent, product, &batch, REQUEST).await?;
            sold_or_refused(status, &answer, "INSUFFICIENT_ALLOTMENT", REQUEST)
        });
        anyhow::Ok(sold.await?.iter().sum::<usize>())
    };
    let directly = async { anyhow::Ok(directly.await?.iter().sum::<usize>()) };
    let (directly, a, b) = futures_util::try_join!(directly, partner(a, OWN[1]), partner(b, OWN[2]))?;
    Ok([directly, a, b])
}

fn sold_or_refused(status: u16, answer: &serde_json::Value, code: &str, units: usize) -> anyhow::Result<usize> {
    let is_refused = status == 409 && text(answer, "code").is_ok_and(|said| said == code);
    ensure!(status == 201 || is_refused, "a sale was answered {status}: {answer}");
    Ok(if status == 201 { units } else { 0 })
}

/// Tickets in advance until there are as many as are listed: how long each request took, and what a ticket takes in memory. The
/// first batch makes what stays of any request, and is not counted there.
async fn generating(subject: &Subject, agent: &Agent, product: &Product) -> anyhow::Result<Vec<(String, f64)>> {
    let mut api = Api::new(subject.target.clone());
    let mut before = 0.0;
    let mut times = Vec::new();
    for index in 0..LISTED / BATCH {
        if index == 1 {
            before = at_rest(subject).await?;
        }
        let (status, answer, took) =
            partners::generate(&mut api, agent, product, &format!("listed-{index}"), BATCH).await?;
        ensure!(status == 201, "{BATCH} tickets were answered {status}: {}", answer["detail"]);
        times.push(milliseconds(took));
    }
    let after = at_rest(subject).await?;
    let slowest = times.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        (format!("msPer{BATCH}TicketsMedian"), median(&times)),
        (format!("msPer{BATCH}TicketsMax"), slowest),
        ("bytesPerTicketInAdvance".to_owned(), (after - before) / (LISTED - BATCH) as f64),
    ])
}

/// The 95th percentile of the first page and of one far behind, with filters.
async fn pages(target: &Target, agent: &Agent) -> anyhow::Result<Vec<(String, f64)>> {
    let mut api = Api::new(target.clone());
    let mut found = Vec::new();
    for page in [1, 1_000] {
        let path = format!("/api/ota/tickets?status=PRE_GENERATED&createdAfter=2020-01-01&page={page}&limit=100");
        let mut times = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            let (status, answer, took) = partners::ask(&mut api, agent, Call::get(&path), None).await?;
            ensure!(status == 200, "page {page} was answered {status}: {answer}");
            times.push(milliseconds(took));
        }
        times.sort_by(f64::total_cmp);
        let p95 = times.get(LOOKS * 95 / 100).copied().unwrap_or_default();
        found.push((format!("msOfPage{page}P95"), p95));
    }
    Ok(found)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Tickets of a partner and orders of direct sale, of one use each, take turns at the same gates.
async fn scans(
    options: &Options,
    subject: &Subject,
    tokens: &[String],
    (agent, product): (&Agent, &Product),
    number: usize,
) -> anyhow::Result<(Scenario, Vec<f64>)> {
    let target = &subject.target;
    let (operator, gates) = setup::gates(target, options.gates).await?;
    let of_partner = partners::sold(target, agent, product, "scanned", number).await?;
    let item = [setup::package_item(&product.template)];
    let orders = setup::paid_orders(target, &subject.simulator, tokens, &item, number, 1).await?;
    // A partner's ticket is shown by the code of the unit that was sold, which answers with all that the unit gives. Of direct
    // sale an order's code does the same.
    let directly = setup::order_codes(target, tokens, orders).await?;
    eprintln!("{} tickets of a partner and {} orders of direct sale are paid", of_partner.len(), directly.len());
    subject.settle().await?;

    let rounds = options.rounds.max(PAIRS_MIN);
    let course = |name, tickets: &[PaidTicket]| {
        let scans = Scans::new(Place::Gates, operator.clone(), gates.clone(), tickets.to_vec());
        let per_round = scans.number().div_ceil(rounds as u64);
        (Course::new(name, Arc::new(scans), target.clone(), subject.pid(), options.quiet), per_round)
    };
    let (mut ours, per_round) = course("partners", &of_partner);
    let (mut theirs, _) = course(DIRECT, &directly);
    let plan = plan(options);
    let plan = Plan { warm_up: plan.warm_up.min(WARM_UP_MAX), until: Some(per_round), ..plan };
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        ours.turn(plan, None).await?;
        subject.settle().await?;
        theirs.turn(plan, None).await?;
        subject.settle().await?;
    }

    let mut scenario = Scenario::of_turns("partners", std::mem::take(&mut ours.turns));
    scenario.turns.insert(DIRECT.to_owned(), std::mem::take(&mut theirs.turns));
    eprintln!("auditing {} scans of partners' tickets and {} of others", ours.acks.len(), theirs.acks.len());
    let database = subject.database().await?;
    scenario.conclude(Some(audit::scans(target, database.as_ref(), &[], &of_partner, &ours.acks).await?));
    let direct = audit::scans(target, database.as_ref(), tokens, &directly, &theirs.acks).await?;
    scenario.audit_too("direct sale", direct);
    let rounds = by_round(&scenario.rates("partners"), &scenario.rates(DIRECT));
    Ok((scenario, rounds))
}

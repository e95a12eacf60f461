//! Input that is not acceptable, at every endpoint: malformed, oversized, of another type, with unknown or missing
//! fields. The document at `/openapi.json` says what there is to spoil, so no endpoint can be forgotten: a new one with
//! something to fill in needs an example below, and fails here until it has one.

mod examples;
mod variants;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::client::{Client, Person};
use crate::server::another;
use examples::Examples;
use variants::{Variant, variants};

/// Requests under way at once: enough to keep two cores busy, few enough for one login queue.
const AT_ONCE: usize = 16;
/// The first round fills caches and pools, the second shows what a round needs, all others together must need no more.
const ROUNDS: usize = 7;
/// How much larger the server may be after the last round than after the second, in KiB. In between are ten thousand
/// requests: 4 KiB kept of each would be as much. What the allocator keeps of a login's 19 MiB comes and goes.
const GROWTH_KIB_MAX: u64 = 40 * 1024;
/// A login hashes its password in 19 MiB, for a moment: the server's size is the least of some looks at it.
const LOOKS: usize = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(25);
/// Failures that are worth printing.
const SHOWN_MAX: usize = 60;

#[tokio::test]
async fn whatever_is_wrong_in_a_request_is_refused_and_named_and_leaves_nothing_behind() {
    // A server of its own: what others' orders and logins take is not looked at.
    // Partners call as often as is needed.
    let client = Client::of(another(&[("DEEPTRAVEL__OTA__RATE_LIMIT_PER_MINUTE", "100000")]));
    let mei = client.traveller("bad-input").await;
    let examples = Examples::make(&client, &mei).await;
    let document = client.get("/openapi.json").await.ok();
    let variants = variants(&document, &examples);
    let orders = order_count(&mei).await;

    let mut sizes = Vec::new();
    for _ in 0..ROUNDS {
        let complaints: Vec<String> = stream::iter(&variants)
            .map(|variant| complaint(&client, variant))
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        assert!(
            complaints.is_empty(),
            "{} of {} variants:\n{}",
            complaints.len(),
            variants.len(),
            complaints[..complaints.len().min(SHOWN_MAX)].join("\n")
        );
        sizes.push(resident_kib(&client).await);
    }
    println!("{} variants: {:?}; resident KiB after each round: {sizes:?}", variants.len(), count(&variants));

    let growth = sizes[ROUNDS - 1].saturating_sub(sizes[1]);
    assert!(growth < GROWTH_KIB_MAX, "the server grew by {growth} KiB: {sizes:?}");
    mei.order(&client.departure().await, 1).await;
    assert_eq!(order_count(&mei).await, orders + 1, "no broken request made an order");
}

async fn order_count(traveller: &Person) -> usize {
    traveller.get("/orders?limit=100").await.ok()["orders"].as_array().unwrap().len()
}

/// What is wrong with the answer to a variant; `None` when it is refused as it should be.
async fn complaint(client: &Client, variant: &Variant) -> Option<String> {
    let mut request = client.request(variant.method.clone(), &variant.path);
    for (name, value) in &variant.headers {
        request = request.header(name, HeaderValue::from_bytes(value).unwrap());
    }
    if let Some(body) = &variant.body {
        request = request.body(body.clone());
    }
    let answer = client.send(request).await;
    let (body, wanted) = (&answer.body, &variant.wanted);
    let code = body["code"].as_str().unwrap_or_default();
    let upper_snake = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let id = body["requestId"].as_str().unwrap_or_default();
    let named = body["errors"][0]["field"].as_str();
    let what = if wanted.allowed_success == Some(answer.status) {
        return None;
    } else if !wanted.statuses.contains(&answer.status) {
        "another status"
    } else if answer.headers.get("content-type").is_none_or(|kind| kind != "application/problem+json") {
        "no problem document"
    } else if !upper_snake {
        "no code"
    } else if id.is_empty() || answer.headers.get("x-request-id").is_none_or(|header| header != id) {
        "no request id"
    } else if wanted.field.is_some() && [400, 404, 422].contains(&answer.status) && named != wanted.field.as_deref() {
        "another field"
    } else {
        return None;
    };
    let (text, variant) = (answer.text.chars().take(300).collect::<String>(), variant.describe());
    Some(format!("{what}: {variant}\n    -> {} {text}", answer.status))
}

/// Variants of each operation.
fn count(variants: &[Variant]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for variant in variants {
        *counts.entry(variant.operation.as_str()).or_default() += 1;
    }
    counts
}

/// Resident memory of the server.
async fn resident_kib(client: &Client) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..LOOKS {
        let status = std::fs::read_to_string(format!("/proc/{}/status", client.server.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        least = least.min(line.trim().trim_end_matches(" kB").parse().unwrap());
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    least
}

/// Follows a reference into the document.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

//! Notifications: encrypted, freshly signed for each attempt, repeated on WeChat's schedule until accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Simulator;
use super::faults::{Endpoint, Fault, Tamper};
use super::server::alter;
use super::state::later;
use crate::crypto::{CryptoFailure, GCM_NONCE_BYTES, random_nonce};
use crate::envelope::{ALGORITHM, Envelope, ORIGINAL_TRANSACTION, RESOURCE_TYPE, Sealed};
use crate::model::rfc3339_china;

/// Gaps between one attempt and the next, in seconds. WeChat's pages leave open whether its "15 times" counts the first
/// attempt; here it does not.
const GAPS_SECONDS: [u32; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];
/// An attempt must be accepted within this time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts under way at once; the rest waits its turn.
const MAX_CONCURRENT: usize = 64;
/// How long the worker sleeps when nothing is due; it is woken when something becomes due earlier.
const IDLE: Duration = Duration::from_hours(1);
/// How much of a receiver's answer is kept, in characters.
const MAX_ANSWER_CHARS: usize = 500;

/// A notification that waits for its next attempt.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) id: String,
    pub(super) out_trade_no: String,
    /// Attempts made so far.
    pub(super) made: usize,
}

/// Pending notifications by due time (business time), then in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<(Timestamp, u64), Pending>,
    arrivals: u64,
}

impl Queue {
    pub(super) fn push(&mut self, due: Timestamp, pending: Pending) {
        self.arrivals += 1;
        self.waiting.insert((due, self.arrivals), pending);
    }

    /// What is due now, and how long until the next.
    fn take_due(&mut self, now: Timestamp) -> (Vec<Pending>, Duration) {
        let rest = self.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.waiting, rest).into_values().collect();
        let next = self.waiting.keys().next().map_or(IDLE, |(due, _)| {
            let wait = due.duration_since(now);
            Duration::try_from(wait).unwrap_or_default().min(IDLE)
        });
        (due, next)
    }
}

/// One delivery attempt, as `GET /_sim/deliveries` lists it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Attempt {
    /// The notification's id, the same over all attempts.
    id: String,
    pub(super) out_trade_no: String,
    /// 1 for the first.
    #[serde(rename = "attempt")]
    number: usize,
    url: String,
    /// Wall clock.
    sent_at: Timestamp,
    /// Absent when nothing was answered.
    status: Option<u16>,
    /// Answered 200 or 204 in time.
    accepted: bool,
    latency_ms: u64,
    /// `lost` by a fault, `timeout`, `connect` or `transport`.
    error: Option<&'static str>,
    /// The signature headers as sent.
    headers: BTreeMap<&'static str, String>,
    /// The body as sent.
    body: String,
    /// The beginning of the receiver's answer.
    answer: String,
}

/// Sends what is due, for as long as the simulator runs.
pub(super) async fn work(simulator: Arc<Simulator>) {
    let client = reqwest::Client::builder()
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build();
    let http = match client {
        Ok(http) => http,
        Err(error) => {
            tracing::error!(%error, "The WeChat simulator cannot send notifications");
            return;
        }
    };
    let slots = Arc::new(Semaphore::new(MAX_CONCURRENT));
    loop {
        let (due, next) = simulator.state().queue.take_due(simulator.now());
        for pending in due {
            actix_web::rt::spawn(deliver(Arc::clone(&simulator), http.clone(), Arc::clone(&slots), pending));
        }
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = simulator.wake.notified() => {}
        }
    }
}

async fn deliver(simulator: Arc<Simulator>, http: reqwest::Client, slots: Arc<Semaphore>, mut pending: Pending) {
    let fault = simulator.faults().take(Endpoint::Notify);
    tokio::time::sleep(fault.delay_before()).await;
    let content = simulator.state().notification(&pending.out_trade_no);
    let Some((url, plaintext)) = content else {
        return;
    };
    pending.made += 1;

    let copies = (0..=fault.duplicate_notify).map(|_| {
        let send = attempt(
            Arc::clone(&simulator),
            http.clone(),
            Arc::clone(&slots),
            fault.clone(),
            pending.clone(),
            url.clone(),
            plaintext.clone(),
        );
        actix_web::rt::spawn(send)
    });
    let mut accepted = false;
    for copy in copies.collect::<Vec<_>>() {
        accepted |= copy.await.unwrap_or(false);
    }
    let gap = GAPS_SECONDS.get(pending.made - 1);
    if let Some(gap) = gap.filter(|_| !accepted) {
        let seconds = f64::from(*gap) * simulator.time_factor();
        let gap = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
        simulator.state().queue.push(later(simulator.now(), gap), pending);
        simulator.wake.notify_one();
    }
}

/// One attempt, recorded; whether it was accepted.
async fn attempt(
    simulator: Arc<Simulator>,
    http: reqwest::Client,
    slots: Arc<Semaphore>,
    fault: Fault,
    pending: Pending,
    url: String,
    plaintext: Value,
) -> bool {
    let Ok(_slot) = slots.acquire().await else {
        return false;
    };
    let Ok((headers, body)) = compose(&simulator, &pending, plaintext, &fault) else {
        tracing::error!("The WeChat simulator could not sign a notification");
        return false;
    };
    let mut record = Attempt {
        id: pending.id,
        out_trade_no: pending.out_trade_no,
        number: pending.made,
        url: url.clone(),
        sent_at: Timestamp::now(),
        status: None,
        accepted: false,
        latency_ms: 0,
        error: None,
        headers: headers.iter().cloned().collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        answer: String::new(),
    };
    let started = Instant::now();
    if fault.lose_notify {
        record.error = Some("lost");
    } else {
        let mut request = http.post(url).header("Content-Type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match receive(request).await {
            Ok((status, answer)) => {
                record.status = Some(status);
                record.accepted = status == 200 || status == 204;
                record.answer = answer;
            }
            Err(error) => {
                record.error = Some(match &error {
                    error if error.is_timeout() => "timeout",
                    error if error.is_connect() => "connect",
                    _ => "transport",
                });
            }
        }
    }
    record.latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let accepted = record.accepted;
    tracing::debug!(
        wechat.out_trade_no = record.out_trade_no,
        attempt = record.number,
        status = record.status,
        "Notification sent by the WeChat simulator"
    );
    simulator.state().record(record);
    accepted
}

async fn receive(request: reqwest::RequestBuilder) -> reqwest::Result<(u16, String)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let answer = response.text().await?.chars().take(MAX_ANSWER_CHARS).collect();
    Ok((status, answer))
}

type Headers = Vec<(&'static str, String)>;

/// The envelope around the encrypted transaction, and its signature.
fn compose(
    simulator: &Simulator,
    pending: &Pending,
    mut plaintext: Value,
    fault: &Fault,
) -> Result<(Headers, Vec<u8>), CryptoFailure> {
    if let Some(tamper) = &fault.tamper_notify {
        apply(tamper, &mut plaintext);
    }
    let nonce: String = random_nonce().chars().take(GCM_NONCE_BYTES).collect();
    let ciphertext = simulator.api_v3_key.seal(&nonce, ORIGINAL_TRANSACTION, plaintext.to_string().as_bytes())?;
    let envelope = Envelope {
        id: pending.id.clone(),
        create_time: Some(rfc3339_china(simulator.now())),
        event_type: "TRANSACTION.SUCCESS".into(),
        resource_type: RESOURCE_TYPE.into(),
        summary: Some("支付成功".into()),
        resource: Sealed {
            original_type: ORIGINAL_TRANSACTION.into(),
            algorithm: ALGORITHM.into(),
            ciphertext,
            associated_data: Some(ORIGINAL_TRANSACTION.into()),
            nonce,
        },
    };
    let mut body = serde_json::to_vec(&envelope).map_err(|_| CryptoFailure)?;
    let headers = simulator.sign(&body, fault)?;
    if fault.alter_body {
        alter(&mut body);
    }
    Ok((headers, body))
}

fn apply(tamper: &Tamper, plaintext: &mut Value) {
    let texts = [
        ("appid", &tamper.appid),
        ("mchid", &tamper.mchid),
        ("out_trade_no", &tamper.out_trade_no),
        ("transaction_id", &tamper.transaction_id),
        ("trade_state", &tamper.trade_state),
    ];
    for (field, value) in texts {
        if let Some(value) = value {
            plaintext[field] = json!(value);
        }
    }
    if let Some(openid) = &tamper.openid {
        plaintext["payer"]["openid"] = json!(openid);
    }
    if let Some(total) = tamper.total {
        plaintext["amount"]["total"] = json!(total);
    }
    if let Some(currency) = &tamper.currency {
        plaintext["amount"]["currency"] = json!(currency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pending(id: &str) -> Pending {
        Pending { id: id.into(), out_trade_no: "order-1".into(), made: 0 }
    }

    #[test]
    fn what_is_due_comes_in_order_and_the_rest_says_when() {
        let mut queue = Queue::default();
        queue.push(at(30), pending("later"));
        queue.push(at(10), pending("first"));
        queue.push(at(10), pending("second"));

        let (due, next) = queue.take_due(at(10));
        assert_eq!(due.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(next, Duration::from_secs(20));
        assert_eq!(queue.take_due(at(29)).0.len(), 0);
        assert_eq!(queue.take_due(at(31)).0.len(), 1);
        assert_eq!(queue.take_due(at(31)).1, IDLE);
    }

    #[test]
    fn the_schedule_ends_after_a_day_and_four_minutes() {
        assert_eq!(GAPS_SECONDS.iter().sum::<u32>(), 24 * 3600 + 4 * 60);
    }
}

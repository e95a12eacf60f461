//! Notifications: encrypted, freshly signed for each attempt, repeated on WeChat's schedule until accepted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::Simulator;
use super::compose::{self, Message};
use super::faults::Fault;
use super::notice::{Attempt, Pending, Subject};
use super::time::{duration, later};

/// Gaps between one attempt and the next, in seconds. WeChat's pages leave open whether its "15 times" counts the first
/// attempt; here it does not.
const GAPS_SECONDS: [u32; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];
/// An attempt must be accepted within this time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts under way at once; the rest waits its turn.
const MAX_CONCURRENT: usize = 64;
/// How much of a receiver's answer is kept, in characters.
const MAX_ANSWER_CHARS: usize = 500;

/// Does and sends what is due, for as long as the simulator runs.
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
        let (due, next) = take_due(&simulator);
        for pending in due {
            actix_web::rt::spawn(deliver(Arc::clone(&simulator), http.clone(), Arc::clone(&slots), pending));
        }
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = simulator.wake.notified() => {}
        }
    }
}

/// Lets happen what has come due; answers the notifications to send and how long until something comes due again.
fn take_due(simulator: &Simulator) -> (Vec<Pending>, Duration) {
    let now = simulator.now();
    let mut state = simulator.state();
    state.run_due(now);
    let due = std::iter::from_fn(|| state.queue.pop_due(now)).map(|(_, pending)| pending).collect();
    (due, state.queue.wait(now).min(state.jobs.wait(now)))
}

async fn deliver(simulator: Arc<Simulator>, http: reqwest::Client, slots: Arc<Semaphore>, pending: Pending) {
    let Some((mut pending, fault)) = may_go(&simulator, pending) else {
        return;
    };
    tokio::time::sleep(fault.delay_before()).await;
    let message = {
        let state = simulator.state();
        match &pending.subject {
            Subject::Payment { out_trade_no } => state.payment_notice(out_trade_no).map(Message::payment),
            Subject::Refund { status, url, content, .. } => Some(Message::refund(*status, url, content)),
        }
    };
    let Some(message) = message else {
        return;
    };
    pending.made += 1;

    let attempt = Arc::new(Sending { simulator: Arc::clone(&simulator), http, slots, fault, message });
    let copies = (0..=attempt.fault.duplicate_notify)
        .map(|_| actix_web::rt::spawn(Arc::clone(&attempt).send(pending.clone())))
        .collect::<Vec<_>>();
    let mut accepted = false;
    for copy in copies {
        accepted |= copy.await.unwrap_or(false);
    }
    match &pending.subject {
        Subject::Payment { out_trade_no } => simulator.state().payment_told(out_trade_no),
        Subject::Refund { out_trade_no, .. } => simulator.state().refund_told(out_trade_no, simulator.now()),
    }
    let gap = GAPS_SECONDS.get(pending.made - 1);
    if let Some(gap) = gap.filter(|_| !accepted) {
        let gap = duration(f64::from(*gap) * simulator.settings().time_factor);
        simulator.state().queue.push(later(simulator.now(), gap), pending);
    }
    simulator.wake.notify_one();
    simulator.attempted.notify_waiters();
}

/// The fault of this attempt; `None` if the attempt was put off by it.
fn may_go(simulator: &Simulator, mut pending: Pending) -> Option<(Pending, Fault)> {
    if let Some(fault) = pending.drawn.take() {
        return Some((pending, fault));
    }
    let subject = &pending.subject;
    let numbers = [Some(subject.out_trade_no()), subject.out_refund_no()];
    let numbers: Vec<&str> = numbers.into_iter().flatten().collect();
    let fault = simulator.fault(subject.endpoint(), &numbers);
    if fault.notify_later_seconds > 0.0 {
        let due = later(simulator.now(), duration(fault.notify_later_seconds));
        pending.drawn = Some(fault);
        simulator.state().queue.push(due, pending);
        simulator.wake.notify_one();
        return None;
    }
    if fault.after_refund
        && let Subject::Payment { out_trade_no } = subject
    {
        let number = out_trade_no.clone();
        pending.drawn = Some(fault.clone());
        return simulator.state().hold_until_refund(&number, pending).map(|pending| (pending, fault));
    }
    Some((pending, fault))
}

/// One attempt of a notification, or several copies of it.
struct Sending {
    simulator: Arc<Simulator>,
    http: reqwest::Client,
    slots: Arc<Semaphore>,
    fault: Fault,
    message: Message,
}

impl Sending {
    /// Sends and records; whether it was accepted.
    async fn send(self: Arc<Self>, pending: Pending) -> bool {
        let Ok(_slot) = self.slots.acquire().await else {
            return false;
        };
        let Ok((headers, body)) = compose::compose(&self.simulator, &pending.id, &self.message, &self.fault) else {
            tracing::error!("The WeChat simulator could not sign a notification");
            return false;
        };
        let mut record = Attempt {
            out_trade_no: pending.subject.out_trade_no().to_owned(),
            out_refund_no: pending.subject.out_refund_no().map(str::to_owned),
            event_type: self.message.event_type,
            id: pending.id,
            number: pending.made,
            url: self.message.url.clone(),
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
        if self.fault.lose_notify {
            record.error = Some("lost");
        } else {
            match receive(self.request(headers, body)).await {
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
        self.simulator.state().record(record);
        accepted
    }

    fn request(&self, headers: compose::Headers, body: Vec<u8>) -> reqwest::RequestBuilder {
        let body = match self.fault.slow_body_ms {
            None => body.into(),
            Some(gap) => compose::dribble(body, Duration::from_millis(gap)),
        };
        let mut request = self.http.post(&self.message.url).header("Content-Type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request
    }
}

async fn receive(request: reqwest::RequestBuilder) -> reqwest::Result<(u16, String)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let answer = response.text().await?.chars().take(MAX_ANSWER_CHARS).collect();
    Ok((status, answer))
}

/// Waits until a payment's first notification was tried, for as long as an attempt may take.
pub(super) async fn until_told(simulator: &Simulator, out_trade_no: &str) {
    let told = async {
        loop {
            let attempted = simulator.attempted.notified();
            if simulator.state().payment(out_trade_no).is_none_or(|payment| payment.told) {
                return;
            }
            attempted.await;
        }
    };
    if tokio::time::timeout(ATTEMPT_TIMEOUT, told).await.is_err() {
        tracing::debug!(wechat.out_trade_no = out_trade_no, "The notification was not tried in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_ends_after_a_day_and_four_minutes() {
        assert_eq!(GAPS_SECONDS.iter().sum::<u32>(), 24 * 3600 + 4 * 60);
    }
}

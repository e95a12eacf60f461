//! Figures that are read when somebody looks, not when they change.

use std::sync::atomic::{AtomicU64, Ordering};

use deeptravel_actors::attention::{RefundsWaiting, Waiting};
use deeptravel_actors::engine::{Figures, Owners};
use deeptravel_actors::services::Services;
use deeptravel_domain::announcement::AnnouncementKind;
use deeptravel_domain::time::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::api::frame::Api;

/// Durable records that Postgres does not have yet.
pub fn projection_lag(services: &Services) -> u64 {
    services.journal.durable().0.saturating_sub(services.projected.borrow().0)
}

/// Brings every gauge up to date.
pub fn set(api: &Api) {
    let services = api.engine.services();
    set_journal(services);
    set_clock(services);
    set_owners(services);
    set_attention(services);
    set_announcements(services);
    set_wechat(api.wechat.counters());
    show("wechat_certificates", "Platform certificates that verify now", api.wechat.certificates_in_use() as u64);
    show("http_in_flight", "Requests being answered", api.in_flight.load(Ordering::Relaxed) as u64);
    #[cfg(feature = "count-allocations")]
    set_allocations();
    show("database_available", "1 while Postgres answers, as last seen", u64::from(api.lists.is_available()));
}

#[cfg(feature = "count-allocations")]
fn set_allocations() {
    let counted = stats_alloc::INSTRUMENTED_SYSTEM.stats();
    let (times, bytes) = (counted.allocations + counted.reallocations, counted.bytes_allocated);
    show("allocations", "Allocations since the start, those that moved what had grown included", times as u64);
    show("allocated_bytes", "Bytes of them, with what they have grown by", bytes as u64);
}

fn set_journal(services: &Services) {
    let journal = &services.journal;
    let space = journal.space();
    show("journal_appended_position", "Position of the last record taken", journal.appended().0);
    show("journal_durable_position", "Position up to which everything is durable", journal.durable().0);
    show("journal_queued_bytes", "Bytes that wait for the journal's writer", journal.queued_bytes() as u64);
    show("journal_used_bytes", "Bytes of the journal's segments", space.used);
    show("journal_max_bytes", "Bytes that the journal's segments may take", space.max);
    show("journal_rationed", "1 while new sales have stopped for want of space", u64::from(space.is_rationed()));
    show("journal_failed", "1 when nothing can be made durable any more", u64::from(journal.failure().is_some()));
    show("projected_position", "Position up to which Postgres has followed", services.projected.borrow().0);
    show("projection_lag_records", "Durable records that Postgres does not have yet", projection_lag(services));
}

/// Beyond 60 s either way the wall clock is not followed: that is the alarm of rule 15.
#[allow(clippy::cast_precision_loss)] // a difference of 300,000 years
fn set_clock(services: &Services) {
    describe_gauge!("clock_offset_seconds", "By how much the wall clock is ahead of engine time");
    gauge!("clock_offset_seconds").set(services.clock.offset_ms() as f64 / 1000.0);
    let trusted = u64::from(services.clock.is_trusted());
    show("clock_trusted", "0 while nothing is deleted for its age, because the clocks disagree", trusted);
}

fn set_owners(owners: &Owners) {
    describe_gauge!("owners_live", "Keys with an actor");
    show("orders_dormant", "Orders in memory without an actor, packed", owners.dormant_orders().keys() as u64);
    show("orders_dormant_bytes", "What dormant orders take, about", owners.dormant_orders().bytes() as u64);
    show(
        "orders_at_hand",
        "Orders in memory without an actor, ready for a scan",
        owners.orders_at_hand().keys() as u64,
    );
    show("orders_at_hand_bytes", "What orders at hand take, about", owners.orders_at_hand().bytes() as u64);
    describe_counter!("owner_restarts_total", "Owners rebuilt after a panic or a failed write");
    for Figures { kind, live, restarts } in owners.figures() {
        gauge!("owners_live", "kind" => kind).set(figure(live as u64));
        counter!("owner_restarts_total", "kind" => kind).absolute(restarts);
    }
}

/// What waits for a person or for WeChat. Its owners count it as it changes; nobody is asked here.
fn set_attention(services: &Services) {
    let now = services.clock.now();
    let quarantine = services.attention.quarantine();
    let RefundsWaiting { outstanding, stuck } = services.attention.refunds();
    let overdue = services.attention.overdue_holds(now);
    show(
        "partner_webhooks_ended",
        "Partners' webhooks that have disabled themselves",
        services.attention.webhooks_ended(),
    );
    show("payment_quarantine_open", "Notices in quarantine that nobody has seen to", quarantine.count);
    show("payment_quarantine_oldest_seconds", "For how long the oldest of them has waited", age(quarantine, now));
    show("refunds_outstanding", "Refunds that have not ended", outstanding.count);
    show("refunds_outstanding_oldest_seconds", "For how long the oldest of them has been due", age(outstanding, now));
    show("refunds_stuck", "Refunds that wait for a person", stuck.count);
    show("refunds_stuck_oldest_seconds", "For how long the oldest of them has been due", age(stuck, now));
    show(
        "paying_holds_overdue",
        "Holds kept past their payment's end, because its close is not confirmed",
        overdue.count,
    );
    show("paying_holds_overdue_oldest_seconds", "For how long the first of them has been over", age(overdue, now));
}

/// As the follower who counts them last wrote down: they never go back, whatever ends when.
fn set_announcements(services: &Services) {
    describe_counter!("announcements_total", "What owners have announced since the journal's beginning");
    let totals = services.totals.load();
    for kind in AnnouncementKind::ALL {
        counter!("announcements_total", "kind" => kind.code()).absolute(totals.of(kind));
    }
}

/// Since the oldest began to wait, in seconds; 0 when nothing waits.
fn age(waiting: Waiting, now: Timestamp) -> u64 {
    let ms = waiting.oldest.map_or(0, |oldest| now.ms_since(oldest));
    u64::try_from(ms / 1_000).unwrap_or(0)
}

/// Probes (`SIGNTEST`) have series of their own: WeChat sends them on purpose, and they must raise no alarm (R-PAY-06).
fn set_wechat(seen: &deeptravel_wechat::Counters) {
    describe_counter!("wechat_calls_total", "Calls to WeChat by outcome");
    describe_counter!("wechat_answers_rejected_total", "Answers of WeChat that failed verification");
    describe_counter!("wechat_notifications_total", "Notifications by what came of them");
    let total = |name: &'static str, outcome: &'static str, count: &AtomicU64| {
        counter!(name, "outcome" => outcome).absolute(count.load(Ordering::Relaxed));
    };
    total("wechat_calls_total", "succeeded", &seen.calls_succeeded);
    total("wechat_calls_total", "refused", &seen.calls_refused);
    total("wechat_calls_total", "unknown", &seen.calls_unknown);
    total("wechat_answers_rejected_total", "unverified", &seen.answers_unverified);
    total("wechat_answers_rejected_total", "signtest", &seen.answers_signtest);
    describe_counter!(
        "wechat_configuration_faults_total",
        "Answers saying that our key, clock, rights or account are wrong"
    );
    counter!("wechat_configuration_faults_total").absolute(seen.configuration_faults.load(Ordering::Relaxed));
    total("wechat_notifications_total", "accepted", &seen.notifications_accepted);
    total("wechat_notifications_total", "unverified", &seen.notifications_unverified);
    total("wechat_notifications_total", "signtest", &seen.notifications_signtest);
    total("wechat_notifications_total", "malformed", &seen.notifications_malformed);
    total("wechat_notifications_total", "old protocol", &seen.notifications_old_protocol);
}

fn show(name: &'static str, what: &'static str, value: u64) {
    describe_gauge!(name, what);
    gauge!(name).set(figure(value));
}

/// Prometheus knows floating point only.
#[allow(clippy::cast_precision_loss)] // beyond 2^53 nobody reads the last digit
fn figure(value: u64) -> f64 {
    value as f64
}

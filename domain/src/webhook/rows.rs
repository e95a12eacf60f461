//! What is stored: a row for each partner, for each event and for each call, and up to where the journal is followed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{
    Call, CallError, Change, Endpoint, Event, EventKind, Hook, Numbered, OWNER, Outcome, Previous, Standing, Take,
    Webhooks,
};
use crate::ids::{OrderId, PartnerCode};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows};
use crate::sealing::SealedSecret;
use crate::time::Timestamp;

row! {
    /// A partner's endpoint, and what it was told.
    pub struct PartnerWebhookRow<'a>: 95 "partner_webhooks", First::Unknown;
    1 partner_id [Key]: PartnerCode,
    2 version: u64,
    /// Without one the partner has not said where it wants to be told.
    3 url [Hidden]: Option<&'a str>,
    4 standing: Option<Standing>,
    5 secret_key_version: Option<u32>,
    6 secret_ciphertext [Hidden]: Option<&'a [u8]>,
    /// The secret before it, while it still signs.
    7 previous_key_version: Option<u32>,
    8 previous_ciphertext [Hidden]: Option<&'a [u8]>,
    9 previous_until: Option<Timestamp>,
    10 last_sequence: u64,
    11 told_sequence: u64,
    12 failures: u32,
    13 due_at: Timestamp,
    14 attempts: u64,
    15 revision: u32,
}

row! {
    /// Something that a partner is told.
    pub struct WebhookEventRow<'a>: 96 "webhook_events", First::Always;
    1 partner_id [Key]: PartnerCode,
    2 sequence [Key]: u64,
    3 version: u64,
    4 kind: EventKind,
    5 subject: &'a str,
    6 order_id: Option<OrderId>,
    7 ticket: Option<u16>,
    8 count: Option<u32>,
    9 at: Timestamp,
}

row! {
    /// A call, as it ended.
    pub struct WebhookDeliveryRow: 97 "webhook_deliveries", First::Always;
    1 partner_id [Key]: PartnerCode,
    /// Of the partner's calls, from 1.
    2 number [Key]: u64,
    3 version: u64,
    4 sequence: u64,
    /// When it ended.
    5 at: Timestamp,
    /// That the receiver answered with.
    6 status: Option<u16>,
    /// Why it did not.
    7 error: Option<CallError>,
    8 took_ms: u32,
}

row! {
    /// Up to where the journal is followed.
    pub struct WebhooksFollowedRow<'a>: 98 "webhooks_followed", First::Unknown;
    1 follower [Key]: &'a str,
    2 version: u64,
    3 position: u64,
}

/// The rows that a change has touched, as they are after it.
pub(super) fn put(webhooks: &Webhooks, change: &Change, version: u64, rows: &mut Rows) {
    match change {
        Change::Taken { take, .. } => put_taken(webhooks, take, version, rows),
        Change::EndpointPut { partner, audit, .. }
        | Change::SecretReplaced { partner, audit, .. }
        | Change::ReplayBegun { partner, audit, .. } => {
            put_hook(webhooks, partner, version, rows);
            audit.put_row(OWNER, None, version, rows);
        }
        Change::Called { partner, call, at, .. } => {
            put_hook(webhooks, partner, version, rows);
            let number = webhooks.hook(partner).map_or(0, |hook| hook.attempts);
            rows.put_first(&call.row(partner, number, *at, version));
        }
    }
}

fn put_taken(webhooks: &Webhooks, take: &Take, version: u64, rows: &mut Rows) {
    rows.put(&WebhooksFollowedRow { follower: OWNER, version, position: take.up_to });
    let mut events: BTreeMap<&PartnerCode, Vec<&Event>> = BTreeMap::new();
    for (partner, event) in &take.events {
        events.entry(partner).or_default().push(event);
    }
    for (partner, events) in events {
        put_hook(webhooks, partner, version, rows);
        let last = webhooks.hook(partner).map_or(0, |hook| hook.last);
        let first = last.saturating_sub(events.len() as u64) + 1;
        for (sequence, event) in (first..).zip(events) {
            rows.put_first(&event.row(partner, sequence, version));
        }
    }
}

fn put_hook(webhooks: &Webhooks, partner: &PartnerCode, version: u64, rows: &mut Rows) {
    if let Some(hook) = webhooks.hook(partner) {
        rows.put(&hook.row(partner, version));
    }
}

impl Hook {
    fn row(&self, partner: &PartnerCode, version: u64) -> PartnerWebhookRow<'_> {
        let endpoint = self.endpoint.as_ref();
        let previous = endpoint.and_then(|endpoint| endpoint.previous.as_ref());
        PartnerWebhookRow {
            partner_id: partner.clone(),
            version,
            url: endpoint.map(|endpoint| &*endpoint.url),
            standing: endpoint.map(|endpoint| endpoint.standing),
            secret_key_version: endpoint.map(|endpoint| endpoint.secret.key_version),
            secret_ciphertext: endpoint.map(|endpoint| &*endpoint.secret.ciphertext),
            previous_key_version: previous.map(|previous| previous.secret.key_version),
            previous_ciphertext: previous.map(|previous| &*previous.secret.ciphertext),
            previous_until: previous.map(|previous| previous.until),
            last_sequence: self.last,
            told_sequence: self.told,
            failures: self.failures,
            due_at: self.due_at,
            attempts: self.attempts,
            revision: self.revision,
        }
    }

    fn from_row(row: &PartnerWebhookRow<'_>) -> Result<Hook, Damage> {
        if row.told_sequence > row.last_sequence {
            return Err(row.damage("told_sequence is above last_sequence"));
        }
        Ok(Hook {
            endpoint: row.endpoint()?,
            last: row.last_sequence,
            told: row.told_sequence,
            failures: row.failures,
            due_at: row.due_at,
            attempts: row.attempts,
            revision: row.revision,
            recent: VecDeque::new(),
        })
    }
}

impl PartnerWebhookRow<'_> {
    fn endpoint(&self) -> Result<Option<Endpoint>, Damage> {
        let sealed = |version: Option<u32>, ciphertext: Option<&[u8]>| {
            version.zip(ciphertext).map(|(key_version, text)| SealedSecret { key_version, ciphertext: text.into() })
        };
        let secret = sealed(self.secret_key_version, self.secret_ciphertext);
        let previous = sealed(self.previous_key_version, self.previous_ciphertext).zip(self.previous_until);
        match (self.url, self.standing, secret) {
            (Some(url), Some(standing), Some(secret)) => {
                let previous = previous.map(|(secret, until)| Previous { secret, until });
                Ok(Some(Endpoint { url: url.into(), standing, secret, previous }))
            }
            (None, None, None) => Ok(None),
            (Some(_), _, _) | (None, Some(_), _) | (None, None, Some(_)) => {
                Err(self.damage("url, standing and secret are there or not together"))
            }
        }
    }
}

impl Event {
    fn row(&self, partner: &PartnerCode, sequence: u64, version: u64) -> WebhookEventRow<'_> {
        WebhookEventRow {
            partner_id: partner.clone(),
            sequence,
            version,
            kind: self.kind,
            subject: &self.subject,
            order_id: self.order,
            ticket: self.ticket,
            count: self.count,
            at: self.at,
        }
    }
}

impl From<WebhookEventRow<'_>> for Numbered {
    fn from(row: WebhookEventRow<'_>) -> Numbered {
        let WebhookEventRow { sequence, kind, subject, order_id, ticket, count, at, .. } = row;
        let event = Event { kind, subject: subject.into(), order: order_id, ticket, count, at };
        Numbered { sequence, event: Arc::new(event) }
    }
}

impl Call {
    fn row(&self, partner: &PartnerCode, number: u64, at: Timestamp, version: u64) -> WebhookDeliveryRow {
        let (status, error) = match self.outcome {
            Outcome::Answered(status) => (Some(status), None),
            Outcome::Failed(error) => (None, Some(error)),
        };
        let (partner_id, sequence, took_ms) = (partner.clone(), self.sequence, self.took_ms);
        WebhookDeliveryRow { partner_id, number, version, sequence, at, status, error, took_ms }
    }
}

impl Webhooks {
    /// Of the rows of all partners and the one of the follower. Events come from their rows when they are due.
    pub fn from_rows(rows: &Rows) -> Result<Webhooks, Damage> {
        let mut webhooks = Webhooks::default();
        for row in rows.of::<WebhooksFollowedRow<'_>>() {
            let row = row?;
            if row.follower != OWNER {
                return Err(row.damage("there is one row only"));
            }
            webhooks.position = row.position;
        }
        for row in rows.of::<PartnerWebhookRow<'_>>() {
            let row = row?;
            webhooks.hooks.insert(row.partner_id.clone(), Arc::new(Hook::from_row(&row)?));
        }
        Ok(webhooks)
    }
}

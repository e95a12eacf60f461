//! Checks first, then the change.

use std::sync::Arc;

use super::{
    Call, Change, Command, ENTITY, Endpoint, Event, GONE, Hook, Outcome, Previous, RECENT_MAX, RETRY_SECONDS,
    ROTATION_SECONDS, Standing, Take, Then, URL_LEN_MAX, WebhookChange, Webhooks, Write,
};
use crate::ids::PartnerCode;
use crate::machine::{Machine, Room};
use crate::register::{Action, Audit};
use crate::rejection::{Rejection, ensure};
use crate::row::Rows;
use crate::time::Timestamp;

impl Machine for Webhooks {
    type Command = Command;
    type Event = Change;

    /// What is taken at once may be hundreds of events, and a machine is a map of shared hooks.
    const ROOM: Room = Room::Exact;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Change>, Rejection> {
        match command {
            // A stretch that begins elsewhere has its numbers already, or would leave a gap (rule 16).
            Command::Take(take) => {
                let fits = take.after == self.position && take.up_to > self.position;
                Ok(fits.then(|| Change::Taken { take: take.clone(), at: now }).into_iter().collect())
            }
            Command::Write(write) => Ok(self.write(write, now)?.into_iter().collect()),
            Command::Called { partner, call } => {
                let hook = self.hook(partner).ok_or_else(|| no_webhook(partner))?;
                let then = hook.follows(call, now);
                Ok(vec![Change::Called { partner: partner.clone(), call: *call, at: now, then }])
            }
        }
    }

    fn apply(&mut self, changes: &[Change], version: u64) -> Rows {
        let mut rows = Rows::default();
        for change in changes {
            self.evolve(change);
            super::rows::put(self, change, version, &mut rows);
        }
        rows
    }
}

impl Webhooks {
    fn write(&self, write: &Write, now: Timestamp) -> Result<Option<Change>, Rejection> {
        let partner = write.partner.clone();
        let hook = self.hook(&partner).map(|hook| &**hook);
        let endpoint = hook.and_then(Hook::endpoint);
        let audit = |action, before: Option<Arc<str>>, after: Option<Arc<str>>| {
            let (account, id) = (Arc::clone(&write.by), write.partner.to_string());
            Box::new(Audit { at: now, account, entity: ENTITY, id, revision: None, action, before, after })
        };
        match &write.change {
            WebhookChange::Put { url, enabled, fresh } => {
                ensure(url.len() <= URL_LEN_MAX, "url", format!("has at most {URL_LEN_MAX} bytes"))?;
                let standing = if *enabled { Standing::Enabled } else { Standing::Disabled };
                let (secret, previous) = match endpoint {
                    Some(known) => (known.secret.clone(), known.previous.clone()),
                    None => (fresh.clone(), None),
                };
                let put = Endpoint { url: Arc::clone(url), standing, secret, previous };
                // One that has disabled itself stays so for somebody who wants it disabled.
                let is_so =
                    |known: &Endpoint| known.url == put.url && (known.standing == Standing::Enabled) == *enabled;
                if endpoint.is_some_and(is_so) {
                    return Ok(None);
                }
                let audit = audit(Action::Put, endpoint.map(audited), Some(audited(&put)));
                Ok(Some(Change::EndpointPut { partner, endpoint: put, at: now, audit }))
            }
            WebhookChange::NewSecret { fresh } => {
                endpoint.ok_or_else(|| no_webhook(&partner))?;
                let (secret, until) = (fresh.clone(), now.plus_seconds(ROTATION_SECONDS));
                Ok(Some(Change::SecretReplaced { partner, secret, until, audit: audit(Action::Secret, None, None) }))
            }
            WebhookChange::Replay { from } => {
                let hook = hook.filter(|hook| hook.endpoint.is_some()).ok_or_else(|| no_webhook(&partner))?;
                let range = format!("is a number from 1 to {}", hook.last + 1);
                ensure((1..=hook.last + 1).contains(from), "fromSequence", range)?;
                let said = |number| Some(format!(r#"{{"fromSequence":{number}}}"#).into());
                let audit = audit(Action::Replay, said(hook.next()), said(*from));
                Ok(Some(Change::ReplayBegun { partner, from: *from, at: now, audit }))
            }
        }
    }

    fn evolve(&mut self, change: &Change) {
        match change {
            Change::Taken { take: Take { up_to, events, .. }, at } => {
                self.position = *up_to;
                for (partner, event) in events {
                    self.hook_mut(partner).number(event, *at);
                }
            }
            Change::EndpointPut { partner, endpoint, at, .. } => {
                let hook = self.hook_mut(partner);
                if hook.endpoint.is_none() {
                    hook.told = hook.last;
                }
                hook.endpoint = Some(endpoint.clone());
                hook.begin_anew(*at);
            }
            Change::SecretReplaced { partner, secret, until, .. } => {
                if let Some(endpoint) = &mut self.hook_mut(partner).endpoint {
                    let secret = std::mem::replace(&mut endpoint.secret, secret.clone());
                    endpoint.previous = Some(Previous { secret, until: *until });
                }
            }
            Change::ReplayBegun { partner, from, at, .. } => {
                let hook = self.hook_mut(partner);
                hook.told = from.saturating_sub(1);
                hook.forget_told();
                hook.begin_anew(*at);
            }
            Change::Called { partner, at, then, .. } => self.hook_mut(partner).called(*then, *at),
        }
    }

    fn hook_mut(&mut self, partner: &PartnerCode) -> &mut Hook {
        Arc::make_mut(self.hooks.entry(partner.clone()).or_default())
    }
}

impl Hook {
    /// What follows from a call.
    fn follows(&self, call: &Call, now: Timestamp) -> Then {
        let is_due = self.due().is_some_and(|due| due.sequence == call.sequence && due.revision == call.revision);
        match call.outcome {
            Outcome::Answered(_) | Outcome::Failed(_) if !is_due => Then::Nothing,
            Outcome::Answered(200..=299) => Then::Next,
            Outcome::Answered(GONE) => Then::End(Standing::Gone),
            Outcome::Answered(_) | Outcome::Failed(_) => {
                let pause = usize::try_from(self.failures).ok().and_then(|failures| RETRY_SECONDS.get(failures));
                pause.map_or(Then::End(Standing::Exhausted), |pause| Then::Again(now.plus_seconds((*pause).into())))
            }
        }
    }

    fn number(&mut self, event: &Arc<Event>, at: Timestamp) {
        if !self.waits() {
            self.due_at = at;
        }
        self.last += 1;
        if self.endpoint.is_none() {
            self.told = self.last;
        } else if self.is_enabled() {
            self.recent.push_back(Arc::clone(event));
            if self.recent.len() > RECENT_MAX {
                self.recent.pop_front();
            }
        }
    }

    /// Whatever failed before is forgotten: what waits is called out at once, if anybody wants it.
    fn begin_anew(&mut self, at: Timestamp) {
        self.revision += 1;
        self.failures = 0;
        self.due_at = at;
        if !self.is_enabled() {
            // Those that come meanwhile are not kept in memory: what is there has to end with the newest.
            self.recent.clear();
        }
    }

    fn called(&mut self, then: Then, at: Timestamp) {
        self.attempts += 1;
        match then {
            Then::Nothing => {}
            Then::Next => {
                self.told += 1;
                self.failures = 0;
                self.due_at = at;
                self.forget_told();
            }
            Then::Again(due_at) => {
                self.failures += 1;
                self.due_at = due_at;
            }
            Then::End(standing) => {
                if let Some(endpoint) = &mut self.endpoint {
                    endpoint.standing = standing;
                }
                self.begin_anew(at);
            }
        }
    }

    fn forget_told(&mut self) {
        while self.first_recent().is_some_and(|first| first <= self.told) {
            self.recent.pop_front();
        }
    }
}

fn no_webhook(partner: &PartnerCode) -> Rejection {
    Rejection::NotConfigured { entity: ENTITY, id: partner.to_string() }
}

/// What the audit says of an endpoint: where it is, and nothing that could be a secret. More people read audits than
/// endpoints.
fn audited(endpoint: &Endpoint) -> Arc<str> {
    let Endpoint { url, standing, .. } = endpoint;
    serde_json::json!({ "site": site(url), "standing": standing.code() }).to_string().into()
}

/// Scheme, host and port of a URL.
fn site(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

//! What partners are told of, in the order in which it happened, until they have heard it (R-OTA-09).
//!
//! Every event of a partner has a number, from 1 without gaps. They are delivered one after the other: the next one is
//! called out when the one before was answered with 2xx. What fails is called again after the pauses of
//! [`RETRY_SECONDS`]; after the last of them, or an answer 410, the endpoint is disabled and nothing is skipped: enabled
//! again it goes on where it stood. Which event is next, and when, is a partner's row; a call under way is nobody's, so
//! after a crash it is called again.
//!
//! An event's content is a row that is written once. Memory has the newest of those that wait, so that Postgres is not
//! asked while a partner keeps up; whoever is further behind, or has events replayed, is served from the rows.
//!
//! Absent on purpose: which announcement is whose event (whoever follows), sealing and signing ([`signature`]; whoever
//! sends), and who is a partner (configuration).

mod decide;
mod event;
pub mod rows;
pub mod signature;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ids::{PartnerCode, codes};
use crate::register::Audit;
use crate::sealing::SealedSecret;
use crate::time::Timestamp;

pub use event::{Event, EventKind, Numbered};

/// Who owns all of it, in records and in the audit.
pub const OWNER: &str = "webhooks";

/// What the audit calls a partner's webhook.
pub const ENTITY: &str = "webhook";

/// Longest URL of an endpoint, in bytes: what browsers and proxies take.
pub const URL_LEN_MAX: usize = 2_000;

/// From a failed attempt to the next one, in seconds: 5 s, 1 min, 5 min, 30 min, 2 h, 6 h, 12 h, then every day, until a
/// receiver was away for five days. The attempt after the last pause is the last one.
pub const RETRY_SECONDS: [u32; 11] = [5, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400, 86_400, 86_400];

/// While a secret rotates, messages are signed with the old one, too, for so long: a receiver has a day to take the new one.
pub const ROTATION_SECONDS: i64 = 24 * 60 * 60;

/// Events of one partner that wait in memory, at about 150 bytes each. A partner that answers in 100 ms has seen them
/// within half a minute; whoever is further behind is served from Postgres.
pub const RECENT_MAX: usize = 256;

/// The answer by which a receiver says that it wants nothing any more (Standard Webhooks).
const GONE: u16 = 410;

/// Whether an endpoint is told anything, and if not, why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    Enabled,
    /// By an administrator.
    Disabled,
    /// It answered 410.
    Gone,
    /// It took none of the attempts that an event has.
    Exhausted,
}

codes!(Standing, "standing of a webhook":
    Enabled = "enabled",
    Disabled = "disabled",
    Gone = "gone",
    Exhausted = "exhausted",
);

/// The secret before the newest one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Previous {
    pub secret: SealedSecret,
    pub until: Timestamp,
}

/// Where a partner wants to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Partners may have put a secret of theirs into it: it is in no log.
    pub url: Arc<str>,
    pub standing: Standing,
    pub secret: SealedSecret,
    pub previous: Option<Previous>,
}

impl Endpoint {
    /// Those that sign, and are believed, the newest first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &SealedSecret> {
        let previous = self.previous.as_ref().filter(|previous| now < previous.until);
        [&self.secret].into_iter().chain(previous.map(|previous| &previous.secret))
    }
}

/// What a partner was and will be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hook {
    endpoint: Option<Endpoint>,
    /// Number of the newest event; 0: there is none.
    last: u64,
    /// Up to here nothing is left to be told: it was answered, or a replay began behind it, or nobody wanted it then.
    told: u64,
    /// Attempts of the event after `told` that have failed.
    failures: u32,
    /// When that event is called out, if there is one.
    due_at: Timestamp,
    /// Entries of the delivery log.
    attempts: u64,
    /// Rises when the endpoint or what is next changes otherwise than by an attempt: attempts of before are told apart.
    revision: u32,
    /// The newest events that wait, up to and with the last one.
    recent: VecDeque<Arc<Event>>,
}

/// What is to be called out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    pub sequence: u64,
    pub at: Timestamp,
    pub revision: u32,
    /// `None`: its row has it.
    pub event: Option<Arc<Event>>,
}

impl Hook {
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Number of the newest event; 0: there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Number of the event that is told next; one more than [`Hook::last`] when none waits.
    pub fn next(&self) -> u64 {
        self.told + 1
    }

    /// Attempts of the next event that have failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn is_enabled(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.standing == Standing::Enabled)
    }

    fn waits(&self) -> bool {
        self.told < self.last
    }

    /// What is to be called out, now or later. `None`: nothing, or nobody wants it.
    pub fn due(&self) -> Option<Due> {
        let sequence = self.next();
        let event = self.first_recent().and_then(|first| usize::try_from(sequence.checked_sub(first)?).ok());
        let event = event.and_then(|place| self.recent.get(place)).cloned();
        let due = Due { sequence, at: self.due_at, revision: self.revision, event };
        (self.is_enabled() && self.waits()).then_some(due)
    }

    /// Number of the first event in memory.
    fn first_recent(&self) -> Option<u64> {
        let count = self.recent.len() as u64;
        (count > 0).then(|| self.last.saturating_sub(count) + 1)
    }
}

/// What became of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The receiver answered with this status. 2xx: it has heard.
    Answered(u16),
    Failed(CallError),
}

impl Outcome {
    /// For metrics: the class of the status, or the error.
    pub const fn class(self) -> &'static str {
        match self {
            Outcome::Answered(200..=299) => "2xx",
            Outcome::Answered(300..=399) => "3xx",
            Outcome::Answered(400..=499) => "4xx",
            Outcome::Answered(_) => "5xx",
            Outcome::Failed(error) => error.code(),
        }
    }
}

/// Why there was no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallError {
    /// Not in time.
    Timeout,
    /// The host has no address, or none that may be called.
    Address,
    /// Nobody there, or no TLS with a certificate that is believed.
    Connection,
    /// The connection broke, or what came is no HTTP.
    Broken,
    /// Ours: the secret does not open, or the URL cannot be called.
    Unsendable,
}

codes!(CallError, "error of a call":
    Timeout = "timeout",
    Address = "address",
    Connection = "connection",
    Broken = "broken",
    Unsendable = "unsendable",
);

/// One call, as it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    pub sequence: u64,
    /// As it stood in [`Due`].
    pub revision: u32,
    pub outcome: Outcome,
    pub took_ms: u32,
}

/// A stretch of the journal is followed: these are all events of partners behind `after`, up to and with `up_to`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Take {
    pub after: u64,
    pub up_to: u64,
    pub events: Vec<(PartnerCode, Arc<Event>)>,
}

/// An administrator's write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    pub partner: PartnerCode,
    pub change: WebhookChange,
    /// The account.
    pub by: Arc<str>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WebhookChange {
    /// `fresh` becomes the secret if there is none yet. A first endpoint is told what happens from then on, another URL and
    /// one that is enabled again whatever waits, at once.
    Put { url: Arc<str>, enabled: bool, fresh: SealedSecret },
    /// Another secret. The one before signs for [`ROTATION_SECONDS`] more, one before that no longer.
    NewSecret { fresh: SealedSecret },
    /// Whatever has this number or a higher one is told, again or at last; what is lower and waits is not.
    Replay { from: u64 },
}

/// What can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Take(Take),
    Write(Write),
    /// A call has ended. One that was begun before the last write is logged, and changes nothing else.
    Called {
        partner: PartnerCode,
        call: Call,
    },
}

/// What follows from a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Something else is due meanwhile.
    Nothing,
    /// The next one.
    Next,
    /// The same again, then.
    Again(Timestamp),
    /// The endpoint is disabled.
    End(Standing),
}

/// What has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    Taken { take: Take, at: Timestamp },
    EndpointPut { partner: PartnerCode, endpoint: Endpoint, at: Timestamp, audit: Box<Audit> },
    SecretReplaced { partner: PartnerCode, secret: SealedSecret, until: Timestamp, audit: Box<Audit> },
    ReplayBegun { partner: PartnerCode, from: u64, at: Timestamp, audit: Box<Audit> },
    Called { partner: PartnerCode, call: Call, at: Timestamp, then: Then },
}

/// See the module's documentation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Webhooks {
    /// Of the journal: up to here every event has its number.
    position: u64,
    hooks: BTreeMap<PartnerCode, Arc<Hook>>,
}

impl Webhooks {
    /// Of the journal: up to here every event has its number.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn hook(&self, partner: &PartnerCode) -> Option<&Arc<Hook>> {
        self.hooks.get(partner)
    }

    pub fn hooks(&self) -> impl Iterator<Item = (&PartnerCode, &Arc<Hook>)> {
        self.hooks.iter()
    }

    /// Endpoints that have disabled themselves: somebody has to talk to the partner.
    pub fn ended(&self) -> impl Iterator<Item = &PartnerCode> {
        let has_ended = |hook: &Hook| {
            let standing = hook.endpoint.as_ref().map(|endpoint| endpoint.standing);
            matches!(standing, Some(Standing::Gone | Standing::Exhausted))
        };
        self.hooks.iter().filter(move |(_, hook)| has_ended(hook)).map(|(partner, _)| partner)
    }
}

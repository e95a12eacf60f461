//! What partners are told: one owner for all of them, the follower that gives it what happened (`follow.rs`), and the task
//! that calls receivers out and tells the owner what they said (`send.rs`).
//!
//! One owner, because what follows from a stretch of the journal is one record with the follower's position, whosever
//! events are in it. Partners do not wait for each other: a call is its sender's, and its end one small record.

mod follow;
mod send;

use std::sync::Arc;

use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::webhook::rows::{PartnerWebhookRow, WebhooksFollowedRow};
use deeptravel_domain::webhook::{Change, Command, Hook, OWNER, Standing, Take, Then, WebhookChange, Webhooks, Write};

use crate::ask::{NOT_TOLD_APART, fingerprint_of};
use crate::journal::Position;
use crate::keeper::{Keeping, Shown};
use crate::ports::{Haste, Load, Parameter, Store, StoreError};
use crate::services::Services;

pub(crate) use follow::Numbering;
pub use send::LOAD_EVENT;
pub(crate) use send::{Sender, send};

/// The owner of what partners are told.
#[derive(Debug)]
pub enum Heralded {}

/// How things stand after a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Of the journal: up to here every event of a partner has its number.
    pub position: Position,
    /// Of the partner that the command was about, if it has one.
    pub hook: Option<Arc<Hook>>,
    /// The secret that came with the command is the partner's from now on.
    pub is_fresh: bool,
}

impl Keeping for Heralded {
    type Machine = Webhooks;
    type Answer = Told;

    const KEY: &'static str = OWNER;
    const KIND: &'static str = "webhooks";
    /// Nobody is told what is not durable, and a call that was answered is not made again.
    const SHOWN: Shown = Shown::Durable;
    /// Every record has a row of one of them, so they tell its version, too.
    const LOAD: Load = Load::of_whole(&[PartnerWebhookRow::TABLE, WebhooksFollowedRow::TABLE], &[]);

    fn parameters(_: Timestamp) -> Vec<Parameter> {
        Vec::new()
    }

    fn fingerprint(command: &Command) -> u64 {
        match command {
            Command::Take(Take { after, up_to, .. }) => fingerprint_of((after, up_to)),
            Command::Called { partner, call } => fingerprint_of((partner, call.sequence, call.revision)),
            Command::Write(_) => NOT_TOLD_APART,
        }
    }

    fn read(rows: &Rows, _: Timestamp) -> Result<Webhooks, Damage> {
        Webhooks::from_rows(rows)
    }

    fn begin(services: &Services, webhooks: &Webhooks) {
        services.webhooks.send_replace(Arc::new(webhooks.clone()));
        services.attention.set_webhooks(webhooks.ended().count() as u64);
    }

    fn show(services: &Services, webhooks: &Webhooks, changes: &[Change]) {
        Heralded::begin(services, webhooks);
        for change in changes {
            if let Change::Called { partner, call, then: Then::End(standing), .. } = change {
                let why = match standing {
                    Standing::Gone => "it answered 410",
                    Standing::Exhausted => "it took none of the attempts that an event has",
                    Standing::Enabled | Standing::Disabled => standing.code(),
                };
                tracing::error!(
                    partner.id = %partner, webhook.sequence = call.sequence,
                    "The webhook of partner {partner} is disabled at event {}: {why}", call.sequence
                );
            }
        }
    }

    fn answer(webhooks: &Webhooks, command: &Command, _: &[Change]) -> Result<Told, Rejection> {
        let partner = match command {
            Command::Take(_) => None,
            Command::Write(Write { partner, .. }) | Command::Called { partner, .. } => Some(partner),
        };
        let hook = partner.and_then(|partner| webhooks.hook(partner)).cloned();
        let secret = hook.as_ref().and_then(|hook| Some(&hook.endpoint()?.secret));
        let is_fresh = match command {
            Command::Write(Write { change, .. }) => match change {
                WebhookChange::Put { fresh, .. } | WebhookChange::NewSecret { fresh } => secret == Some(fresh),
                WebhookChange::Replay { .. } => false,
            },
            Command::Take(_) | Command::Called { .. } => false,
        };
        Ok(Told { position: Position(webhooks.position()), hook, is_fresh })
    }
}

/// Up to where it has followed as far as the database knows; without a row it is new.
pub(crate) async fn followed(store: &dyn Store) -> Result<Option<Position>, StoreError> {
    let rows = store.load(Heralded::LOAD, Vec::new(), Haste::Start).await?;
    let webhooks = Webhooks::from_rows(&rows)?;
    Ok(rows.has(WebhooksFollowedRow::TABLE).then(|| Position(webhooks.position())))
}

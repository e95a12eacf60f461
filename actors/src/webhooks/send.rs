//! Calls receivers out: one call per partner at a time, several partners beside each other. What became of a call is told to
//! the owner, and only when it has written that down is the next one made. A call whose end nobody has written down is
//! made again: receivers tell it by its id (at least once).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::webhook::rows::WebhookEventRow;
use deeptravel_domain::webhook::{Call, Command, Due, Hook, Numbered, Webhooks};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::Heralded;
use crate::keeper::{Keeper, Keeping as _, Tell};
use crate::outage::Outage;
use crate::ports::{Haste, Load, Parameter, Statement, StoreError, WebhookMessage, WebhookPost};
use crate::registry::Keys;
use crate::services::Services;

/// Calls at once. Each is a connection that may take its whole time; so many slow receivers there are not, and those that
/// fail leave room by their pauses.
const CALLS_MAX: usize = 64;

/// The clock is looked at again after this long: engine time is not the runtime's.
const LOOK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });

/// Before a partner is looked at again after an outage of ours: its event could not be read, or its end not written down.
const OUTAGE_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 2_000 });

/// One event of a partner.
pub const LOAD_EVENT: Load = Load::of(&[Statement::new("load/webhook_event", WebhookEventRow::TABLE)]);

/// Why a call was not made, or its end not written down.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Owner(#[from] Outage),
    #[error("the event cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("the event's row is not there yet")]
    NotProjected,
    #[error("its end is refused: {0}")]
    Refused(#[from] Rejection),
}

/// What every call needs.
pub(crate) struct Sender {
    pub services: Arc<Services>,
    pub owner: Arc<Keys<Keeper<Heralded>>>,
    pub post: Arc<dyn WebhookPost>,
}

/// Sends what is due for as long as the engine runs. To be spawned on the runtime that waits for the network.
pub(crate) async fn send(sender: Sender) {
    let mut shown = sender.services.webhooks.subscribe();
    let mut calls = Calls { sender: Arc::new(sender), under_way: HashMap::new(), tasks: JoinSet::new() };
    loop {
        let webhooks = Arc::clone(&shown.borrow_and_update());
        calls.begin(&webhooks);
        tokio::select! {
            Some(ended) = calls.tasks.join_next_with_id() => calls.ended(ended),
            changed = shown.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

struct Calls {
    sender: Arc<Sender>,
    /// One for each partner.
    under_way: HashMap<Id, PartnerCode>,
    tasks: JoinSet<()>,
}

impl Calls {
    /// Begins what is due, the longest first.
    fn begin(&mut self, webhooks: &Webhooks) {
        let room = CALLS_MAX.saturating_sub(self.under_way.len());
        let now = self.sender.services.clock.now();
        let mut due: Vec<(&PartnerCode, &Arc<Hook>, Due)> = webhooks
            .hooks()
            .filter_map(|(partner, hook)| Some((partner, hook, hook.due()?)))
            .filter(|(partner, _, due)| due.at <= now && !self.under_way.values().any(|other| other == *partner))
            .collect();
        due.sort_by_key(|(_, _, due)| due.at);
        for (partner, hook, due) in due.into_iter().take(room) {
            let sender = Arc::clone(&self.sender);
            let (partner, hook) = (partner.clone(), Arc::clone(hook));
            let called = partner.clone();
            let task = self.tasks.spawn(async move {
                if let Err(trouble) = sender.call(&called, &hook, due).await {
                    tracing::warn!(partner.id = %called, %trouble, "Partner {called} is called again later: {trouble}");
                    tokio::time::sleep(OUTAGE_PAUSE).await;
                }
            });
            self.under_way.insert(task.id(), partner);
        }
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(
            |error| {
                tracing::error!(%error, "A call of a webhook has broken: {error}");
                error.id()
            },
            |(id, ())| id,
        );
        self.under_way.remove(&id);
    }
}

impl Sender {
    /// Calls one receiver, and has the end written down.
    async fn call(&self, partner: &PartnerCode, hook: &Hook, due: Due) -> Result<(), Trouble> {
        let Due { sequence, revision, .. } = due;
        let numbered = match due.event {
            Some(event) => Numbered { sequence, event },
            None => self.stored(partner, sequence).await?,
        };
        let Some(message) = message(partner, hook, &numbered, self.services.clock.now()) else { return Ok(()) };
        let begun = Instant::now();
        let outcome = self.post.post(&message).await;
        let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        metrics::counter!("webhook_calls_total", "outcome" => outcome.class()).increment(1);

        let call = Call { sequence, revision, outcome, took_ms };
        let told = Tell(Command::Called { partner: partner.clone(), call });
        self.owner.ask(&Heralded::KEY, told).await?.ok_or(Outage::Rebuilding)?.outcome?;
        Ok(())
    }

    /// An event that has left memory.
    async fn stored(&self, partner: &PartnerCode, sequence: u64) -> Result<Numbered, Trouble> {
        let number = Parameter::Number(i64::try_from(sequence).unwrap_or(i64::MAX));
        let parameters = vec![partner.to_string().into(), number];
        let rows: Rows = self.services.store.load(LOAD_EVENT, parameters, Haste::Wake).await?;
        let row: Option<WebhookEventRow<'_>> = rows.of().next().transpose().map_err(StoreError::from)?;
        Ok(row.ok_or(Trouble::NotProjected)?.into())
    }
}

fn message(partner: &PartnerCode, hook: &Hook, numbered: &Numbered, now: Timestamp) -> Option<WebhookMessage> {
    let endpoint = hook.endpoint()?;
    Some(WebhookMessage {
        partner: partner.clone(),
        url: Arc::clone(&endpoint.url),
        secrets: endpoint.secrets(now).cloned().collect(),
        id: numbered.message_id(partner),
        body: numbered.body(),
    })
}

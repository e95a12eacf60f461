//! Partners' receivers in memory: they note what they are told, and answer as a test says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::webhook::{CallError, Outcome};

use crate::ports::{WebhookMessage, WebhookPost};

/// How a receiver takes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reception {
    #[default]
    Good,
    /// Nobody is there.
    Down,
    /// It has heard, and answers once it is another one.
    Slow,
    Answers(u16),
}

#[derive(Debug, Default)]
pub struct MemoryReceivers {
    state: Mutex<State>,
    changed: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct State {
    receptions: BTreeMap<PartnerCode, Reception>,
    /// What arrived, and from whose queue.
    heard: Vec<(PartnerCode, WebhookMessage)>,
}

impl MemoryReceivers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn set(&self, partner: &PartnerCode, reception: Reception) {
        self.state().receptions.insert(partner.clone(), reception);
        self.changed.notify_waiters();
    }

    fn reception(&self, partner: &PartnerCode) -> Reception {
        self.state().receptions.get(partner).copied().unwrap_or_default()
    }

    /// The numbers of the events that a partner was told, as they arrived.
    pub fn heard(&self, partner: &PartnerCode) -> Vec<u64> {
        let number = |message: &WebhookMessage| message.id.rsplit('_').next().unwrap().parse().unwrap();
        self.messages(partner).iter().map(number).collect()
    }

    pub fn messages(&self, partner: &PartnerCode) -> Vec<WebhookMessage> {
        let state = self.state();
        state.heard.iter().filter(|(to, _)| to == partner).map(|(_, message)| message.clone()).collect()
    }
}

#[async_trait]
impl WebhookPost for MemoryReceivers {
    async fn post(&self, message: &WebhookMessage) -> Outcome {
        let partner = &message.partner;
        if self.reception(partner) != Reception::Down {
            self.state().heard.push((partner.clone(), message.clone()));
        }
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Whoever changes it from here on wakes us.
            changed.as_mut().enable();
            match self.reception(partner) {
                Reception::Good => return Outcome::Answered(204),
                Reception::Down => return Outcome::Failed(CallError::Connection),
                Reception::Answers(status) => return Outcome::Answered(status),
                Reception::Slow => changed.await,
            }
        }
    }
}

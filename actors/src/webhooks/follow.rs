//! The follower that finds in the journal what partners are told, and has it numbered.

use std::sync::Arc;

use async_trait::async_trait;
use deeptravel_domain::announcement::AnnouncementRow;
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::webhook::{Command, Event, Take};

use super::Heralded;
use crate::follow::{Announcing, Batch, Failure, Follower};
use crate::journal::Position;
use crate::keeper::{Keeper, Keeping as _, Tell};
use crate::outage::Outage;
use crate::registry::Keys;
use crate::services::Services;

/// Whose events an announcement is, if it is a partner's.
pub type EventsOf = fn(&AnnouncementRow) -> Vec<(PartnerCode, Event)>;

/// See the module's documentation.
#[derive(Debug)]
pub struct Numbering {
    owner: Arc<Keys<Keeper<Heralded>>>,
    events_of: EventsOf,
    /// Where the owner stood when the engine started.
    begun_at: Position,
}

impl Numbering {
    pub(crate) fn new(owner: Arc<Keys<Keeper<Heralded>>>, services: &Services) -> Numbering {
        let begun_at = Position(services.webhooks.borrow().position());
        Numbering { owner, events_of: Event::announced, begun_at }
    }

    /// With other partners than announcements name.
    #[cfg(test)]
    pub(crate) fn of(self, events_of: EventsOf) -> Numbering {
        Numbering { events_of, ..self }
    }

    fn events(&self, records: &[Announcing]) -> Result<Vec<(PartnerCode, Arc<Event>)>, Failure> {
        let mut events = Vec::new();
        for record in records {
            let told = record.rows()?.iter().flat_map(self.events_of);
            events.extend(told.map(|(partner, event)| (partner, Arc::new(event))));
        }
        Ok(events)
    }
}

#[async_trait]
impl Follower for Numbering {
    fn name(&self) -> &'static str {
        Heralded::KEY
    }

    fn position(&self) -> Position {
        self.begun_at
    }

    /// What cannot be read has to be taken, so that it fails there.
    fn follows_from(&self, records: &[Announcing]) -> bool {
        records.iter().any(|record| self.events(std::slice::from_ref(record)).map_or(true, |events| !events.is_empty()))
    }

    async fn take(&mut self, batch: Batch<'_>) -> Result<Position, Failure> {
        let take = Take { after: batch.after.0, up_to: batch.up_to.0, events: self.events(batch.records)? };
        let answer = self.owner.ask(&Heralded::KEY, Tell(Command::Take(take))).await?.ok_or(Outage::Rebuilding)?;
        answer.outcome.map(|told| told.position).map_err(|rejection| Failure::Fault(rejection.to_string()))
    }
}

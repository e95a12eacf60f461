//! What becomes of the keys of partners: who may have how many, and which of them are kept.

use std::sync::Arc;

use super::{Event, Identities, KEYS_MAX, KeyChange, KeyWrite, PartnerKey, REVOKED_MAX, USE_NOTED_EVERY_SECONDS};
use crate::ids::{PartnerCode, PartnerKeyId};
use crate::rejection::{Rejection, ensure};
use crate::time::Timestamp;

impl KeyWrite {
    /// What the key becomes; `None`: it is already so.
    fn outcome(&self, identities: &Identities, now: Timestamp) -> Result<Option<PartnerKey>, Rejection> {
        let known = identities.partner_key(&self.id);
        match self.change {
            KeyChange::Make { secret_hash } => {
                let is_it = |known: &Arc<PartnerKey>| known.partner == self.partner && known.secret_hash == secret_hash;
                if known.is_some_and(is_it) {
                    return Ok(None);
                }
                ensure(known.is_none(), "keyId", "is another key's")?;
                let is_taken = identities.partner_keys().any(|key| key.secret_hash == secret_hash);
                ensure(!is_taken, "key", "is another one's")?;
                let good = identities.keys_of(&self.partner).filter(|key| key.is_good()).count();
                if good >= KEYS_MAX {
                    return Err(Rejection::KeyLimit { limit: KEYS_MAX as u32 });
                }
                Ok(Some(PartnerKey {
                    id: self.id.clone(),
                    partner: self.partner.clone(),
                    secret_hash,
                    created_at: now,
                    last_used_at: None,
                    revoked_at: None,
                }))
            }
            KeyChange::Revoke => {
                let known = known.filter(|known| known.partner == self.partner).ok_or_else(|| self.unknown())?;
                let revoked = || PartnerKey { revoked_at: Some(now), ..PartnerKey::clone(known) };
                Ok(known.is_good().then(revoked))
            }
        }
    }
}

impl Identities {
    pub fn partner_key(&self, id: &PartnerKeyId) -> Option<&Arc<PartnerKey>> {
        self.partner_keys.get(id)
    }

    /// By id; revoked ones too.
    pub fn partner_keys(&self) -> impl Iterator<Item = &Arc<PartnerKey>> {
        self.partner_keys.values()
    }

    fn keys_of(&self, partner: &PartnerCode) -> impl Iterator<Item = &Arc<PartnerKey>> {
        self.partner_keys().filter(move |key| key.partner == *partner)
    }

    /// A refusal is an event too: it leaves an audit entry.
    pub(super) fn write_key(&self, write: &KeyWrite, now: Timestamp) -> Vec<Event> {
        let audited = |refusal| Event::Audited { audit: Box::new(write.audit(now)), refusal };
        match write.outcome(self, now) {
            Ok(None) => vec![],
            Ok(Some(key)) => {
                let forgotten = self.too_old(&key).map(|key| Event::PartnerKeyForgotten(Arc::clone(key)));
                [Event::PartnerKeyPut(Arc::new(key)), audited(None)].into_iter().chain(forgotten).collect()
            }
            Err(refusal) => vec![audited(Some(refusal))],
        }
    }

    /// A key was used; written if that was not done lately.
    pub(super) fn note_key_use(&self, id: &PartnerKeyId, at: Timestamp) -> Vec<Event> {
        let is_news = |key: &&Arc<PartnerKey>| {
            key.last_used_at.is_none_or(|before| before.plus_seconds(USE_NOTED_EVERY_SECONDS) <= at)
        };
        let used = |key: &Arc<PartnerKey>| PartnerKey { last_used_at: Some(at), ..PartnerKey::clone(key) };
        let key = self.partner_key(id).filter(|key| key.is_good()).filter(is_news);
        key.map(|key| Event::PartnerKeyPut(Arc::new(used(key)))).into_iter().collect()
    }

    /// The key that makes way when this one joins the revoked.
    fn too_old(&self, revoked: &PartnerKey) -> Option<&Arc<PartnerKey>> {
        let mut earlier: Vec<_> = self.keys_of(&revoked.partner).filter(|key| !key.is_good()).collect();
        let is_one_more = !revoked.is_good() && earlier.len() >= REVOKED_MAX;
        earlier.sort_unstable_by_key(|key| (key.revoked_at, &key.id));
        earlier.first().copied().filter(|_| is_one_more)
    }

    /// Keys as rows have them: of the revoked ones the newest.
    pub(super) fn keep_keys(&mut self, mut keys: Vec<PartnerKey>) {
        // Good ones last.
        keys.sort_unstable_by_key(|key| (key.is_good(), key.revoked_at, key.id.clone()));
        for key in keys {
            let forgotten = self.too_old(&key).cloned();
            self.evolve(&Event::PartnerKeyPut(Arc::new(key)));
            if let Some(key) = forgotten {
                self.evolve(&Event::PartnerKeyForgotten(key));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Command, KEY_ENTITY};
    use crate::machine::Machine as _;
    use crate::register::Action;
    use crate::testing::Images;

    const T0: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn write(id: &str, change: KeyChange) -> Command {
        let (partner, id) = ("klook".parse().unwrap(), id.parse().unwrap());
        Command::WriteKey(KeyWrite { partner, id, change, by: "admin".into() })
    }

    fn make(id: &str, secret: u8) -> Command {
        write(id, KeyChange::Make { secret_hash: [secret; 32] })
    }

    fn used(id: &str, at: Timestamp) -> Command {
        Command::NoteKeyUse { id: id.parse().unwrap(), at }
    }

    /// The machine together with the newest image of every row.
    #[derive(Default)]
    struct Story {
        identities: Identities,
        rows: Images,
        version: u64,
    }

    impl Story {
        fn tell(&mut self, command: &Command, now: Timestamp) -> Result<bool, Rejection> {
            let events = self.identities.decide(command, now).expect("a refusal is an event");
            self.version += 1;
            self.rows.keep(&self.identities.apply(&events, self.version)).unwrap();
            assert_eq!(Identities::from_rows(&self.rows.all(), now).unwrap(), self.identities);
            self.identities.standing(command, &events).map(|standing| standing.changed)
        }

        fn key(&self, id: &str) -> &PartnerKey {
            self.identities.partner_key(&id.parse().unwrap()).unwrap()
        }
    }

    #[test]
    fn r_ota_01_a_second_key_follows_the_first_and_a_revoked_one_stays_revoked() {
        let mut story = Story::default();
        assert_eq!(story.tell(&make("first", 1), T0), Ok(true));
        assert_eq!(story.tell(&make("first", 1), T0.plus_seconds(1)), Ok(false), "it is already so");
        assert_eq!(story.tell(&make("second", 2), T0.plus_seconds(2)), Ok(true));
        let revoke = write("first", KeyChange::Revoke);
        assert_eq!(story.tell(&revoke, T0.plus_seconds(3)), Ok(true));
        assert_eq!(story.tell(&revoke, T0.plus_seconds(4)), Ok(false), "it is already so");
        assert_eq!(story.key("first").revoked_at, Some(T0.plus_seconds(3)));
        assert_eq!(story.tell(&used("first", T0.plus_seconds(5)), T0.plus_seconds(5)), Ok(false));
        assert_eq!(story.key("first").last_used_at, None, "its last calls were admitted before");
        assert!(story.key("second").is_good());
    }

    #[test]
    fn r_ota_01_what_is_no_key_of_the_partner_is_refused_and_written_down() {
        let mut story = Story::default();
        story.tell(&make("first", 1), T0).unwrap();
        let foreign = |change| {
            let (partner, id) = ("ctrip".parse().unwrap(), "first".parse().unwrap());
            Command::WriteKey(KeyWrite { partner, id, change, by: "admin".into() })
        };
        let code = |told: Result<bool, Rejection>| told.unwrap_err().code();
        assert_eq!(code(story.tell(&foreign(KeyChange::Revoke), T0)), "NOT_CONFIGURED");
        assert_eq!(code(story.tell(&write("no", KeyChange::Revoke), T0)), "NOT_CONFIGURED");
        assert_eq!(code(story.tell(&make("first", 2), T0)), "VALIDATION_ERROR");
        assert_eq!(code(story.tell(&make("again", 1), T0)), "VALIDATION_ERROR", "one text is one key");
        let events = story.identities.decide(&foreign(KeyChange::Revoke), T0).unwrap();
        let [Event::Audited { audit, refusal: Some(_) }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((audit.entity, &*audit.id, audit.action), (KEY_ENTITY, "first", Action::Withdraw));
        assert!(story.key("first").is_good());
    }

    #[test]
    fn r_ota_01_a_partner_has_so_many_keys_and_of_revoked_ones_the_newest_are_kept() {
        let mut story = Story::default();
        let id = |number: usize| format!("key-{number:04}");
        for number in 0..KEYS_MAX {
            story.tell(&make(&id(number), number as u8), T0).unwrap();
        }
        assert_eq!(story.tell(&make("one-more", 255), T0), Err(Rejection::KeyLimit { limit: KEYS_MAX as u32 }));
        for number in KEYS_MAX..KEYS_MAX + REVOKED_MAX + 2 {
            let now = T0.plus_seconds(number as i64);
            story.tell(&write(&id(number - KEYS_MAX), KeyChange::Revoke), now).unwrap();
            story.tell(&make(&id(number), number as u8), now).unwrap();
        }
        assert_eq!(story.identities.partner_keys().count(), KEYS_MAX + REVOKED_MAX);
        assert!(story.identities.partner_key(&id(1).parse().unwrap()).is_none(), "the oldest");
        assert!(story.identities.partner_key(&id(2).parse().unwrap()).is_some());
    }

    #[test]
    fn r_ota_01_when_a_key_was_used_is_written_once_an_hour() {
        let mut story = Story::default();
        story.tell(&make("first", 1), T0).unwrap();
        let mut use_at = |seconds| {
            let at = T0.plus_seconds(seconds);
            story.tell(&used("first", at), at).unwrap()
        };
        assert_eq!([use_at(1), use_at(2), use_at(3_600), use_at(3_601)], [true, false, false, true]);
        assert_eq!(story.key("first").last_used_at, Some(T0.plus_seconds(3_601)));
    }
}

//! Stories of one partner's events, with the clock in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rows::{WebhookDeliveryRow, WebhookEventRow};
use super::*;
use crate::machine::Machine as _;
use crate::register::{Action, AuditRow};
use crate::rejection::Rejection;
use crate::row::{Row as _, Rows};

const NOON: Timestamp = Timestamp::from_ms(1_764_000_000_000);

fn partner(name: &str) -> PartnerCode {
    name.parse().unwrap()
}

fn a() -> PartnerCode {
    partner("partner-a")
}

fn secret(byte: u8) -> SealedSecret {
    SealedSecret { key_version: 1, ciphertext: [byte; 8].into() }
}

fn event(subject: u64) -> Arc<Event> {
    let (kind, subject) = (EventKind::TicketActivated, subject.to_string().into());
    Arc::new(Event { kind, subject, order: None, ticket: None, count: None, at: NOON })
}

/// The machine, what it has left in its rows, and a clock that is moved by hand.
struct Desk {
    webhooks: Webhooks,
    rows: Rows,
    events: BTreeMap<(PartnerCode, u64), Box<str>>,
    version: u64,
    now: Timestamp,
}

impl Desk {
    fn new() -> Desk {
        let (webhooks, rows, events) = (Webhooks::default(), Rows::default(), BTreeMap::new());
        Desk { webhooks, rows, events, version: 0, now: NOON }
    }

    fn tell(&mut self, command: &Command) -> Result<Rows, Rejection> {
        let changes = self.webhooks.decide(command, self.now)?;
        if changes.is_empty() {
            return Ok(Rows::default());
        }
        self.version += 1;
        let rows = self.webhooks.apply(&changes, self.version);
        assert!(!rows.is_empty(), "whatever changes is written");
        for row in rows.of::<WebhookEventRow<'_>>() {
            let row = row.unwrap();
            let known = self.events.insert((row.partner_id.clone(), row.sequence), row.subject.into());
            assert_eq!(known, None, "a number is given once");
        }
        self.rows.extend(&rows);
        self.comes_back_from_its_rows();
        Ok(rows)
    }

    /// Rows say everything but what is in memory for speed.
    fn comes_back_from_its_rows(&self) {
        let read = Webhooks::from_rows(&self.rows).unwrap();
        assert_eq!(read.position, self.webhooks.position);
        for (partner, hook) in &self.webhooks.hooks {
            let without_events = Hook { recent: VecDeque::new(), ..Hook::clone(hook) };
            assert_eq!(**read.hook(partner).unwrap(), without_events, "{partner}");
        }
    }

    /// The process ends and starts again.
    fn restart(&mut self) {
        self.webhooks = Webhooks::from_rows(&self.rows).unwrap();
    }

    fn happens(&mut self, events: &[(PartnerCode, u64)]) -> Rows {
        let after = self.webhooks.position();
        let events = events.iter().map(|(partner, subject)| (partner.clone(), event(*subject))).collect();
        self.tell(&Command::Take(Take { after, up_to: after + 10, events })).unwrap()
    }

    fn write(&mut self, change: WebhookChange) -> Result<Rows, Rejection> {
        self.tell(&Command::Write(Write { partner: a(), change, by: "admin".into() }))
    }

    fn put(&mut self, url: &str, enabled: bool) -> Rows {
        self.write(WebhookChange::Put { url: url.into(), enabled, fresh: secret(1) }).unwrap()
    }

    fn due(&self) -> Option<Due> {
        self.webhooks.hook(&a())?.due()
    }

    /// Calls what is due out, at its time; its number.
    fn call(&mut self, outcome: Outcome) -> u64 {
        let due = self.due().expect("something is due");
        self.now = self.now.max(due.at);
        self.ends(&due, outcome);
        due.sequence
    }

    fn ends(&mut self, due: &Due, outcome: Outcome) -> Rows {
        let call = Call { sequence: due.sequence, revision: due.revision, outcome, took_ms: 5 };
        self.tell(&Command::Called { partner: a(), call }).unwrap()
    }

    fn standing(&self) -> Standing {
        self.webhooks.hook(&a()).unwrap().endpoint().unwrap().standing
    }
}

const OK: Outcome = Outcome::Answered(204);
const DOWN: Outcome = Outcome::Failed(CallError::Connection);

#[test]
fn r_ota_09_events_are_numbered_per_partner_and_told_in_order() {
    let mut desk = Desk::new();
    desk.happens(&[(a(), 1), (partner("b"), 2)]);
    assert_eq!(desk.due(), None, "nobody wants to know");
    desk.put("https://a.example/hook", true);
    assert_eq!(desk.due(), None, "what happened before is not told by itself");
    desk.happens(&[(a(), 3), (partner("b"), 4), (a(), 5)]);

    assert_eq!((desk.call(OK), desk.call(OK)), (2, 3));
    assert_eq!(desk.due(), None);
    let told: Vec<(&PartnerCode, u64, &str)> =
        desk.events.iter().map(|((partner, number), subject)| (partner, *number, &**subject)).collect();
    let b = partner("b");
    assert_eq!(told, [(&b, 1, "2"), (&b, 2, "4"), (&a(), 1, "1"), (&a(), 2, "3"), (&a(), 3, "5")]);
}

#[test]
fn rule_16_a_stretch_of_the_journal_is_numbered_once_however_often_it_is_handed_over() {
    let mut desk = Desk::new();
    desk.put("https://a.example/hook", true);
    let take = |after, up_to| Command::Take(Take { after, up_to, events: vec![(a(), event(1))] });
    desk.tell(&take(0, 10)).unwrap();
    for again in [take(0, 10), take(5, 20), take(11, 20)] {
        assert!(desk.tell(&again).unwrap().is_empty());
    }
    assert_eq!(desk.webhooks.hook(&a()).unwrap().last(), 1);
    assert!(!desk.tell(&Command::Take(Take { after: 10, up_to: 90, events: vec![] })).unwrap().is_empty());
    assert_eq!(desk.webhooks.position(), 90, "a position moves by itself, too");
}

#[test]
fn r_ota_09_what_fails_is_called_again_for_five_days_and_then_the_endpoint_is_disabled_and_nothing_skipped() {
    let mut desk = Desk::new();
    desk.put("https://a.example/hook", true);
    desk.happens(&[(a(), 1), (a(), 2)]);
    let mut pauses = Vec::new();
    for failed in [DOWN, Outcome::Answered(500), Outcome::Answered(302), Outcome::Failed(CallError::Timeout)] {
        assert_eq!(desk.call(failed), 1, "the second waits for the first");
        pauses.push(desk.due().unwrap().at.ms_since(desk.now) / 1000);
    }
    assert_eq!(pauses, [5, 60, 300, 1_800]);
    desk.restart();
    while desk.standing() == Standing::Enabled {
        assert_eq!(desk.call(DOWN), 1);
    }

    let hours = desk.now.ms_since(NOON) / 3_600_000;
    assert_eq!(desk.standing(), Standing::Exhausted);
    assert!((110..=120).contains(&hours), "{hours} hours");
    assert_eq!(desk.webhooks.hook(&a()).unwrap().attempts, RETRY_SECONDS.len() as u64 + 1);
    assert_eq!(desk.webhooks.ended().collect::<Vec<_>>(), [&a()]);
    desk.happens(&[(a(), 3)]);
    assert_eq!(desk.due(), None);
    desk.put("https://a.example/hook", true);
    assert_eq!((desk.call(OK), desk.call(DOWN), desk.call(OK), desk.call(OK)), (1, 2, 2, 3));
    assert_eq!(desk.webhooks.ended().count(), 0);
}

#[test]
fn r_ota_09_an_answer_410_disables_at_once() {
    let mut desk = Desk::new();
    desk.put("https://a.example/hook", true);
    desk.happens(&[(a(), 1)]);
    desk.call(Outcome::Answered(410));
    assert_eq!((desk.standing(), desk.due()), (Standing::Gone, None));
    assert!(desk.put("https://a.example/hook", false).is_empty(), "it is disabled");
    desk.put("https://a.example/hook", true);
    assert_eq!(desk.call(OK), 1);
}

#[test]
fn r_ota_09_a_call_that_nobody_heard_the_end_of_is_made_again() {
    let mut desk = Desk::new();
    desk.put("https://a.example/hook", true);
    desk.happens(&[(a(), 1)]);
    let before = desk.due().unwrap();
    assert!(before.event.is_some());
    desk.restart();
    let after = desk.due().unwrap();
    assert_eq!(after, Due { event: None, ..before }, "the same again, from its row");
}

#[test]
fn r_ota_09_replay_tells_again_from_a_number_on_and_may_pass_what_waits() {
    let mut desk = Desk::new();
    desk.put("https://a.example/hook", true);
    desk.happens(&[(a(), 1), (a(), 2), (a(), 3)]);
    assert_eq!((desk.call(OK), desk.call(OK)), (1, 2));
    let replay = |desk: &mut Desk, from| desk.write(WebhookChange::Replay { from });
    replay(&mut desk, 2).unwrap();
    let due = desk.due().unwrap();
    assert_eq!((due.sequence, due.event), (2, None), "what was told is in its row only");
    assert_eq!((desk.call(OK), desk.call(OK)), (2, 3));

    desk.happens(&[(a(), 4), (a(), 5)]);
    desk.call(DOWN);
    replay(&mut desk, 5).unwrap();
    let due = desk.due().unwrap();
    assert_eq!((due.sequence, due.at), (5, desk.now), "4 is passed, and nothing has failed yet");
    assert_eq!(due.event, Some(event(5)));
    replay(&mut desk, 6).unwrap();
    assert_eq!(desk.due(), None);
    for from in [0, 7] {
        let refused = replay(&mut desk, from).unwrap_err();
        assert!(matches!(&refused, Rejection::Field { field, .. } if field == "fromSequence"), "{refused}");
    }
}

#[test]
fn r_ota_09_a_call_that_was_begun_before_a_write_is_logged_and_decides_nothing() {
    let mut desk = Desk::new();
    desk.put("https://a.example/hook", true);
    desk.happens(&[(a(), 1), (a(), 2)]);
    for write in [
        WebhookChange::Replay { from: 1 },
        WebhookChange::Put { url: "https://new.example/".into(), enabled: true, fresh: secret(9) },
        WebhookChange::Put { url: "https://new.example/".into(), enabled: false, fresh: secret(9) },
    ] {
        let due = desk.due().unwrap();
        desk.write(write).unwrap();
        let (before, ended) = (desk.due(), desk.ends(&due, Outcome::Answered(410)));
        assert_eq!(desk.due(), before);
        let logged: WebhookDeliveryRow = ended.only().unwrap();
        assert_eq!((logged.sequence, logged.status, logged.error), (1, Some(410), None));
    }
    assert_eq!(desk.standing(), Standing::Disabled);
}

#[test]
fn r_ota_09_a_new_secret_signs_at_once_and_the_one_before_for_a_day() {
    let mut desk = Desk::new();
    let absent = desk.write(WebhookChange::NewSecret { fresh: secret(2) }).unwrap_err();
    assert!(matches!(absent, Rejection::NotConfigured { .. }));
    desk.put("https://a.example/hook", true);
    desk.write(WebhookChange::NewSecret { fresh: secret(2) }).unwrap();
    let hook = Arc::clone(desk.webhooks.hook(&a()).unwrap());
    let valid = |now| hook.endpoint().unwrap().secrets(now).cloned().collect::<Vec<_>>();
    assert_eq!(valid(NOON.plus_seconds(ROTATION_SECONDS - 1)), [secret(2), secret(1)]);
    assert_eq!(valid(NOON.plus_seconds(ROTATION_SECONDS)), [secret(2)]);
    desk.put("https://other.example/", true);
    let endpoint = desk.webhooks.hook(&a()).unwrap().endpoint().unwrap();
    assert_eq!(endpoint.secret, secret(2), "another address keeps it");
}

#[test]
fn r_ota_09_a_write_is_in_the_audit_without_the_secret_and_the_same_again_is_none() {
    let mut desk = Desk::new();
    let rows = desk.put("https://a.example/hook", true);
    let audit: AuditRow<'_> = rows.only().unwrap();
    assert_eq!((audit.action, audit.account, audit.entity_id), (Action::Put, "admin", "partner-a"));
    assert_eq!(audit.after, Some(r#"{"site":"https://a.example","standing":"enabled"}"#));
    assert!(desk.put("https://a.example/hook", true).is_empty());
    let rows = desk.write(WebhookChange::NewSecret { fresh: secret(2) }).unwrap();
    let audit: AuditRow<'_> = rows.only().unwrap();
    assert_eq!((audit.action, audit.before, audit.after), (Action::Secret, None, None));
}

#[test]
fn r_ota_09_memory_has_the_newest_events_that_wait_and_rows_have_the_others() {
    let mut desk = Desk::new();
    desk.put("https://a.example/hook", true);
    let count = RECENT_MAX as u64 + 10;
    let events: Vec<_> = (1..=count).map(|subject| (a(), subject)).collect();
    desk.happens(&events);
    for sequence in 1..=count {
        let due = desk.due().unwrap();
        assert_eq!(due.event, (sequence > 10).then(|| event(sequence)), "{sequence}");
        assert_eq!(desk.call(OK), sequence);
    }
    assert!(desk.webhooks.hook(&a()).unwrap().recent.is_empty());
    desk.put("https://a.example/hook", false);
    desk.happens(&events);
    assert!(desk.webhooks.hook(&a()).unwrap().recent.is_empty(), "nobody is told");
    desk.put("https://a.example/hook", true);
    desk.happens(&[(a(), 7)]);
    assert_eq!(desk.due().unwrap().event, None);
    assert_eq!(WebhookEventRow::TABLE.name, "webhook_events");
}

//! Webhooks (R-OTA-09): what a start reads, an event that has left memory, and the log that people page through.

use std::sync::Arc;

use deeptravel_actors::loads::{WEBHOOK_EVENT, WEBHOOKS};
use deeptravel_actors::ports::{Haste, Parameter};
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::sealing::SealedSecret;
use deeptravel_domain::webhook::rows::WebhookEventRow;
use deeptravel_domain::webhook::{
    Call, CallError, Command, Event, EventKind, Numbered, Outcome, Take, WebhookChange, Webhooks, Write,
};

use crate::support::*;

fn secret(byte: u8) -> SealedSecret {
    SealedSecret { key_version: 1, ciphertext: [byte; 61].into() }
}

#[test]
fn r_ota_09_what_partners_are_told_comes_back_from_postgres() {
    let stand = Stand::new();
    let (a, b) = (PartnerCode::constant("partner-a"), PartnerCode::constant("partner.b"));
    let mut webhooks = Webhooks::default();
    let kind = EventKind::BatchExpired;
    let event = |subject: &str| {
        let subject = subject.into();
        Arc::new(Event { kind, subject, order: None, ticket: None, count: Some(7), at: NOW })
    };
    let events = vec![(a.clone(), event("MAY-1")), (b.clone(), event("OTHER")), (a.clone(), event("MAY-2"))];
    let write = |change| Command::Write(Write { partner: a.clone(), change, by: "admin".into() });
    let url = "https://a.example/hook".into();
    let call = |outcome| {
        // An endpoint that was put.
        let call = Call { sequence: 1, revision: 1, outcome, took_ms: 90 };
        Command::Called { partner: a.clone(), call }
    };
    let commands = [
        write(WebhookChange::Put { url, enabled: true, fresh: secret(1) }),
        write(WebhookChange::NewSecret { fresh: secret(2) }),
        Command::Take(Take { after: 0, up_to: 900, events }),
        call(Outcome::Failed(CallError::Timeout)),
        call(Outcome::Answered(503)),
    ];
    for (command, version) in commands.iter().zip(1..) {
        let changes = webhooks.decide(command, NOW).unwrap();
        stand.project(&webhooks.apply(&changes, version)).unwrap();
    }

    let rows = stand.load(WEBHOOKS, Vec::new(), Haste::Start).unwrap();
    let woken = Webhooks::from_rows(&rows).unwrap();
    assert_eq!(woken.position(), 900);
    let (hook, known) = (woken.hook(&a).unwrap(), webhooks.hook(&a).unwrap());
    assert_eq!((hook.endpoint(), hook.last(), hook.next(), hook.failures()), (known.endpoint(), 2, 1, 2));
    assert_eq!(woken.hook(&b), webhooks.hook(&b), "it has said nothing, and has an event");

    let stored = stand.load(WEBHOOK_EVENT, vec![a.to_string().into(), Parameter::Number(2)], Haste::Wake).unwrap();
    let stored: WebhookEventRow<'_> = stored.only().unwrap();
    assert_eq!(Numbered::from(stored), Numbered { sequence: 2, event: event("MAY-2") });

    let page = |before, limit| {
        let read = stand.lists.webhook_deliveries(&a, before, limit);
        let log = stand.runtime.block_on(read).unwrap();
        log.iter().map(|row| (row.number, row.sequence, row.status, row.error)).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 1), [(2, 1, Some(503), None)]);
    assert_eq!(page(Some(2), 9), [(1, 1, None, Some(CallError::Timeout))]);
    assert_eq!(page(Some(1), 9), []);
}

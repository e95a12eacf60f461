//! Batches of partners through Postgres and back, and what partners list of them (R-OTA-08).

use std::time::Instant;

use deeptravel_actors::lists::{BatchFilter, Listed, NumberedPage};
use deeptravel_actors::loads;
use deeptravel_actors::ports::Haste;
use deeptravel_domain::batch::{Batch, BatchId, BatchState, BatchWish, Became, Command, Distribution, Reseller};
use deeptravel_domain::catalogue::{self, Catalogue, Template};
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::money::Currency;
use deeptravel_domain::row::Rows;
use deeptravel_domain::time::Timestamp;
use serde_json::json;

use crate::support::*;

const EVERYTHING: NumberedPage = NumberedPage { number: 1, limit: 1_000 };

fn catalogue() -> Catalogue {
    let said = json!({
        "name": { "zh": "尊享套票", "en": "Premium" }, "status": "active", "productId": 106,
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1,
            "redemptionChannel": "any", "requiresIdentity": false, "shared": false,
            "validity": { "kind": "absolute", "from": "2026-11-01", "until": "2027-11-01" },
        }],
        "tiers": [{
            "passengerType": "adult", "minParty": 1, "dayType": "weekday", "price": { "amount": 1, "currency": "CNY" },
        }],
        "blackoutDates": ["2026-12-25"],
    });
    let mut catalogue = Catalogue::new(Currency::Cny);
    let template: Template = serde_json::from_value(said).unwrap();
    let events = catalogue.decide(&catalogue::Command::new(template, "admin"), NOW).unwrap();
    catalogue.apply(&events, 1);
    catalogue
}

fn partner(name: &str) -> PartnerCode {
    name.parse().unwrap()
}

/// A batch whose rows are projected.
struct Stored {
    batch: Batch,
    version: u64,
}

impl Stored {
    fn begun(stand: &Stand, of: &str, number: u64, quantity: u32, at: Timestamp) -> Stored {
        let wish = BatchWish {
            partner: partner(of),
            own_id: format!("B-{number}").parse().unwrap(),
            body_hash: [7; 32],
            product: 106,
            quantity,
            distribution: Distribution::ResellerBatch,
            reseller: Some(Reseller { name: "经销商".into(), purpose: Some("May".into()), note: None }),
            reservation: None,
            expires_at: None,
        };
        let id = BatchId::compose(at, &partner(of), number << 20);
        let mut stored = Stored { batch: Batch::planned(wish.plan(&catalogue(), id, at).unwrap()), version: 0 };
        stored.tell(stand, &Command::Begin, at);
        stored
    }

    fn generated(stand: &Stand, of: &str, number: u64, quantity: u32, at: Timestamp) -> Stored {
        let mut stored = Stored::begun(stand, of, number, quantity, at);
        stored.tell(stand, &Command::UnitsTaken, at);
        stored
    }

    fn tell(&mut self, stand: &Stand, command: &Command, now: Timestamp) {
        let events = self.batch.decide(command, now).unwrap();
        self.version += 1;
        let rows: Rows = self.batch.apply(&events, self.version);
        stand.project(&rows).unwrap();
    }

    /// As its owner reads it.
    fn read(&self, stand: &Stand) -> Vec<(Batch, u64)> {
        let id = vec![self.batch.id().holder()].into();
        Batch::from_rows(&stand.load(loads::BATCH, vec![id], Haste::Wake).unwrap()).unwrap()
    }
}

#[test]
fn r_ota_04_a_batch_comes_back_from_postgres_as_it_was() {
    let stand = Stand::new();
    let mut batches = vec![
        Stored::begun(&stand, "a", 1, 3, NOW),
        Stored::generated(&stand, "a", 2, 5, NOW),
        // Made right after the one that has no tickets yet.
        Stored::generated(&stand, "b", 3, 2, NOW.plus_ms(1)),
    ];
    let ended = NOW.plus_seconds(400 * 24 * 3600);
    for command in [
        Command::Activate { number: 1 },
        Command::Activate { number: 2 },
        Command::Follow([(2, Became::Used)].into()),
        Command::Cancel { number: 5 },
        Command::UnitsReturned { kept: 4 },
    ] {
        batches[1].tell(&stand, &command, NOW);
    }
    batches[2].tell(&stand, &Command::Expire, ended);
    for stored in &batches {
        assert_eq!(stored.read(&stand), [(stored.batch.clone(), stored.version)]);
    }
    let all = Batch::from_rows(&stand.load(loads::BATCHES, vec![], Haste::Start).unwrap()).unwrap();
    assert_eq!(all.len(), 3);
    batches[0].tell(&stand, &Command::UnitsLost, NOW);
    assert_eq!(batches[0].read(&stand), [(batches[0].batch.clone(), 2)]);
    let all = Batch::from_rows(&stand.load(loads::BATCHES, vec![], Haste::Start).unwrap()).unwrap();
    assert_eq!(all.len(), 2, "what was given up is not loaded");
    let number: i32 = stand.ask("SELECT number FROM ota_tickets WHERE status = 'USED'");
    assert_eq!(number, 2);
}

#[test]
fn r_ota_08_a_partner_lists_his_batches_by_status_and_time_and_nobody_elses() {
    let stand = Stand::new();
    let mut first = Stored::generated(&stand, "a", 1, 3, NOW);
    let second = Stored::generated(&stand, "a", 2, 4, NOW.plus_seconds(60));
    Stored::generated(&stand, "b", 3, 5, NOW.plus_seconds(30));
    Stored::begun(&stand, "a", 4, 5, NOW.plus_seconds(90));
    first.tell(&stand, &Command::Cancel { number: 2 }, NOW.plus_seconds(5));
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM ota_tickets WHERE status = 'CANCELLED'"), 1);
    let batches = |filter: &BatchFilter| {
        let partner = partner("a");
        let listed = stand.lists.batches_of_partner(&partner, filter, EVERYTHING);
        let Listed { entries, total } = stand.runtime.block_on(listed).unwrap();
        (entries.into_iter().map(|row| row.batch_id.0).collect::<Vec<_>>(), total)
    };
    assert_eq!(batches(&BatchFilter::default()), (vec![first.batch.id(), second.batch.id()], 2));
    let ended = BatchFilter { status: Some(BatchState::Ended), ..BatchFilter::default() };
    assert_eq!(batches(&ended), (vec![], 0));
    let later = |from, until| BatchFilter { created_from: from, created_until: until, ..BatchFilter::default() };
    let at = NOW.plus_seconds(60);
    assert_eq!(batches(&later(Some(at), None)), (vec![second.batch.id()], 1));
    assert_eq!(batches(&later(None, Some(at))), (vec![first.batch.id()], 1));
    assert_eq!(batches(&later(Some(NOW), Some(NOW))), (vec![], 0));
}

#[test]
fn r_ota_04_five_thousand_tickets_are_one_batch_of_the_projector() {
    let stand = Stand::new();
    let since = Instant::now();
    let stored = Stored::generated(&stand, "a", 1, 5_000, NOW);
    println!("5,000 tickets are projected in {} ms", since.elapsed().as_millis());
    let since = Instant::now();
    assert_eq!(stored.read(&stand), [(stored.batch.clone(), 2)]);
    println!("and read in {} ms", since.elapsed().as_millis());
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM ota_tickets"), 5_000);
}

//! Stories of a batch, and random commands with restarts. What they share is here.

mod random;
mod stories;

use serde_json::{Value, json};

use super::rows::{BatchRow, BatchTicketsRow, OtaTicketRow};
use super::*;
use crate::announcement::AnnouncementRow;
use crate::catalogue::{self, Calendar, Catalogue, Holiday, Names, Template};
use crate::ids::PartnerCode;
use crate::money::Currency;
use crate::row::{Row as _, Rows, Uuid};
use crate::testing::Images;

/// Friday 20 November 2026, noon in Hong Kong.
const NOON: Timestamp = Timestamp::from_ms(1_795_147_200_000);
const SECOND: i64 = 1_000;

fn after(seconds: i64) -> Timestamp {
    NOON.plus_ms(seconds * SECOND)
}

fn partner() -> PartnerCode {
    PartnerCode::constant("partner-a")
}

/// A museum and three lockers; dearer at weekends, cheaper for children.
fn product() -> Value {
    let tier = |who: &str, day: &str, amount: i64| {
        json!({
            "passengerType": who, "minParty": 1, "dayType": day, "price": { "amount": amount, "currency": "CNY" },
        })
    };
    let entitlement = |code: &str, quantity: u16| {
        json!({
            "code": code, "name": { "zh": "权益", "en": "Right" }, "quantity": quantity, "redemptionChannel": "any",
            "requiresIdentity": false, "shared": false,
            "validity": { "kind": "relative", "days": 30, "startsAt": "payment" },
        })
    };
    json!({
        "name": { "zh": "尊享套票", "en": "Premium" }, "status": "active", "productId": 106,
        "entitlements": [entitlement("MUSEUM", 1), entitlement("LOCKER", 3)],
        "tiers": [
            tier("adult", "weekday", 20_000), tier("adult", "weekend_or_holiday", 24_000), tier("child", "any", 9_000),
        ],
        "stock": { "total": 10_000 },
    })
}

fn with(mut product: Value, field: &str, value: Value) -> Value {
    product[field] = value;
    product
}

fn put(catalogue: &mut Catalogue, content: impl Into<catalogue::Change>) {
    let events = catalogue.decide(&catalogue::Command::new(content, "admin"), NOON).unwrap();
    assert!(events.iter().all(|event| event.outcome.is_ok()), "{events:?}");
    catalogue.apply(&events, 1);
}

fn shop(product: Value) -> Catalogue {
    let mut catalogue = Catalogue::new(Currency::Cny);
    put(&mut catalogue, serde_json::from_value::<Template>(product).unwrap());
    catalogue
}

fn wish(quantity: u32) -> BatchWish {
    BatchWish {
        partner: partner(),
        own_id: "B-2026-1".parse().unwrap(),
        body_hash: [7; 32],
        product: 106,
        quantity,
        distribution: Distribution::DirectSale,
        reseller: None,
        reservation: None,
        expires_at: None,
    }
}

fn planned(catalogue: &Catalogue, wish: BatchWish) -> Result<Plan, Rejection> {
    wish.plan(catalogue, BatchId::compose(NOON, &partner(), 5 << 20), NOON)
}

/// A batch in a story, and the database that follows it.
struct Story {
    batch: Batch,
    stored: Images,
    version: u64,
    /// What others were told.
    announced: Vec<AnnouncementRow>,
}

impl Story {
    fn of(wish: BatchWish) -> Story {
        let plan = planned(&shop(product()), wish).unwrap();
        let (batch, stored) = (Batch::planned(plan), Images::default());
        let mut story = Story { batch, stored, version: 0, announced: Vec::new() };
        story.tell(&Command::Begin, NOON).unwrap();
        story
    }

    /// With all its tickets.
    fn generated(wish: BatchWish) -> Story {
        let mut story = Story::of(wish);
        story.tell(&Command::UnitsTaken, NOON).unwrap();
        story
    }

    /// What happened, or the refusal.
    fn tell(&mut self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let events = self.batch.decide(command, now)?;
        if !events.is_empty() {
            self.version += 1;
            let rows = self.batch.apply(&events, self.version);
            assert!(!rows.is_empty(), "every event leaves a row: {events:?}");
            self.stored.keep(&rows).unwrap();
            self.announced.extend(rows.all::<AnnouncementRow>().unwrap());
        }
        Ok(events)
    }

    /// As `sql/queries/load/tickets_of_batch.sql` answers it.
    fn rows(&self) -> Rows {
        let tickets: Vec<OtaTicketRow<'_>> =
            self.stored.of(OtaTicketRow::TABLE).map(|image| OtaTicketRow::read(image).unwrap()).collect();
        let mut rows = Rows::default();
        for image in self.stored.of(BatchRow::TABLE) {
            rows.put_image(BatchRow::TABLE.slot, image);
        }
        if let Some(version) = tickets.iter().map(|ticket| ticket.version).max() {
            let states: String = tickets.iter().map(|ticket| &ticket.status.code()[..1]).collect();
            rows.put(&BatchTicketsRow { batch_id: Uuid(self.batch.id()), version, states: &states });
        }
        rows
    }

    /// It comes back as it was.
    fn restart(&mut self) {
        let read = Batch::from_rows(&self.rows()).unwrap();
        let [(batch, version)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((batch, *version), (&self.batch, self.version));
        self.batch = batch.clone();
    }
}

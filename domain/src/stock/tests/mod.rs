//! Stories, a naive model over random commands, and the way through the rows. What they share is here.

mod random;
mod stories;

use super::*;
use crate::ids::OrderId;
use crate::tables::newest_version;
use crate::testing::{Images, StockAnswers};

const MINUTE: i64 = 60_000;

/// `minutes` after the start of the stories, at noon.
fn at(minutes: i64) -> Timestamp {
    "2026-03-01T12:00:00Z".parse().map(Timestamp::from_jiff).unwrap().plus_ms(minutes * MINUTE)
}

fn date(day: i8) -> Date {
    jiff::civil::date(2026, 3, day)
}

fn package() -> StockId {
    StockId::Package("deluxe".parse().unwrap())
}

fn promotion() -> StockId {
    StockId::Promotion("SPRING".parse().unwrap())
}

fn partner(name: &str) -> Channel {
    Channel::Ota(name.into())
}

fn hold_id(number: u16) -> HoldId {
    HoldId { order: OrderId::from_bits(u128::from(number / 2)), item: number % 2 }
}

fn hold_at(number: u16) -> HoldAt {
    HoldAt { hold: hold_id(number), epoch: 1 }
}

fn holder(number: u16) -> TravellerId {
    TravellerId::from_bits(number.into())
}

/// So many units, sold by the operator, for ten minutes.
fn place(number: u16, quantity: u32, now: Timestamp) -> Place {
    Place {
        at: hold_at(number),
        quantity,
        date: None,
        channel: Channel::Direct,
        holder: None,
        expires_at: now.plus_ms(10 * MINUTE),
    }
}

fn free(number: u16, units_left: u32) -> Command {
    Command::Free(Free { at: hold_at(number), units_left, settled: None })
}

fn total(units: u32) -> Limits {
    Limits { total: Some(units), ..Limits::default() }
}

/// A machine in a story, and the database that follows it.
struct Story {
    stock: Stock,
    stored: Images,
    version: u64,
}

impl Story {
    fn of(id: StockId, limits: Limits) -> Story {
        let mut story = Story { stock: Stock::unborn(id), stored: Images::default(), version: 0 };
        story.tell(&Command::SetLimits(limits), at(0)).unwrap();
        story
    }

    /// What happened, or the refusal.
    fn tell(&mut self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Rejection> {
        let events = self.stock.decide(command, now)?;
        let rows = self.stock.apply(&events, self.version + 1);
        assert_eq!(rows.is_empty(), events.is_empty() || *command == Command::Forget, "{command:?}");
        if !rows.is_empty() {
            self.version += 1;
            self.stored.keep(&rows).unwrap();
        }
        Ok(events)
    }

    /// Whether something happened.
    fn does(&mut self, command: &Command, now: Timestamp) -> Result<bool, Rejection> {
        self.tell(command, now).map(|events| !events.is_empty())
    }

    fn place(&mut self, number: u16, quantity: u32, now: Timestamp) -> Result<bool, Rejection> {
        self.does(&Command::Place(place(number, quantity, now)), now)
    }

    fn of_channel(&mut self, number: u16, channel: &Channel, quantity: u32, now: Timestamp) -> Result<bool, Rejection> {
        self.does(&Command::Place(Place { channel: channel.clone(), ..place(number, quantity, now) }), now)
    }

    fn confirm(&mut self, number: u16, now: Timestamp) -> Result<bool, Rejection> {
        self.does(&Command::Confirm(hold_at(number)), now)
    }

    fn release(&mut self, number: u16, now: Timestamp) -> Result<bool, Rejection> {
        self.does(&Command::Release(hold_at(number)), now)
    }

    fn free(&mut self, number: u16, left: u32, now: Timestamp) -> Result<bool, Rejection> {
        self.does(&free(number, left), now)
    }

    fn allot(&mut self, channel: &Channel, quantity: u32, now: Timestamp) -> Result<bool, Rejection> {
        self.does(&Command::SetAllotments(vec![Allotment { channel: channel.clone(), quantity }]), now)
    }

    fn left(&self, channel: &Channel) -> Option<u32> {
        self.stock.pools().left(channel)
    }

    /// What a database answers when the stock wakes.
    fn answered(&self, now: Timestamp) -> Rows {
        let until = Stock::settled_until(now);
        StockAnswers { images: &self.stored, stock: &self.stock.id, until }.all()
    }

    fn restart(&mut self, now: Timestamp) {
        let rows = self.answered(now);
        assert_eq!(newest_version(&rows), Ok(self.version));
        self.stock = Stock::from_rows(&rows, now).unwrap();
    }

    /// What a database answers of a hold that nobody remembers.
    fn settled(&self, at: HoldAt) -> Option<Box<Hold>> {
        settled_hold(&self.stored.all(), &self.stock.id, at).unwrap().map(Box::new)
    }
}

//! A follower for tests: counts what is announced by kind, and keeps counts and position in a record of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use deeptravel_actors::follow::{Batch, Failure, Follower};
use deeptravel_actors::journal::{Journal, Position, Record};
use deeptravel_actors::outage::Outage;
use deeptravel_domain::announcement::{AnnouncementKind, AnnouncementRow};
use deeptravel_domain::ids::{OrderId, Shard};
use deeptravel_domain::row::Rows;
use deeptravel_domain::time::Timestamp;

use crate::journal_support::{Shortcuts as _, read_all, record};

/// How often each kind was announced.
pub type Counts = BTreeMap<u8, u64>;

/// The payload of a record that announces something of each kind, by any number below 128. What comes after a zero fills
/// it up.
pub fn announcing(kinds: &[u8]) -> Vec<u8> {
    let at = Timestamp::from_ms(1_764_000_000_000);
    let text = str::from_utf8(kinds).expect("numbers below 128");
    let row = AnnouncementRow {
        order_id: OrderId::compose(at, Shard::of(0), 1),
        version: 1,
        kind: AnnouncementKind::BatchExpired,
        ticket: None,
        number: None,
        at,
        partner: None,
        item: None,
        count: None,
        batch: Some(text.into()),
    };
    let mut rows = Rows::default();
    rows.put(&row);
    rows.into_bytes()
}

/// The kinds that rows announce, and what fills them up.
pub fn kinds(announced: &[AnnouncementRow]) -> impl Iterator<Item = u8> {
    announced.iter().filter_map(|row| row.batch.as_deref()).flat_map(str::bytes)
}

/// What happens at one turn of the follower.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// It never gets to it.
    HangsBefore,
    /// It has appended its record and hears no more of it.
    HangsAppended,
    /// Its record is durable, and it cannot say so.
    HangsDurable,
    /// The same, but it says that it failed.
    LosesAnswer,
    Fails(Outage),
    Faulty,
    Panics,
}

#[derive(Debug, Default)]
struct State {
    turns: VecDeque<Turn>,
    /// Whoever announces this kind meets that.
    chokes: Option<(u8, Turn)>,
    is_out: bool,
    taken: Vec<(Position, Vec<u8>)>,
}

/// What a tally does and has done, however often it is woken.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: &'static str,
    state: Arc<Mutex<State>>,
}

impl Script {
    pub fn new(name: &'static str) -> Script {
        Script { name, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Its next turns; after them it works.
    pub fn plan(&self, turns: impl IntoIterator<Item = Turn>) {
        self.state().turns.extend(turns);
    }

    pub fn is_done(&self) -> bool {
        self.state().turns.is_empty()
    }

    pub fn chokes_on(&self, kind: u8, turn: Turn) {
        self.state().chokes = Some((kind, turn));
    }

    /// Whether its owner can write nothing.
    pub fn is_out(&self, is_out: bool) {
        self.state().is_out = is_out;
    }

    /// What it has written down, with repetitions if there were any.
    pub fn taken(&self) -> Vec<(Position, Vec<u8>)> {
        self.state().taken.clone()
    }

    fn turn(&self, batch: Batch<'_>) -> Option<Turn> {
        let mut state = self.state();
        if state.is_out {
            return Some(Turn::Fails(Outage::JournalFull));
        }
        let announces = |kind: u8| {
            batch.records.iter().any(|record| kinds(record.rows().unwrap()).any(|announced| announced == kind))
        };
        let choked = state.chokes.filter(|(kind, _)| announces(*kind)).map(|(_, turn)| turn);
        choked.or_else(|| state.turns.pop_front())
    }
}

/// What is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub position: Position,
    pub totals: Counts,
    pub version: u64,
}

impl Counted {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.position.0.to_le_bytes().to_vec();
        for (kind, count) in &self.totals {
            bytes.push(*kind);
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    fn decode(record: &Record) -> Counted {
        let (position, counts) = record.payload.split_first_chunk::<8>().unwrap();
        let count = |bytes: &[u8]| (bytes[0], u64::from_le_bytes(bytes[1..9].try_into().unwrap()));
        Counted {
            position: Position(u64::from_le_bytes(*position)),
            totals: counts.chunks(9).map(count).collect(),
            version: record.header.key_version,
        }
    }
}

/// What the journal says that a tally has counted.
pub fn counted(journal: &Journal, name: &str) -> Counted {
    let all = read_all(journal, journal.oldest().previous());
    let newest = all.iter().rev().find(|(_, record)| record.header.key.as_str() == name);
    newest.map(|(_, record)| Counted::decode(record)).unwrap_or_default()
}

pub struct Tally {
    journal: Journal,
    script: Script,
    counted: Counted,
}

impl Tally {
    pub fn wake(journal: &Journal, script: &Script) -> Tally {
        Tally::wake_from(journal, script, counted(journal, script.name))
    }

    /// As from a row of the database.
    pub fn wake_from(journal: &Journal, script: &Script, counted: Counted) -> Tally {
        if counted.version > 0 {
            let key = record(script.name, 1, &[]).header.key;
            journal.register(&key, counted.version).unwrap();
        }
        Tally { journal: journal.clone(), script: script.clone(), counted }
    }

    fn append(&mut self, batch: Batch<'_>) -> Position {
        let mut totals = self.counted.totals.clone();
        let mut taken = Vec::new();
        for record in batch.records {
            let kinds: Vec<u8> = kinds(record.rows().unwrap()).take_while(|kind| *kind > 0).collect();
            for kind in &kinds {
                *totals.entry(*kind).or_default() += 1;
            }
            taken.push((record.position, kinds));
        }
        self.script.state().taken.extend(taken);
        self.counted = Counted { position: batch.up_to, totals, version: self.counted.version + 1 };
        self.journal.append(&record(self.script.name, self.counted.version, &self.counted.encode())).unwrap()
    }
}

#[async_trait]
impl Follower for Tally {
    fn name(&self) -> &'static str {
        self.script.name
    }

    fn position(&self) -> Position {
        self.counted.position
    }

    async fn take(&mut self, batch: Batch<'_>) -> Result<Position, Failure> {
        let turn = self.script.turn(batch);
        match turn {
            Some(Turn::Fails(outage)) => return Err(outage.into()),
            Some(Turn::Faulty) => return Err(Failure::Fault("planted".to_owned())),
            Some(Turn::Panics) => panic!("planted"),
            Some(Turn::HangsBefore) => std::future::pending().await,
            Some(Turn::HangsAppended | Turn::HangsDurable | Turn::LosesAnswer) | None => {}
        }
        if batch.after != self.counted.position {
            return Ok(self.counted.position);
        }
        let appended = self.append(batch);
        if matches!(turn, Some(Turn::HangsAppended)) {
            std::future::pending::<()>().await;
        }
        self.journal.wait(appended).await.map_err(|_| Outage::Journal)?;
        match turn {
            Some(Turn::HangsDurable) => std::future::pending().await,
            Some(Turn::LosesAnswer) => Err(Outage::Rebuilding.into()),
            _ => Ok(self.counted.position),
        }
    }
}

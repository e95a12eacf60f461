//! The front of the journal: gives positions, checks versions, gathers records into batches for the writer.
//!
//! One mutex makes position and version one step. Inside it a record is copied into the batch that is being gathered;
//! nothing is allocated per record, and the writer takes whole batches. A batch gathers until it is full, until somebody
//! kicks, or until the writer has looked at it for long enough.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::error::{AppendError, RegisterError};
use super::frame::FRAME_HEADER_BYTES;
use super::lock;
use super::options::JournalOptions;
use super::record::{KeyText, Position, Record};
use super::segment::NO_TIME_MS;
use super::space::{Share, SpaceGauge};

/// Emptied buffers kept for the next batches: one is written while one gathers.
const BUFFERS_KEPT: usize = 4;

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// The writer sleeps here.
    more: Condvar,
    options: JournalOptions,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    buffers: Vec<Vec<u8>>,
    /// Position of the last record taken.
    appended: Position,
    /// Bytes not yet written, those in the writer's hands included.
    queued_bytes: usize,
    /// Bytes kept free for records that were admitted and have not come yet.
    admitted_bytes: usize,
    versions: HashMap<KeyText, u64>,
    writer: Writer,
    stopped: bool,
}

/// What the writer does meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    #[default]
    Busy,
    /// Waits for a batch that has ended, and looks again by itself.
    Watches,
    /// Waits for a record.
    Sleeps,
}

/// Records of one frame, behind the room for its header.
#[derive(Debug)]
pub(super) struct Batch {
    pub frame: Vec<u8>,
    pub count: u32,
    pub last: Position,
    /// Engine time of the newest record, in ms.
    pub last_at_ms: i64,
    /// To be written, though what is appended until then still joins it.
    has_ended: bool,
}

/// What the writer found.
#[derive(Debug)]
pub(super) enum Taken {
    Batch(Batch),
    /// Nothing came within the time given.
    Nothing,
    /// Stopped, and everything taken before has been handed out.
    Stopped,
}

impl Queue {
    pub(super) fn new(options: &JournalOptions, last: Position) -> Self {
        let state = State { appended: last, ..State::default() };
        Self { state: Mutex::new(state), more: Condvar::new(), options: options.clone() }
    }

    /// Keeps room for a record of so many bytes, or says why there is none.
    pub(super) fn admit(&self, share: Share, bytes: usize, space: &SpaceGauge) -> Result<(), AppendError> {
        if bytes > self.options.record_bytes_max {
            return Err(AppendError::TooLarge { bytes, max: self.options.record_bytes_max });
        }
        let mut state = lock(&self.state);
        if state.stopped {
            return Err(AppendError::Stopped);
        }
        let waiting = state.queued_bytes + state.admitted_bytes;
        if waiting + bytes > share.of(self.options.queue_bytes_max) && waiting > 0 {
            return Err(AppendError::QueueFull { queued: waiting });
        }
        if share == Share::Sales && space.read().is_rationed() {
            return Err(AppendError::Rationed);
        }
        if !space.has_room((waiting + bytes + FRAME_HEADER_BYTES) as u64) {
            return Err(AppendError::NoSpace);
        }

        state.admitted_bytes += bytes;
        Ok(())
    }

    /// Gives back the room that was kept.
    pub(super) fn dismiss(&self, bytes: usize) {
        lock(&self.state).admitted_bytes -= bytes;
    }

    /// Takes a record for which so much room was kept, and gives that back. In a turn a kick follows.
    pub(super) fn append(
        &self,
        record: &Record,
        admitted_bytes: usize,
        in_turn: bool,
    ) -> Result<Position, AppendError> {
        let header = &record.header;
        let bytes = record.encoded_bytes();
        let mut state = lock(&self.state);
        state.admitted_bytes -= admitted_bytes;
        if bytes > self.options.record_bytes_max {
            return Err(AppendError::TooLarge { bytes, max: self.options.record_bytes_max });
        }
        if state.stopped {
            return Err(AppendError::Stopped);
        }
        let expected = state.versions.get(header.key.as_str()).map_or(1, |version| version + 1);
        if header.key_version != expected {
            return Err(AppendError::WrongVersion { expected, got: header.key_version });
        }

        // From here on it must succeed.
        match state.versions.get_mut(header.key.as_str()) {
            Some(version) => *version = expected,
            None => {
                state.versions.insert(header.key.clone(), expected);
            }
        }
        let position = state.push(record, bytes, &self.options);
        if !in_turn {
            state.end_batch();
        }
        self.wake_writer(state);
        Ok(position)
    }

    /// What was taken so far is to be written.
    pub(super) fn kick(&self) {
        let mut state = lock(&self.state);
        if state.end_batch() {
            self.wake_writer(state);
        }
    }

    fn wake_writer(&self, mut state: MutexGuard<'_, State>) {
        let wakes = match state.writer {
            Writer::Busy => false,
            Writer::Watches => state.batches.front().is_some_and(|batch| batch.has_ended),
            Writer::Sleeps => true,
        };
        if wakes {
            state.writer = Writer::Busy;
            drop(state);
            self.more.notify_one();
        }
    }

    pub(super) fn register(&self, key: &KeyText, version: u64) -> Result<(), RegisterError> {
        let mut state = lock(&self.state);
        match state.versions.get(key.as_str()) {
            Some(&known) if known != version => Err(RegisterError { known, got: version }),
            Some(_) => Ok(()),
            None => {
                state.versions.insert(key.clone(), version);
                Ok(())
            }
        }
    }

    pub(super) fn forget(&self, key: &str) {
        lock(&self.state).versions.remove(key);
    }

    pub(super) fn appended(&self) -> Position {
        lock(&self.state).appended
    }

    pub(super) fn queued_bytes(&self) -> usize {
        lock(&self.state).queued_bytes
    }

    /// No further record is taken; the writer gets what is queued and then `Stopped`.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.stopped = true;
        state.end_batch();
        drop(state);
        self.more.notify_all();
    }

    /// The next batch that has ended. If the writer watches, it waits for one so long as a turn may last, and is told
    /// when there was nothing; else it sleeps until there is something, and watches then.
    pub(super) fn take(&self, watches: bool) -> Taken {
        let mut state = lock(&self.state);
        loop {
            if let Some(batch) = state.batches.pop_front_if(|batch| batch.has_ended) {
                return Taken::Batch(batch);
            }
            if state.stopped {
                return Taken::Stopped;
            }
            if !watches && state.batches.is_empty() {
                state.writer = Writer::Sleeps;
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.writer = Writer::Watches;
            let woken = self.more.wait_timeout(state, self.options.turn_max).unwrap_or_else(PoisonError::into_inner);
            state = woken.0;
            state.writer = Writer::Busy;
            if woken.1.timed_out() && !state.end_batch() && !state.stopped {
                return Taken::Nothing;
            }
        }
    }

    /// The batch is durable: its bytes no longer wait and its buffer is used again.
    pub(super) fn done(&self, batch: Batch) {
        let mut frame = batch.frame;
        let records_bytes = frame.len() - FRAME_HEADER_BYTES;
        frame.clear();
        let mut state = lock(&self.state);
        state.queued_bytes -= records_bytes;
        if state.buffers.len() < BUFFERS_KEPT && frame.capacity() <= 2 * self.options.batch_bytes_max {
            state.buffers.push(frame);
        }
    }
}

impl State {
    fn push(&mut self, record: &Record, bytes: usize, options: &JournalOptions) -> Position {
        let position = self.appended.next();
        self.appended = position;
        self.queued_bytes += bytes;
        let fits = |batch: &Batch| batch.frame.len() + bytes <= options.batch_bytes_max;
        if !self.batches.back().is_some_and(fits) {
            self.end_batch();
            let mut frame = self.buffers.pop().unwrap_or_default();
            frame.resize(FRAME_HEADER_BYTES, 0);
            self.batches.push_back(Batch { frame, count: 0, last: position, last_at_ms: NO_TIME_MS, has_ended: false });
        }
        if let Some(batch) = self.batches.back_mut() {
            record.encode(&mut batch.frame);
            batch.count += 1;
            batch.last = position;
            batch.last_at_ms = batch.last_at_ms.max(record.header.at_ms);
            batch.has_ended |= batch.count >= options.turn_records_max;
        }
        position
    }

    /// Says whether there is one.
    fn end_batch(&mut self) -> bool {
        let Some(batch) = self.batches.back_mut() else { return false };
        batch.has_ended = true;
        true
    }
}

//! How much of the journal's space is used (rule 11).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Above this share new sales stop; what is left is for payments, scans, releases and refunds (rule 11).
pub const RATIONED_PERCENT: u64 = 80;

/// How much of the space and of the queue a record may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// New sales: [`RATIONED_PERCENT`], and nothing once the disk has no space for the next segment.
    Sales,
    /// Everything that follows from a sale, and what keeps the house: payments, scans, releases, refunds, logins,
    /// revocations, configuration.
    Whole,
}

impl Share {
    pub(super) fn of(self, bytes: usize) -> usize {
        match self {
            Share::Sales => (bytes as u64 * RATIONED_PERCENT / 100) as usize,
            Share::Whole => bytes,
        }
    }
}

/// A reading of the journal's space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Space {
    /// Bytes of the sealed segments, and what is written in the active one. The space prepared for the next segment
    /// is not counted.
    pub used: u64,
    /// What all segments together may take, in bytes.
    pub max: u64,
    /// The next segment cannot be prepared: the disk has no space for it, or no file can be opened.
    pub exhausted: bool,
}

impl Space {
    /// Whether new sales must stop (rule 11).
    pub fn is_rationed(&self) -> bool {
        self.exhausted || self.used >= self.for_sales()
    }

    /// Bytes in use at which new sales stop.
    pub fn for_sales(&self) -> u64 {
        self.max / 100 * RATIONED_PERCENT + self.max % 100 * RATIONED_PERCENT / 100
    }
}

/// The live figures: written by the writer and by release, read by every append.
#[derive(Debug, Default)]
pub(super) struct SpaceGauge {
    pub max: u64,
    /// Kept back in the active segment: a batch that does not fit at its end leaves up to this much unused.
    pub batch_bytes_max: u64,
    pub sealed: AtomicU64,
    pub active: AtomicU64,
    /// Bytes left in the active segment.
    pub active_room: AtomicU64,
    pub exhausted: AtomicBool,
}

impl SpaceGauge {
    pub(super) fn has_room(&self, waiting: u64) -> bool {
        let used = self.sealed.load(Ordering::Relaxed) + self.active.load(Ordering::Relaxed);
        if used + waiting > self.max {
            return false;
        }
        // Without a next segment, take only what surely fits into this one.
        let room = || self.active_room.load(Ordering::Relaxed);
        !self.exhausted.load(Ordering::Relaxed) || waiting + self.batch_bytes_max <= room()
    }

    pub(super) fn read(&self) -> Space {
        Space {
            used: self.sealed.load(Ordering::Relaxed) + self.active.load(Ordering::Relaxed),
            max: self.max,
            exhausted: self.exhausted.load(Ordering::Relaxed),
        }
    }
}

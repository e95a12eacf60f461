//! Work that takes a core for seconds, such as printing thousands of tickets: one piece at a time, beside what answers others,
//! and few wait. Gates and sales have the other cores.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::problem::Problem;
use super::refusals;

/// Pieces under way, the waiting ones included: what is done in half a minute. Others come again.
const PIECES_MAX: usize = 4;
/// When they may.
const COME_AGAIN_SECONDS: u32 = 10;

/// One for the process.
#[derive(Debug)]
pub struct Heavy {
    turn: Arc<Semaphore>,
    places: Semaphore,
}

impl Default for Heavy {
    fn default() -> Heavy {
        Heavy { turn: Arc::new(Semaphore::new(1)), places: Semaphore::new(PIECES_MAX) }
    }
}

impl Heavy {
    /// A place to wait in; 503 when too many wait.
    pub fn place(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let full = |_| refusals::OVERLOADED.saying("too much is being printed").retry_after(COME_AGAIN_SECONDS);
        self.places.try_acquire().map_err(full)
    }

    /// Nobody else has one before this one is given back.
    pub async fn turn(&self) -> Turn {
        Turn { _only: Arc::clone(&self.turn).acquire_owned().await.ok() }
    }
}

/// See [`Heavy::turn`].
#[derive(Debug)]
pub struct Turn {
    /// The semaphore is never closed.
    _only: Option<OwnedSemaphorePermit>,
}

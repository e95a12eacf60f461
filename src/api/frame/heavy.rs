//! Work that takes a core for seconds, such as printing thousands of tickets: one piece at a time, beside what answers others,
//! and few wait. Gates and sales have the other cores.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::problem::Problem;
use super::refusals;
use super::state::Api;

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

impl Api {
    /// Does it when its turn comes; 503 when too many wait. What has begun goes on when the client leaves, and so does its turn.
    pub async fn heavy<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let full = |_| refusals::OVERLOADED.saying("too much is being printed").retry_after(COME_AGAIN_SECONDS);
        let _place = self.heavy_work.places.try_acquire().map_err(full)?;
        let turn = Arc::clone(&self.heavy_work.turn).acquire_owned().await;
        self.apart(move || {
            let _turn = turn;
            work()
        })
        .await
    }
}

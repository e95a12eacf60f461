//! Requests under way: each is counted from when it is asked until it is answered, whoever answers it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Keys, Owner};
use crate::outage::Outage;

/// Requests to owners of one kind that may be under way at once. Above the ten thousand orders that must be in flight
/// together (spec section 12), and small enough that their replies fit memory.
const ASKS_MAX: usize = 32_768;

/// Counts one request under way.
#[derive(Debug)]
#[must_use = "the request is under way until this is dropped"]
pub struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A: Owner> Keys<A> {
    /// Counts a request, as long as it is under way.
    pub fn under_way(&self) -> Result<UnderWay<'_>, Outage> {
        let before = self.asks.fetch_add(1, Ordering::Relaxed);
        // Given back when it is dropped, also right here.
        let under_way = UnderWay(&self.asks);
        if before >= ASKS_MAX { Err(Outage::Overloaded) } else { Ok(under_way) }
    }
}

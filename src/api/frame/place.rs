//! A place among so many, given back when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// See [`Place::enter`].
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    /// `None` when `max` places are taken.
    pub fn enter(taken: &Arc<AtomicUsize>, max: usize) -> Option<Place> {
        let before = taken.fetch_add(1, Ordering::Relaxed);
        // Given back when it is dropped, also right here.
        let place = Place(Arc::clone(taken));
        (before < max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_places_and_each_is_given_back() {
        let taken = Arc::new(AtomicUsize::new(0));
        let places: Vec<_> = (0..3).map(|_| Place::enter(&taken, 2).is_some()).collect();
        assert_eq!(places, [true, true, true], "each was given back at once");
        let held = (Place::enter(&taken, 2), Place::enter(&taken, 2), Place::enter(&taken, 2));
        assert!(held.0.is_some() && held.1.is_some() && held.2.is_none());
        drop(held);
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }
}

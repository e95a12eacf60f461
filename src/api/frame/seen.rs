//! What each session has been shown: lists wait until Postgres has followed that far (rule 13).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use deeptravel_actors::journal::Position;
use deeptravel_domain::identity::SecretHash;

/// Sessions whose position is kept. Only those count that are ahead of the projector, which is a fraction of a second
/// behind; while it is stopped, this many cost a few megabytes.
const SESSIONS_MAX: usize = 65_536;

/// The newest position answered to each token.
#[derive(Debug, Default)]
pub struct Seen {
    positions: DashMap<SecretHash, Position>,
    count: AtomicUsize,
    /// What every session waits for besides its own: the newest position that was not kept for want of space.
    floor: AtomicU64,
}

impl Seen {
    /// A session has been shown something of this position; Postgres has `projected`.
    pub fn note(&self, token: &SecretHash, position: Position, projected: Position) {
        if position <= projected {
            return;
        }
        if self.count.load(Ordering::Relaxed) >= SESSIONS_MAX {
            self.positions.retain(|_, seen| *seen > projected);
            self.count.store(self.positions.len(), Ordering::Relaxed);
            if self.positions.len() >= SESSIONS_MAX {
                self.floor.fetch_max(position.0, Ordering::Relaxed);
                return;
            }
        }
        let mut newest = self.positions.entry(*token).or_insert_with(|| {
            self.count.fetch_add(1, Ordering::Relaxed);
            position
        });
        *newest = position.max(*newest);
    }

    /// What a list for this session has to contain.
    pub fn of(&self, token: &SecretHash) -> Position {
        let own = self.positions.get(token).map_or(Position(0), |seen| *seen);
        own.max(Position(self.floor.load(Ordering::Relaxed)))
    }

    /// The session has ended.
    pub fn forget(&self, token: &SecretHash) {
        if self.positions.remove(token).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: usize) -> SecretHash {
        let mut token = [0; 32];
        token[..8].copy_from_slice(&number.to_be_bytes());
        token
    }

    #[test]
    fn a_session_waits_for_the_newest_it_was_shown_and_not_for_what_is_projected() {
        let seen = Seen::default();
        seen.note(&token(1), Position(7), Position(3));
        seen.note(&token(1), Position(5), Position(3));
        seen.note(&token(2), Position(3), Position(3));
        assert_eq!(seen.of(&token(1)), Position(7));
        assert_eq!(seen.of(&token(2)), Position(0));
        seen.forget(&token(1));
        assert_eq!(seen.of(&token(1)), Position(0));
    }

    #[test]
    fn with_too_many_sessions_what_is_projected_goes_first_and_nobody_is_shown_less() {
        let seen = Seen::default();
        for number in 0..SESSIONS_MAX {
            seen.note(&token(number), Position(10), Position(0));
        }
        seen.note(&token(SESSIONS_MAX), Position(11), Position(0));
        assert_eq!(seen.of(&token(0)), Position(11), "no space: everybody waits for it");
        seen.note(&token(SESSIONS_MAX), Position(12), Position(10));
        assert_eq!(seen.positions.len(), 1);
        assert_eq!(seen.of(&token(SESSIONS_MAX)), Position(12));
    }
}

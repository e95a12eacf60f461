//! Which segments followers keep. One goes when Postgres and every follower have it. A follower that does not get on keeps
//! what it has not followed, however old; that is shown (`follower_holds_segments`), and reported once it is half of what
//! sales may have of the journal. Where sales would stop for want of space it gives way like retention (rule 11), loudly:
//! a follower that comes to the gap stops, and nothing follows from what is behind it.

use std::io;

use super::{Following, Holds, State, Status};
use crate::journal::{Journal, Position, Reached, Released, Retention, Unread, lock};

/// A follower that keeps more than this share of the space for sales is reported: there is time to mend it, and no doubt
/// that it has to be mended.
const TOO_MUCH_PERCENT: u64 = 50;

impl Following {
    /// Deletes the segments that Postgres and every follower have and the retention does not keep, and shows how the
    /// followers get on. To be called every so often. Blocks on the disk.
    pub fn release(&self, projected: Position, retention: Retention) -> io::Result<Released> {
        let needing = self.statuses().into_iter().filter(Status::needs_its_records);
        let followed = needing.map(|status| status.written).min().unwrap_or(projected);
        let released = self.journal.release(Reached { projected, followed }, retention)?;
        for watched in &*self.followers {
            lock(watched).check(&self.journal, projected);
        }
        Ok(released)
    }
}

impl Status {
    /// For one that has come to a gap nothing is kept.
    fn needs_its_records(&self) -> bool {
        match self.state {
            State::Follows | State::Stopped => true,
            State::Lost => false,
        }
    }

    fn check(&mut self, journal: &Journal, projected: Position) {
        let needs = self.needs_its_records();
        let unread = if needs { journal.unread(self.written, projected) } else { Unread::default() };
        let gave_way = needs && self.written.next() < journal.oldest();
        let too_much = journal.space().for_sales() / 100 * TOO_MUCH_PERCENT;
        let holds = match (gave_way, unread.bytes > too_much) {
            (true, _) => Holds::GaveWay,
            (false, true) => Holds::TooMuch,
            (false, false) => Holds::Little,
        };
        if holds != std::mem::replace(&mut self.holds, holds) {
            self.report(unread);
        }
        self.show(journal.durable(), unread);
    }

    fn report(&self, Unread { segments, bytes }: Unread) {
        let Status { name, written, .. } = *self;
        match self.holds {
            Holds::Little => tracing::info!(follower = name, "Follower {name} gets on again"),
            Holds::TooMuch => tracing::error!(
                follower = name, position = %written, segments, bytes,
                "Follower {name} does not get on and keeps {segments} segments: what it has not followed is deleted when \
                 sales need the space"
            ),
            Holds::GaveWay => tracing::error!(
                follower = name, position = %written,
                "What follower {name} has not followed after {written} is being deleted: sales need the space"
            ),
        }
    }

    fn show(&self, durable: Position, unread: Unread) {
        let Status { name, seen, state, .. } = *self;
        let lag = durable.0.saturating_sub(seen.0);
        let gauge = |gauge: &'static str, value: u64| {
            metrics::gauge!(gauge, "follower" => name).set(u32::try_from(value).unwrap_or(u32::MAX));
        };
        gauge("follower_lag_records", lag);
        gauge("follower_holds_segments", unread.segments as u64);
        gauge("follower_stopped", u64::from(state != State::Follows));
    }
}

/// Shown as it moves: with it, whoever looks knows what a follower's figures have in them.
#[allow(clippy::cast_precision_loss)] // beyond 2^53 nobody reads the last digit
pub(super) fn show_position(name: &'static str, seen: Position) {
    metrics::gauge!("follower_position", "follower" => name).set(seen.0 as f64);
}

/// Tells the metrics' recorder what they are.
pub(super) fn describe() {
    metrics::describe_gauge!("follower_position", "Position up to which a follower has nothing left to do");
    metrics::describe_counter!("follower_set_aside_total", "Records that a follower failed at twice and passed");
    metrics::describe_gauge!("follower_lag_records", "Durable records that a follower has not come to yet");
    metrics::describe_gauge!("follower_holds_segments", "Segments that Postgres has and a follower has not followed");
    metrics::describe_gauge!("follower_stopped", "1 when a follower has stopped and somebody has to look");
}

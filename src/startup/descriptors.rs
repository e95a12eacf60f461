//! File descriptors: how many there are, and for how many connections that is enough.

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::api::CONNECTIONS_BESIDE;

/// Kept for everything but connections of clients. An idle demo has 57 open, for threads, the journal and Postgres; 20 more
/// connections go to Postgres at most; calls to WeChat have 128, and in the demo as many at the other end; the rest is
/// for files that are open for a moment.
const KEPT: usize = 384;
/// With fewer connections there is no service worth the name.
const CONNECTIONS_MIN: usize = 64;

/// Raises the soft limit as far as `wanted` connections need and the hard limit allows, and answers for how many there is
/// room. Says both.
pub(super) fn connections(wanted: usize) -> anyhow::Result<usize> {
    let found = getrlimit(Resource::Nofile);
    let needed = (wanted + CONNECTIONS_BESIDE + KEPT) as u64;
    let raised = raised(&found, needed);
    if raised.current != found.current {
        setrlimit(Resource::Nofile, raised).context("raising the limit of file descriptors")?;
    }
    let descriptors = usize::try_from(raised.current.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let room = room(descriptors, wanted)?;
    let text = format!(
        "At most {room} connections; of {descriptors} file descriptors {KEPT} are kept for journal, database and WeChat"
    );
    if room < wanted {
        tracing::warn!(connections = room, wanted, descriptors, kept = KEPT, "{text}; the hard limit allows no more");
    } else {
        tracing::info!(connections = room, descriptors, kept = KEPT, "{text}");
    }
    Ok(room)
}

/// The soft limit is never lowered. `None` is no limit.
fn raised(found: &Rlimit, needed: u64) -> Rlimit {
    let most = found.maximum.map_or(needed, |maximum| maximum.min(needed));
    Rlimit { current: found.current.map(|current| current.max(most)), maximum: found.maximum }
}

fn room(descriptors: usize, wanted: usize) -> anyhow::Result<usize> {
    let room = descriptors.saturating_sub(KEPT + CONNECTIONS_BESIDE).min(wanted);
    if room < CONNECTIONS_MIN.min(wanted) {
        let needed = KEPT + CONNECTIONS_BESIDE + CONNECTIONS_MIN;
        bail!("{descriptors} file descriptors are too few: allow at least {needed} (`ulimit -n`, LimitNOFILE=)");
    }
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_1_connections_stay_below_the_descriptors() {
        assert_eq!(room(1024, 20_000).unwrap(), 1024 - 384 - 128);
        assert_eq!(room(1_000_000, 20_000).unwrap(), 20_000);
        assert!(room(256, 20_000).unwrap_err().to_string().contains("576"));
        assert_eq!(room(530, 10).unwrap(), 10, "who wants few gets few");
    }

    #[test]
    fn fault_1_the_soft_limit_is_raised_as_far_as_needed_and_allowed() {
        let limit = |current, maximum| Rlimit { current, maximum };
        assert_eq!(raised(&limit(Some(1024), Some(4096)), 20_512), limit(Some(4096), Some(4096)));
        assert_eq!(raised(&limit(Some(1024), None), 20_512), limit(Some(20_512), None));
        assert_eq!(raised(&limit(Some(65_536), None), 20_512), limit(Some(65_536), None), "never lowered");
        assert_eq!(raised(&limit(None, None), 20_512), limit(None, None));
    }
}

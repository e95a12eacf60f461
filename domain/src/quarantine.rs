//! What the provider says and no order can use. It may be real money: it is kept until a person has seen to it (R-PAY-06).

use std::collections::HashMap;
use std::sync::Arc;

use crate::machine::{Machine, Room};
use crate::rejection::Rejection;
use crate::row;
use crate::row::{Damage, First, Rows};
use crate::time::Timestamp;

/// Notices that are kept in memory, at about a KiB each. So many wait only when something is wrong with all of them; what
/// is left out is in its row only.
pub const NOTICES_KEPT_MAX: u32 = 10_000;

row! {
    /// A notice that was signed by the provider but does not fit any order.
    #[derive(Eq, Default)]
    pub struct Notice: 15 "quarantine", First::Unknown;
    /// The provider's id; of what a query brought, `query/` and the number that was asked about.
    1 notice_id [Key]: String,
    /// Of the record that wrote it; 0 in memory.
    2 version: u64,
    /// The number that it names, whosever it is.
    3 out_trade_no: String,
    4 transaction_id: Option<String>,
    /// Why it fits no order.
    5 reason: String,
    /// What the provider said, decrypted, as JSON. It may name the payer.
    6 notice [Hidden]: String,
    7 received_at: Timestamp,
    /// When somebody had seen to it.
    8 resolved_at: Option<Timestamp>,
    /// User name of the account that did.
    9 resolved_by: Option<String>,
    /// What was done, in a person's words.
    10 note [Hidden]: Option<String>,
}

/// What can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A notice that fits no order; its instant is set here. The same again is nothing new, also when somebody has seen to
    /// it: WeChat repeats notices, and queries repeat what they found.
    Keep(Notice),
    /// Somebody has seen to a notice: the first one to say so is kept.
    Resolve {
        notice: String,
        /// User name of the account.
        by: String,
        /// What was done.
        note: String,
        /// The notice, if it is not in memory any more.
        stored: Option<Notice>,
    },
}

/// A notice is from now on like this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept(pub Arc<Notice>);

/// The notices that somebody may ask about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quarantine {
    notices: HashMap<String, Arc<Notice>>,
}

impl Quarantine {
    /// At most [`NOTICES_KEPT_MAX`] of the rows.
    pub fn from_rows(rows: &Rows) -> Result<Quarantine, Damage> {
        let notices = rows.of().map(|notice: Result<Notice, Damage>| {
            let notice = Notice { version: 0, ..notice? };
            Ok((notice.notice_id.clone(), Arc::new(notice)))
        });
        Ok(Quarantine { notices: notices.collect::<Result<_, _>>()? })
    }

    pub fn notice(&self, id: &str) -> Option<&Arc<Notice>> {
        self.notices.get(id)
    }

    /// Those that nobody has seen to.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Notice>> {
        self.notices.values().filter(|notice| notice.resolved_at.is_none())
    }

    /// Keeps the number bounded: the oldest goes, one that was seen to before others.
    fn forget_one(&mut self) {
        if self.notices.len() <= NOTICES_KEPT_MAX as usize {
            return;
        }
        let oldest = self.notices.values().min_by_key(|notice| (notice.resolved_at.is_none(), notice.received_at));
        if let Some(id) = oldest.map(|notice| notice.notice_id.clone()) {
            self.notices.remove(&id);
        }
    }
}

impl Machine for Quarantine {
    type Command = Command;
    type Event = Kept;

    const ROOM: Room = Room::Estimated;

    fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Kept>, Rejection> {
        let kept = match command {
            Command::Keep(notice) => {
                let is_known = |known: &Arc<Notice>| known.reason == notice.reason && known.notice == notice.notice;
                let is_new = !self.notices.get(&notice.notice_id).is_some_and(is_known);
                is_new.then(|| Notice { received_at: now, ..notice.clone() })
            }
            Command::Resolve { notice, by, note, stored } => {
                let known = self.notices.get(notice).map(|notice| &**notice).or(stored.as_ref());
                let known = known.ok_or(Rejection::NoticeNotFound)?;
                let (resolved_by, note) = (Some(by.clone()), Some(note.clone()));
                let resolved = || Notice { version: 0, resolved_at: Some(now), resolved_by, note, ..known.clone() };
                known.resolved_at.is_none().then(resolved)
            }
        };
        Ok(kept.into_iter().map(|notice| Kept(Arc::new(notice))).collect())
    }

    fn apply(&mut self, events: &[Kept], version: u64) -> Rows {
        let mut rows = Rows::default();
        for Kept(notice) in events {
            self.notices.insert(notice.notice_id.clone(), Arc::clone(notice));
            self.forget_one();
            rows.put(&Notice { version, ..Notice::clone(notice) });
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_764_000_000_000);

    fn notice(id: &str) -> Notice {
        Notice { notice_id: id.to_owned(), reason: "no such order".to_owned(), ..Notice::default() }
    }

    fn resolve(id: &str, stored: Option<Notice>) -> Command {
        Command::Resolve { notice: id.to_owned(), by: "finance".to_owned(), note: "given back".to_owned(), stored }
    }

    fn told(quarantine: &mut Quarantine, command: &Command) -> usize {
        let events = quarantine.decide(command, NOW).unwrap();
        quarantine.apply(&events, 1);
        events.len()
    }

    #[test]
    fn r_pay_06_a_notice_is_kept_once_and_the_first_one_to_see_to_it_is_kept() {
        let mut quarantine = Quarantine::default();
        assert_eq!(told(&mut quarantine, &Command::Keep(notice("EV-1"))), 1);
        assert_eq!(told(&mut quarantine, &Command::Keep(notice("EV-1"))), 0, "a repetition");
        assert_eq!(quarantine.open().count(), 1);
        assert_eq!(told(&mut quarantine, &resolve("EV-1", None)), 1);
        assert_eq!(told(&mut quarantine, &resolve("EV-1", None)), 0, "somebody has");
        assert_eq!(quarantine.open().count(), 0);
        let rows = quarantine.apply(&[Kept(Arc::clone(quarantine.notice("EV-1").unwrap()))], 2);
        assert_eq!(Quarantine::from_rows(&rows).unwrap(), quarantine);
    }

    #[test]
    fn a_notice_that_left_memory_is_seen_to_as_it_is_stored() {
        let mut quarantine = Quarantine::default();
        assert_eq!(quarantine.decide(&resolve("EV-1", None), NOW), Err(Rejection::NoticeNotFound));
        assert_eq!(told(&mut quarantine, &resolve("EV-1", Some(notice("EV-1")))), 1);
    }
}

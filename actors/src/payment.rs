//! The payment supervisor: keeps what the provider says and no order can use. It may be real money, so it is written
//! down and reported, and nothing else happens by itself (R-PAY-06): a person sees to it and says so.

use std::sync::Arc;

use deeptravel_domain::quarantine::{Command, Kept, NOTICES_KEPT_MAX, Notice, Quarantine};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row::{Damage, Row as _, Rows};
use deeptravel_domain::time::Timestamp;

use crate::ask::{NOT_TOLD_APART, fingerprint_of};
use crate::keeper::{Keeping, Shown};
use crate::ports::{KeyVersionRow, Load, Parameter, Statement};
use crate::services::Services;

/// See the module's documentation.
#[derive(Debug)]
pub enum Doubtful {}

/// One notice.
pub const LOAD_ONE: Load = Load::of(&[Statement::by("load/quarantined_notice", Notice::TABLE, "notice_id")]);

impl Keeping for Doubtful {
    type Machine = Quarantine;
    /// The notice as it is then.
    type Answer = Option<Arc<Notice>>;

    const KEY: &'static str = "payments";
    const KIND: &'static str = "payment supervisor";
    const SHOWN: Shown = Shown::Appended;
    /// At most so many notices, open ones first, of these and of the others the newest; and the newest version of any.
    const LOAD: Load = Load::of(&[
        Statement::new("load/quarantine", Notice::TABLE),
        Statement::new("load/quarantine_version", KeyVersionRow::TABLE),
    ]);

    fn parameters(_: Timestamp) -> Vec<Parameter> {
        vec![Parameter::Number(NOTICES_KEPT_MAX.into())]
    }

    fn fingerprint(command: &Command) -> u64 {
        match command {
            Command::Keep(notice) => fingerprint_of(&notice.notice_id),
            Command::Resolve { .. } => NOT_TOLD_APART,
        }
    }

    fn read(rows: &Rows, _: Timestamp) -> Result<Quarantine, Damage> {
        Quarantine::from_rows(rows)
    }

    fn begin(services: &Services, quarantine: &Quarantine) {
        services.attention.set_quarantine(quarantine.open().map(|notice| notice.received_at).collect());
    }

    fn show(services: &Services, quarantine: &Quarantine, events: &[Kept]) {
        Doubtful::begin(services, quarantine);
        for Kept(notice) in events {
            let Notice { out_trade_no: number, reason, .. } = &**notice;
            if notice.resolved_at.is_none() {
                tracing::error!(payment = %number, %reason, "A notice about {number} is put in quarantine: {reason}");
            }
        }
    }

    fn answer(quarantine: &Quarantine, command: &Command, events: &[Kept]) -> Result<Option<Arc<Notice>>, Rejection> {
        let (id, stored) = match command {
            Command::Keep(notice) => (&notice.notice_id, None),
            Command::Resolve { notice, stored, .. } => (notice, stored.as_ref()),
        };
        let now = events.iter().map(|Kept(notice)| notice).find(|notice| notice.notice_id == *id);
        Ok(now.or_else(|| quarantine.notice(id)).cloned().or_else(|| stored.cloned().map(Arc::new)))
    }
}

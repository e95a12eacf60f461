//! The payment supervisor: keeps what the provider says and no order can use. It may be real money, so it is written
//! down and reported, and nothing else happens by itself (R-PAY-06): a person sees to it and says so.

use std::sync::Arc;

use deeptravel_domain::ids::OutTradeNo;
use deeptravel_domain::quarantine::{Command, Kept, NOTICES_KEPT_MAX, Notice, Quarantine};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::row;
use deeptravel_domain::row::{Damage, First, Row as _, Rows};
use deeptravel_domain::time::Timestamp;
use deeptravel_domain::transactions::{ENTRIES_MAX, KNOWN_SECONDS, Transactions};

use crate::ask::{NOT_TOLD_APART, fingerprint_of};
use crate::keeper::{Keeping, Shown};
use crate::ports::{Haste, KeyVersionRow, Load, Parameter, Statement, lowest_id};
use crate::registry::StartError;
use crate::services::Services;

/// See the module's documentation.
#[derive(Debug)]
pub enum Doubtful {}

row! {
    /// A payment that was paid, and by what.
    pub struct TransactionRow<'a>: 1_003 "transactions", First::Unknown;
    1 out_trade_no [Key]: OutTradeNo,
    2 transaction_id: &'a str,
}

/// What has paid recent orders; its parameters are [`recent_transactions`].
pub const LOAD_TRANSACTIONS: Load = Load::of(&[Statement::new("load/transactions", TransactionRow::TABLE)]);

/// Of orders that are not older than what is known of transactions.
pub fn recent_transactions(now: Timestamp) -> Vec<Parameter> {
    vec![lowest_id(now.plus_seconds(-KNOWN_SECONDS)), Parameter::Number(ENTRIES_MAX as i64)]
}

/// What is known at the start: everything that was written down. What was only on its way is told again.
pub async fn load_transactions(services: &Services) -> Result<Transactions, StartError> {
    let now = services.clock.now();
    let rows = services.store.load(LOAD_TRANSACTIONS, recent_transactions(now), Haste::Start).await?;
    let mut transactions = Transactions::default();
    for row in rows.of::<TransactionRow<'_>>() {
        let TransactionRow { out_trade_no, transaction_id } = row?;
        if !transactions.claim(transaction_id, out_trade_no, now) {
            tracing::error!(payment = %out_trade_no, "Another payment has {out_trade_no}'s transaction, too");
        }
    }
    Ok(transactions)
}

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

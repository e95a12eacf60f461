//! What the provider says and no order can use. It may be real money: it is kept until a person has seen to it (R-PAY-06).

use crate::row;
use crate::row::First;
use crate::time::Timestamp;

row! {
    /// A notice that was signed by the provider but does not fit any order.
    pub struct QuarantineRow<'a>: 15 "quarantine", First::Unknown;
    /// The provider's id of the notice.
    1 notice_id [Key]: &'a str,
    2 version: u64,
    3 out_trade_no: &'a str,
    4 transaction_id: Option<&'a str>,
    5 reason: &'a str,
    /// What the provider said, decrypted, as JSON. It may name the payer.
    6 notice [Hidden]: &'a str,
    7 received_at: Timestamp,
    /// When somebody had seen to it.
    8 resolved_at: Option<Timestamp>,
    /// The account that did.
    9 resolved_by: Option<&'a str>,
    /// What was done, in a person's words.
    10 note [Hidden]: Option<&'a str>,
}

/// A notice in quarantine, as its owner keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notice {
    /// The provider's id; of what a query brought, `query/` and the number that was asked about.
    pub id: String,
    /// The number that it names, whosever it is.
    pub out_trade_no: String,
    pub transaction_id: Option<String>,
    /// Why it fits no order.
    pub reason: String,
    /// What the provider said, decrypted, as JSON.
    pub said: String,
    pub received_at: Timestamp,
    pub resolved: Option<Resolved>,
}

/// Who has seen to a notice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved {
    pub at: Timestamp,
    /// User name of the account.
    pub by: String,
    /// What was done.
    pub note: Option<String>,
}

impl Notice {
    pub fn row(&self, version: u64) -> QuarantineRow<'_> {
        let resolved = self.resolved.as_ref();
        QuarantineRow {
            notice_id: &self.id,
            version,
            out_trade_no: &self.out_trade_no,
            transaction_id: self.transaction_id.as_deref(),
            reason: &self.reason,
            notice: &self.said,
            received_at: self.received_at,
            resolved_at: resolved.map(|resolved| resolved.at),
            resolved_by: resolved.map(|resolved| resolved.by.as_str()),
            note: resolved.and_then(|resolved| resolved.note.as_deref()),
        }
    }

    pub fn from_row(row: &QuarantineRow<'_>) -> Notice {
        let resolved = row.resolved_at.map(|at| Resolved {
            at,
            by: row.resolved_by.unwrap_or_default().to_owned(),
            note: row.note.map(str::to_owned),
        });
        Notice {
            id: row.notice_id.to_owned(),
            out_trade_no: row.out_trade_no.to_owned(),
            transaction_id: row.transaction_id.map(str::to_owned),
            reason: row.reason.to_owned(),
            said: row.notice.to_owned(),
            received_at: row.received_at,
            resolved,
        }
    }
}

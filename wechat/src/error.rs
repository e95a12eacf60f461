//! What can become of a call. A definite refusal, "no such order", and an unknown outcome are three different things:
//! only the first two are facts, the third is answered by a replay or a query and never treated as failure. What to do
//! about each error code is one table, [`advise`].

use std::fmt;

use crate::verify::VerifyError;

/// Provider codes in the normalised form of [`CallError::Refused`]: upper case, without underscores, because WeChat
/// spells them both ways.
pub mod code {
    /// The order number was used with other parameters, or is already paid or closed.
    pub const OUT_TRADE_NO_USED: &str = "OUTTRADENOUSED";
    /// The transaction is closed.
    pub const ORDER_CLOSED: &str = "ORDERCLOSED";
    /// The transaction is paid.
    pub const ORDER_PAID: &str = "ORDERPAID";
    /// No such transaction.
    pub const ORDER_NOT_EXIST: &str = "ORDERNOTEXIST";
    /// No such refund; when a refund is asked for: no such transaction, or an unpaid one.
    pub const RESOURCE_NOT_EXISTS: &str = "RESOURCENOTEXISTS";
    /// The payer is typing the password.
    pub const USER_PAYING: &str = "USERPAYING";
    /// Our signature, serial or clock is not accepted.
    pub const SIGN_ERROR: &str = "SIGNERROR";
    /// A field is not valid.
    pub const PARAM_ERROR: &str = "PARAMERROR";
    /// The request as a whole is not valid; also seen for a repeated create with changed parameters.
    pub const INVALID_REQUEST: &str = "INVALIDREQUEST";
    /// The mini program does not belong to the merchant.
    pub const APPID_MCHID_NOT_MATCH: &str = "APPIDMCHIDNOTMATCH";
    /// No such merchant.
    pub const MCH_NOT_EXISTS: &str = "MCHNOTEXISTS";
    /// The merchant may not do this.
    pub const NO_AUTH: &str = "NOAUTH";
    /// The merchant's account is not in order.
    pub const ACCOUNT_ERROR: &str = "ACCOUNTERROR";
    /// The merchant's balance does not cover the refund.
    pub const NOT_ENOUGH: &str = "NOTENOUGH";
    /// A rule of WeChat's business forbids it.
    pub const RULE_LIMIT: &str = "RULELIMIT";
    /// A trade rule forbids it; the message says which.
    pub const TRADE_ERROR: &str = "TRADEERROR";
    /// The payer's openid is not of this appid.
    pub const OPENID_MISMATCH: &str = "OPENIDMISMATCH";
    /// No transaction id.
    pub const INVALID_TRANSACTION_ID: &str = "INVALIDTRANSACTIONID";
    /// The payer's account is closed or blocked: a refund cannot reach it.
    pub const USER_ACCOUNT_ABNORMAL: &str = "USERACCOUNTABNORMAL";
    /// WeChat holds the refund back.
    pub const REQUEST_BLOCKED: &str = "REQUESTBLOCKED";
    /// Paid too long ago to be refunded.
    pub const TRADE_OVERDUE: &str = "TRADEOVERDUE";
    /// Other amounts than before under this refund number.
    pub const REFUND_FEE_MISMATCH: &str = "REFUNDFEEMISMATCH";
    /// Too many calls.
    pub const FREQUENCY_LIMITED: &str = "FREQUENCYLIMITED";
    /// Too many calls, in another spelling.
    pub const RATE_LIMIT_EXCEEDED: &str = "RATELIMITEXCEEDED";
    /// WeChat is in trouble.
    pub const SYSTEM_ERROR: &str = "SYSTEMERROR";
    /// The bank is in trouble.
    pub const BANK_ERROR: &str = "BANKERROR";
    /// WeChat is not there.
    pub const SERVICE_UNAVAILABLE: &str = "SERVICEUNAVAILABLE";
}

/// Which call was answered: one code means different things to different calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Query,
    Close,
    Refund,
    QueryRefund,
    Certificates,
}

/// What to do about an answer that is not the operation's success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It did not happen, and repeating cannot help.
    Refused,
    /// The number is known there, or may be: only a query tells what became of it.
    Query,
    /// It seems to be paid: a query brings the proof.
    QueryPaid,
    /// It did not happen for want of money in the merchant's account. The same bytes again once that is mended.
    TopUp,
    /// Nothing is known, and we ask too often: wait, query, then the same bytes.
    BackOff,
    /// Nothing is known: query or repeat the same bytes.
    Repeat,
    /// Our key, clock, rights or account are wrong: alarm somebody, do not loop.
    Configuration,
    /// It is not there, or not yet.
    Absent,
}

/// What each answer means, by normalised code and status; `code` is empty when the answer is not a provider's error body.
/// The rows are WeChat's tables for each call. One code comes with different statuses, so that the code goes first; a
/// code in no table is taken for a fact that only a query can explain.
pub fn advise(operation: Operation, status: u16, code: &str) -> Advice {
    use Operation::{Certificates, Close, Create, Query, QueryRefund, Refund};

    match (operation, code) {
        (_, code::SIGN_ERROR) => Advice::Configuration,
        _ if status == 401 => Advice::Configuration,
        (_, code::FREQUENCY_LIMITED | code::RATE_LIMIT_EXCEEDED) => Advice::BackOff,
        _ if status == 429 => Advice::BackOff,
        (_, code::SYSTEM_ERROR | code::BANK_ERROR | code::SERVICE_UNAVAILABLE) => Advice::Repeat,
        _ if matches!(status, 300..=399 | 408 | 500..) => Advice::Repeat,
        // A bare status may come from anything between us and WeChat.
        (_, "") => Advice::Repeat,

        (_, code::APPID_MCHID_NOT_MATCH | code::MCH_NOT_EXISTS | code::NO_AUTH | code::ACCOUNT_ERROR) => {
            Advice::Configuration
        }
        (Create | Query | Close, code::ORDER_PAID) => Advice::QueryPaid,
        (Query | Close, code::ORDER_NOT_EXIST) if status == 404 => Advice::Absent,
        (QueryRefund | Certificates, code::RESOURCE_NOT_EXISTS) if status == 404 => Advice::Absent,

        (
            Create,
            code::PARAM_ERROR
            | code::RULE_LIMIT
            | code::TRADE_ERROR
            | code::NOT_ENOUGH
            | code::OPENID_MISMATCH
            | code::INVALID_TRANSACTION_ID,
        ) => Advice::Refused,
        // Used, closed, paid, changed, or a code that we do not know.
        (Create, _) => Advice::Query,

        // Whatever is said instead of 204, the state decides.
        (Close, _) => Advice::Query,

        (Refund, code::NOT_ENOUGH) => Advice::TopUp,
        // That the transaction is not there or not paid is final: nothing is refunded before we saw it paid.
        (
            Refund,
            code::PARAM_ERROR
            | code::RESOURCE_NOT_EXISTS
            | code::ORDER_NOT_EXIST
            | code::USER_ACCOUNT_ABNORMAL
            | code::REQUEST_BLOCKED
            | code::TRADE_OVERDUE
            | code::INVALID_TRANSACTION_ID,
        ) => Advice::Refused,
        // Other amounts, too many, too soon after the last one, or a code that we do not know.
        (Refund, _) => Advice::Query,

        (Query | QueryRefund | Certificates, code::RULE_LIMIT | code::TRADE_ERROR) => Advice::BackOff,
        (Query | QueryRefund | Certificates, _) => Advice::Refused,
    }
}

/// Longest provider message that is kept, in characters: enough to diagnose, short enough for a log line.
const MAX_MESSAGE_CHARS: usize = 200;

/// Why a payment call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A definite answer of the provider: the operation did not take place by this call. `code` is normalised (see
    /// [`code`]); decide by `advice` and never by `message`. 4xx answers are not signed, so this rests on TLS alone.
    #[error("refused with {status} {code}: {message}")]
    Refused { status: u16, code: String, message: String, advice: Advice },
    /// The provider knows no such transaction, or no such refund.
    #[error("the provider knows no such transaction or refund")]
    NotFound,
    /// It may have happened or not. Repeat the same bytes, or query.
    #[error("outcome unknown: {reason}")]
    Unknown { reason: UnknownReason },
}

impl CallError {
    /// What to do now.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Refused { advice, .. } => *advice,
            Self::NotFound => Advice::Absent,
            Self::Unknown { reason: UnknownReason::NotAccepted(_) } => Advice::Configuration,
            Self::Unknown { reason: UnknownReason::Status(429) } => Advice::BackOff,
            Self::Unknown { .. } => Advice::Repeat,
        }
    }

    /// One of WeChat's own probes; they are not repeated.
    pub(crate) fn is_probe(&self) -> bool {
        matches!(self, Self::Unknown { reason: UnknownReason::Unverified(VerifyError::SignTest) })
    }

    /// The meaning of an answer that is not the operation's success.
    pub(crate) fn of_answer(operation: Operation, status: u16, code: &str, message: &str) -> Self {
        let code = normalise_code(code);
        match advise(operation, status, &code) {
            Advice::Absent => Self::NotFound,
            Advice::Repeat => UnknownReason::Status(status).into(),
            Advice::BackOff => UnknownReason::Status(429).into(),
            // Somebody else with our keys may have done it before: only a call that is let in can tell.
            Advice::Configuration if status == 401 || code == code::SIGN_ERROR => {
                UnknownReason::NotAccepted(short_message(message)).into()
            }
            advice @ (Advice::Refused | Advice::Query | Advice::QueryPaid | Advice::TopUp | Advice::Configuration) => {
                Self::Refused { status, code, message: short_message(message), advice }
            }
        }
    }
}

/// Why the outcome of a call is unknown. Carries no address, token or body, so it may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownReason {
    /// No complete answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection.
    #[error("no connection to the provider")]
    Connect,
    /// The connection broke before the answer was complete.
    #[error("the connection broke")]
    Transport,
    /// 5xx, a redirect, or an error status without a provider's error body; 429 stands for every limit of their number.
    #[error("status {0}")]
    Status(u16),
    /// 401: our signature, key, serial or clock is wrong. Repeating cannot help before somebody has mended it.
    #[error("WeChat does not accept our signature: {0}")]
    NotAccepted(String),
    /// A 2xx that does not verify.
    #[error("answer not verified: {0}")]
    Unverified(VerifyError),
    /// A verified 2xx that is not what the operation answers, or an answer that is too large.
    #[error("answer not understood: {0}")]
    Malformed(&'static str),
    /// The crypto library failed; nothing was sent.
    #[error("the request could not be signed")]
    Signing,
}

impl From<UnknownReason> for CallError {
    fn from(reason: UnknownReason) -> Self {
        Self::Unknown { reason }
    }
}

impl From<&reqwest::Error> for UnknownReason {
    fn from(error: &reqwest::Error) -> Self {
        // A connect timeout is both.
        if error.is_connect() {
            Self::Connect
        } else if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Transport
        }
    }
}

/// Why a mini-program login did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The code is wrong, expired or was used before (40029, 40163): the traveller starts again.
    #[error("the login code is not valid")]
    InvalidCode,
    /// WeChat blocks this user (40226).
    #[error("WeChat blocks this user")]
    Blocked,
    /// Busy or over a limit (-1, 45011): try again later.
    #[error("WeChat is busy")]
    Busy,
    /// Any other error number: our appid, secret or request is wrong. `message` ends with WeChat's request id.
    #[error("refused with {code}: {message}")]
    Refused { code: i64, message: String },
    /// No usable answer; a login may simply be tried again.
    #[error("no usable answer: {0}")]
    Unavailable(UnknownReason),
}

/// Upper case, no underscores: `OUT_TRADE_NO_USED` and `OUTTRADENOUSED` are one code.
pub(crate) fn normalise_code(code: &str) -> String {
    code.chars().filter(|c| *c != '_').map(|c| c.to_ascii_uppercase()).collect()
}

pub(crate) fn short_message(message: &str) -> String {
    message.chars().take(MAX_MESSAGE_CHARS).collect()
}

/// Says what is wrong with a JSON text without repeating any of it: values may be personal.
pub(crate) struct JsonFault<'a>(pub(crate) &'static str, pub(crate) &'a serde_json::Error);

impl fmt::Display for JsonFault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, error) = self;
        write!(f, "{what}: {:?} error at line {} column {}", error.classify(), error.line(), error.column())
    }
}

#[cfg(test)]
mod tests {
    use super::Operation::{Certificates, Close, Create, Query, QueryRefund, Refund};
    use super::*;

    const ALL: [Operation; 6] = [Create, Query, Close, Refund, QueryRefund, Certificates];
    const PAYMENTS: [Operation; 3] = [Create, Query, Close];
    const REFUNDS: [Operation; 2] = [Refund, QueryRefund];

    type Row<'a> = (&'a [Operation], u16, &'a str, Advice);

    fn hold(rows: &[Row<'_>]) {
        for (operations, status, code, expected) in rows {
            for operation in *operations {
                for spelling in [(*code).to_owned(), code.replace('_', ""), code.to_lowercase()] {
                    let advice = CallError::of_answer(*operation, *status, &spelling, "why").advice();
                    assert_eq!(advice, *expected, "{operation:?} {status} {spelling}");
                }
            }
        }
    }

    #[test]
    fn each_error_of_a_payment_says_what_to_do() {
        hold(&[
            (&[Close], 202, "USER_PAYING", Advice::Query),
            (&[Create], 400, "PARAM_ERROR", Advice::Refused),
            (&[Query], 400, "PARAM_ERROR", Advice::Refused),
            (&[Close], 400, "PARAM_ERROR", Advice::Query),
            (&[Create], 400, "INVALID_REQUEST", Advice::Query),
            (&[Query], 400, "INVALID_REQUEST", Advice::Refused),
            (&[Close], 400, "INVALID_REQUEST", Advice::Query),
            (&PAYMENTS, 400, "APPID_MCHID_NOT_MATCH", Advice::Configuration),
            (&PAYMENTS, 400, "MCH_NOT_EXISTS", Advice::Configuration),
            (&PAYMENTS, 404, "MCH_NOT_EXISTS", Advice::Configuration),
            (&[Create, Close], 400, "ORDER_CLOSED", Advice::Query),
            (&PAYMENTS, 400, "ORDER_PAID", Advice::QueryPaid),
            (&ALL, 401, "SIGN_ERROR", Advice::Configuration),
            (&ALL, 403, "NO_AUTH", Advice::Configuration),
            (&ALL, 403, "ACCOUNT_ERROR", Advice::Configuration),
            (&[Create], 403, "RULE_LIMIT", Advice::Refused),
            (&[Query], 403, "RULE_LIMIT", Advice::BackOff),
            (&[Close], 403, "RULE_LIMIT", Advice::Query),
            (&[Create], 403, "TRADE_ERROR", Advice::Refused),
            (&[Query], 403, "TRADE_ERROR", Advice::BackOff),
            (&[Close], 403, "TRADE_ERROR", Advice::Query),
            (&[Create], 403, "NOT_ENOUGH", Advice::Refused),
            (&[Create], 403, "OUT_TRADE_NO_USED", Advice::Query),
            (&[Query, Close], 404, "ORDER_NOT_EXIST", Advice::Absent),
            (&ALL, 429, "FREQUENCY_LIMITED", Advice::BackOff),
            (&ALL, 429, "RATELIMIT_EXCEEDED", Advice::BackOff),
            (&ALL, 403, "FREQUENCY_LIMITED", Advice::BackOff),
            (&ALL, 500, "SYSTEM_ERROR", Advice::Repeat),
            (&ALL, 500, "BANK_ERROR", Advice::Repeat),
            (&ALL, 500, "OPENID_MISMATCH", Advice::Repeat),
            (&ALL, 500, "INVALID_TRANSACTIONID", Advice::Repeat),
            (&ALL, 502, "SERVICE_UNAVAILABLE", Advice::Repeat),
            (&ALL, 503, "SERVICE_UNAVAILABLE", Advice::Repeat),
        ]);
    }

    #[test]
    fn each_error_of_a_refund_says_what_to_do() {
        hold(&[
            (&REFUNDS, 400, "PARAM_ERROR", Advice::Refused),
            (&[Refund], 400, "INVALID_REQUEST", Advice::Query),
            (&[QueryRefund], 400, "INVALID_REQUEST", Advice::Refused),
            (&[Refund], 403, "NOT_ENOUGH", Advice::TopUp),
            (&[Refund], 403, "USER_ACCOUNT_ABNORMAL", Advice::Refused),
            (&[Refund], 403, "REQUEST_BLOCKED", Advice::Refused),
            (&[Refund], 404, "RESOURCE_NOT_EXISTS", Advice::Refused),
            (&[QueryRefund], 404, "RESOURCE_NOT_EXISTS", Advice::Absent),
            (&REFUNDS, 404, "MCH_NOT_EXISTS", Advice::Configuration),
            (&[Refund], 400, "TRADE_OVERDUE", Advice::Refused),
            (&[Refund], 403, "REFUND_FEE_MISMATCH", Advice::Query),
            (&[Certificates], 404, "RESOURCE_NOT_EXISTS", Advice::Absent),
        ]);
    }

    #[test]
    fn a_code_in_no_table_is_explained_by_a_query_and_never_taken_for_nothing() {
        hold(&[
            (&[Create, Close, Refund], 400, "SOMETHING_NEW", Advice::Query),
            (&[Query, QueryRefund], 403, "SOMETHING_NEW", Advice::Refused),
            (&[Create], 404, "ORDER_NOT_EXIST", Advice::Query),
            (&[Query], 400, "ORDER_NOT_EXIST", Advice::Refused),
            (&ALL, 404, "", Advice::Repeat),
            (&ALL, 405, "", Advice::Repeat),
            (&ALL, 200, "", Advice::Repeat),
            (&ALL, 302, "", Advice::Repeat),
            (&ALL, 401, "", Advice::Configuration),
            (&ALL, 429, "", Advice::BackOff),
        ]);
    }

    #[test]
    fn r11_only_a_definite_answer_is_a_refusal() {
        for operation in ALL {
            for status in [302, 401, 408, 429, 500, 502, 503, 599] {
                for code in ["", "PARAM_ERROR", "SIGN_ERROR", "NO_AUTH", "ORDER_NOT_EXIST", "SYSTEM_ERROR"] {
                    let error = CallError::of_answer(operation, status, code, "why");
                    assert!(matches!(error, CallError::Unknown { .. }), "{operation:?} {status} {code}: {error}");
                }
            }
        }
        let wrong_clock = CallError::of_answer(Create, 401, "SIGN_ERROR", "timestamp");
        assert_eq!(wrong_clock, UnknownReason::NotAccepted("timestamp".into()).into());
    }
}

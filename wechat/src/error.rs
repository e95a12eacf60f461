//! What can become of a call. A definite refusal, "no such order", and an unknown outcome are three different things:
//! only the first two are facts, the third is answered by a replay or a query and never treated as failure.

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
    /// Our signature, serial or clock is not accepted.
    pub const SIGN_ERROR: &str = "SIGNERROR";
    /// A field is not valid.
    pub const PARAM_ERROR: &str = "PARAMERROR";
    /// The request as a whole is not valid; also seen for a repeated create with changed parameters.
    pub const INVALID_REQUEST: &str = "INVALIDREQUEST";
}

/// Longest provider message that is kept, in characters: enough to diagnose, short enough for a log line.
const MAX_MESSAGE_CHARS: usize = 200;

/// Why a payment call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A definite answer of the provider: the operation did not take place. `code` is normalised (see [`code`]);
    /// decide by it and never by `message`. 4xx answers are not signed, so this rests on TLS alone.
    #[error("refused with {status} {code}: {message}")]
    Refused { status: u16, code: String, message: String },
    /// The provider knows no such transaction.
    #[error("the provider knows no such transaction")]
    NotFound,
    /// It may have happened or not. Repeat the same bytes, or query.
    #[error("outcome unknown: {reason}")]
    Unknown { reason: UnknownReason },
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
    /// 5xx, 429, a redirect, or an error status without a provider's error body.
    #[error("status {0}")]
    Status(u16),
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
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
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

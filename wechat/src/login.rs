//! code2Session of the mini-program server API: a login code becomes the traveller's openid.

use serde::Deserialize;

use crate::error::{LoginError, UnknownReason, short_message};

/// Who logged in. WeChat's `session_key` is dropped unread: nothing here needs it, and it must not leak.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    pub openid: String,
}

/// Success has no `errcode` or 0; numbers may arrive as strings; the content type may be `text/plain`.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    openid: Option<String>,
    #[serde(default)]
    errcode: Option<Number>,
    #[serde(default)]
    errmsg: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Integer(i64),
    Text(String),
}

impl Number {
    fn value(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// Reads the body of a 200 answer.
pub(crate) fn read_answer(body: &[u8]) -> Result<Session, LoginError> {
    let unreadable = || LoginError::Unavailable(UnknownReason::Malformed("not a code2Session answer"));
    let answer: Answer = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let code = match answer.errcode {
        None => 0,
        Some(number) => number.value().ok_or_else(unreadable)?,
    };
    match code {
        0 => answer.openid.filter(|id| !id.is_empty()).map(|openid| Session { openid }).ok_or_else(unreadable),
        40029 | 40163 => Err(LoginError::InvalidCode),
        40226 => Err(LoginError::Blocked),
        -1 | 45011 => Err(LoginError::Busy),
        code => Err(LoginError::Refused { code, message: short_message(&answer.errmsg.unwrap_or_default()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_openid_without_errcode_or_with_zero_is_a_login() {
        for body in [
            r#"{"openid":"o1","session_key":"k"}"#,
            r#"{"openid":"o1","errcode":0,"errmsg":"ok"}"#,
            r#"{"openid":"o1","errcode":"0"}"#,
        ] {
            assert_eq!(read_answer(body.as_bytes()).unwrap().openid, "o1");
        }
    }

    #[test]
    fn each_error_number_means_something_to_the_caller() {
        for (body, expected) in [
            (r#"{"errcode":40029,"errmsg":"invalid code"}"#, LoginError::InvalidCode),
            (r#"{"errcode":"40163"}"#, LoginError::InvalidCode),
            (r#"{"errcode":40226}"#, LoginError::Blocked),
            (r#"{"errcode":-1}"#, LoginError::Busy),
            (r#"{"errcode":45011}"#, LoginError::Busy),
            (r#"{"errcode":40125,"errmsg":"bad"}"#, LoginError::Refused { code: 40125, message: "bad".into() }),
        ] {
            assert_eq!(read_answer(body.as_bytes()), Err(expected));
        }
    }

    #[test]
    fn an_answer_without_meaning_is_unavailable_and_not_a_refusal() {
        for body in ["", "<html>", "{}", r#"{"openid":""}"#, r#"{"errcode":"many"}"#, "[]"] {
            assert!(matches!(read_answer(body.as_bytes()), Err(LoginError::Unavailable(_))), "{body}");
        }
    }
}

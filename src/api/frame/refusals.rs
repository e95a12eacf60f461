//! What is refused without asking the domain: one line for each code. The domain's refusals are in its own table; [`all`]
//! has both, for the document and for `docs/errors.md`.

use actix_web::http::StatusCode;
use deeptravel_domain::rejection::{self, Kind, Rejection};

use Again::{After, Later, Never};

/// Whether the same request may succeed when it is made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    Never,
    Later,
    /// Later, and not before so many seconds.
    After(u32),
}

/// A line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// On the wire; it never changes.
    pub code: &'static str,
    pub status: StatusCode,
    pub again: Again,
    /// For people, where nothing more can be said.
    pub text: &'static str,
}

/// Makes of each line a constant, and of all `TABLE`.
macro_rules! refusals {
    ($($code:ident $status:ident $again:expr, $text:literal;)*) => {
        $(pub const $code: Refusal =
            Refusal { code: stringify!($code), status: StatusCode::$status, again: $again, text: $text };)*

        const TABLE: &[Refusal] = &[$($code),*];
    };
}

refusals! {
    // The request cannot be read.
    BAD_REQUEST BAD_REQUEST Never, "the request cannot be understood";
    MALFORMED_REQUEST BAD_REQUEST Later, "the body could not be read to its end";
    MALFORMED_JSON BAD_REQUEST Never, "the body is no JSON";
    IDEMPOTENCY_KEY_REQUIRED BAD_REQUEST Never,
        "the Idempotency-Key header is required: 1 to 64 visible ASCII characters";
    MALFORMED_NOTIFICATION BAD_REQUEST Never, "a genuine notice cannot be read";
    REQUEST_TIMEOUT REQUEST_TIMEOUT Later, "the body did not arrive in time";
    HEAD_TOO_LARGE REQUEST_HEADER_FIELDS_TOO_LARGE Never, "the head of the request is too large";
    PAYLOAD_TOO_LARGE PAYLOAD_TOO_LARGE Never, "the body is too large";
    UNSUPPORTED_MEDIA_TYPE UNSUPPORTED_MEDIA_TYPE Never, "the body has to be application/json";
    INVALID_PARAMETER UNPROCESSABLE_ENTITY Never, "a parameter of a partner's call is not acceptable";
    EXPECTATION_FAILED EXPECTATION_FAILED Never, "nothing is known but Expect: 100-continue";

    // Who asks, and whether he may.
    UNAUTHENTICATED UNAUTHORIZED Never, "the token is missing, unknown, revoked or has expired, or the password is wrong";
    INVALID_LOGIN_CODE UNAUTHORIZED Never, "the login code is wrong, has expired or was used before";
    INVALID_SIGNATURE UNAUTHORIZED Never, "the message is not signed by its sender, or not lately";
    DEVICE_MISMATCH UNAUTHORIZED Never, "X-Device-Secret is not the one of this session's device";
    API_KEY_REQUIRED UNAUTHORIZED Never, "the X-API-Key header is required";
    INVALID_API_KEY UNAUTHORIZED Never, "the key is unknown or revoked, or its partner may not call";
    FORBIDDEN FORBIDDEN Never, "the account or the kind of token has no permission for this";
    LOGIN_BLOCKED FORBIDDEN Never, "WeChat blocks this user";
    RATE_LIMITED TOO_MANY_REQUESTS Later, "too many wrong passwords for this name or from this address, or too many calls with your keys";

    // It is not there.
    NOT_FOUND NOT_FOUND Never, "there is nothing at this path";
    METHOD_NOT_ALLOWED METHOD_NOT_ALLOWED Never, "the path does not have this method";
    SESSION_NOT_FOUND NOT_FOUND Never, "there is no such open session of yours";
    LOOK_REQUIRED CONFLICT Never, "the session has not looked at the order in the last 10 minutes, and no code was given";

    // Load and outages; nothing was lost.
    STARTING SERVICE_UNAVAILABLE After(1), "the server is starting";
    OVERLOADED SERVICE_UNAVAILABLE After(1), "too much is under way";
    REBUILDING SERVICE_UNAVAILABLE After(1), "this part is being rebuilt after a fault";
    SET_ASIDE SERVICE_UNAVAILABLE After(60), "this request was set aside because it caused a fault twice";
    STORAGE_UNAVAILABLE SERVICE_UNAVAILABLE After(2), "the database is not available";
    NOT_DURABLE SERVICE_UNAVAILABLE After(5), "nothing can be made durable now";
    STORAGE_FULL SERVICE_UNAVAILABLE After(30), "there is no space to write this down now";
    LOGIN_BUSY SERVICE_UNAVAILABLE After(2), "WeChat is busy";
    LOGIN_PROVIDER BAD_GATEWAY After(2), "WeChat gives no usable answer; try again";
    PAYMENT_PROVIDER BAD_GATEWAY After(2), "the payment provider gives no answer; ask again";

    INTERNAL_ERROR INTERNAL_SERVER_ERROR Never, "a fault of ours, which is in the log under the request's id";
}

impl From<&rejection::Refusal> for Refusal {
    fn from(&rejection::Refusal { code, kind, retry, text }: &rejection::Refusal) -> Refusal {
        let status = match kind {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Unacceptable => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
        };
        let again = match retry {
            rejection::Retry::Never => Never,
            rejection::Retry::Later => Later,
        };
        Refusal { code, status, again, text }
    }
}

/// Both tables, ours first.
pub fn all() -> impl Iterator<Item = Refusal> {
    TABLE.iter().copied().chain(Rejection::ALL.iter().map(Refusal::from))
}

/// Every code, for the document.
pub fn codes() -> Vec<&'static str> {
    all().map(|refusal| refusal.code).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use deeptravel_domain::rejection::ScanRejection;

    use super::*;

    #[test]
    fn a_code_stands_for_one_refusal() {
        let codes: BTreeSet<&str> = all().map(|refusal| refusal.code).collect();
        assert_eq!(codes.len(), all().count());
    }

    fn again(again: Again) -> String {
        match again {
            Never => "no".to_owned(),
            Later => "yes".to_owned(),
            After(seconds) => format!("after {seconds} s"),
        }
    }

    /// What a refusal fills in is not known here.
    fn plain(text: &str) -> String {
        let mut parts = text.split(['{', '}']);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.skip(1).step_by(2).fold(first, |text, part| text + "…" + part)
    }

    const HEAD: &str = "\
# Errors

Every error is `application/problem+json` with one of these codes. *Again*: whether the same request may succeed when it
is made again; the seconds are the `Retry-After` header's. For … the answer fills something in. This page is written by
`DEEPTRAVEL_REWRITE=1 cargo test -p deeptravel --lib errors`.

| code | status | means | again |
|---|---|---|---|
";

    const REASONS: &str = "
## Reasons at the gate

A refused scan is answered with 200, `result: \"reject\"` and one of these reasons. Where several apply, the one that
stands first here is given.

| reason | means | again |
|---|---|---|
";

    fn page() -> String {
        let mut page = HEAD.to_owned();
        for refusal in all() {
            let Refusal { code, status, text, .. } = refusal;
            writeln!(page, "| `{code}` | {} | {} | {} |", status.as_u16(), plain(text), again(refusal.again)).unwrap();
        }
        page.push_str(REASONS);
        for reason in ScanRejection::ALL {
            let refusal = Refusal::from(reason);
            writeln!(page, "| `{}` | {} | {} |", refusal.code, plain(refusal.text), again(refusal.again)).unwrap();
        }
        page
    }

    #[test]
    fn the_page_of_errors_is_what_the_tables_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
        if std::env::var_os("DEEPTRAVEL_REWRITE").is_some() {
            fs::write(&path, page()).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap_or_default() == page(), "write it anew with DEEPTRAVEL_REWRITE=1");
    }
}

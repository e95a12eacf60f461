//! The id of a request: in the log, in `X-Request-Id`, and in every problem document.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderName, HeaderValue};
use uuid::fmt::Simple;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a client.
const REQUEST_ID_LEN_MAX: usize = 64;

/// The id of the request, as it stands in the log and in `X-Request-Id`.
pub(super) fn request_id(request: &ServiceRequest) -> HeaderValue {
    let given = request.headers().get(&REQUEST_ID).filter(|id| is_sane(id.as_bytes()));
    given.cloned().unwrap_or_else(fresh_id)
}

/// An id that nobody has.
pub(super) fn fresh_id() -> HeaderValue {
    let mut digits = [0; Simple::LENGTH];
    let fresh = uuid::Uuid::now_v7().simple().encode_lower(&mut digits);
    HeaderValue::from_str(fresh).expect("hexadecimal digits are a header value")
}

fn is_sane(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_taken_over_only_if_it_is_harmless() {
        assert!(is_sane(b"01HZX-3_a.b"));
        for id in ["", "a b", "a\"b", "é", &"a".repeat(65)] {
            assert!(!is_sane(id.as_bytes()), "{id}");
        }
    }
}

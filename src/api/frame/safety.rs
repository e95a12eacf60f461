//! Headers that tell browsers what never to do with an answer.

use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// Answers are data: they load nothing and stand in no frame.
pub(super) const DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The pages of the contract, as Swagger UI needs them: its own scripts, styles that these set, icons within styles.
const DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A year.
const TLS_ONLY: &str = "max-age=31536000";

/// The content security policy of what stands at a path.
pub(super) fn policy(path: &str) -> &'static str {
    if path.starts_with("/docs/") { DOCS } else { DATA }
}

/// Adds them. `is_secure`: clients come by TLS.
pub(super) fn add(headers: &mut HeaderMap, policy: &'static str, is_secure: bool) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if is_secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_ONLY));
    }
}

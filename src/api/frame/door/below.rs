//! Answers to what never becomes a request: written as they go over the wire, because nothing above them is there.

use std::io::Write as _;
use std::time::SystemTime;

use actix_web::body::MessageBody as _;
use actix_web::http::header::HttpDate;

use crate::api::frame::problem::Problem;
use crate::api::frame::request_id::fresh_id;

/// The bytes of an answer after which the connection ends. Its id is in the log, at `debug`: whoever is refused here has
/// asked for nothing that we know.
pub(super) fn written(problem: Problem, is_secure: bool) -> Vec<u8> {
    let id = fresh_id();
    let (status, code) = (problem.status(), problem.code());
    tracing::debug!(http.status = status.as_u16(), request.id = id.to_str().unwrap_or_default(), "Refused: {code}");
    let response = problem.respond(&id, is_secure);
    let reason = status.canonical_reason().unwrap_or("error");
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    let (length, date) = (body.len(), HttpDate::from(SystemTime::now()));
    write!(bytes, "content-length: {length}\r\nconnection: close\r\ndate: {date}\r\n\r\n").expect("memory takes all");
    bytes.extend_from_slice(&body);
    bytes
}

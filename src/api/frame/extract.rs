//! What handlers take from a request: a JSON body, the idempotency key, the language. A request that cannot be read is
//! answered with the name of what is wrong in it.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use deeptravel_domain::catalogue::Names;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use utoipa::IntoParams;

use super::problem::Problem;
use super::refusals;
use super::strict::Strict;

/// Largest request body, in bytes (`api.md`): an order of ten passengers is below 4 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// A body has to be complete within this time, so that slow clients do not hold places of the in-flight limit.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest idempotency key, in characters (`api.md`).
const IDEMPOTENCY_KEY_MAX: usize = 64;

/// Reads a body up to a limit, in time.
pub async fn read_body(request: &HttpRequest, payload: &mut Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    if request
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(refusals::UNSUPPORTED_MEDIA_TYPE.saying("a body has to come without a Content-Encoding"));
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    // Most bodies come with the head, in one piece: then no timer is needed, and nothing is copied. The server asks for an
    // answer as soon as it has read the head, and again when it has read what came with it.
    let mut first = payload.next().now_or_never();
    if first.is_none() {
        tokio::task::yield_now().await;
        first = payload.next().now_or_never();
    }
    let first = first.unwrap_or_else(|| Some(Ok(Bytes::new())));
    let Some(first) = first.transpose().map_err(|_| refusals::MALFORMED_REQUEST)? else { return Ok(Bytes::new()) };
    if first.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    if declared == Some(first.len()) {
        return Ok(first);
    }
    let reading = async {
        let mut body = BytesMut::from(&first[..]);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| refusals::MALFORMED_REQUEST)?;
            if body.len() + chunk.len() > bytes_max {
                return Err(too_large(bytes_max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(BODY_READ_TIMEOUT, reading).await.unwrap_or_else(|_| Err(refusals::REQUEST_TIMEOUT.into()))
}

fn too_large(bytes_max: usize) -> Problem {
    refusals::PAYLOAD_TOO_LARGE.saying(format!("a body has at most {bytes_max} bytes"))
}

/// A JSON body of at most so many bytes, not yet understood.
#[derive(Debug)]
pub struct Body<const BYTES_MAX: usize = BODY_BYTES_MAX>(Bytes);

impl<const BYTES_MAX: usize> Body<BYTES_MAX> {
    /// What the body says; see [`parse_json`].
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        parse_json(&self.0)
    }

    /// As [`parse_listed`].
    pub fn listed<T: DeserializeOwned>(self, name: &str) -> Result<T, Problem> {
        parse_listed(name, &self.0)
    }

    /// As [`Body::json`], for a handler that borrows from the body what it need not keep.
    pub fn borrowed<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        parse_json(&self.0)
    }
}

impl<const BYTES_MAX: usize> FromRequest for Body<BYTES_MAX> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Body<BYTES_MAX>, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move { read_json_body(&request, &mut payload, BYTES_MAX).await.map(Body) })
    }
}

/// As [`read_body`], of what says that it is JSON.
pub async fn read_json_body(request: &HttpRequest, payload: &mut Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(refusals::UNSUPPORTED_MEDIA_TYPE.into());
    }
    read_body(request, payload, bytes_max).await
}

/// 400 when it is no JSON, 422 with the field when it is not what was asked for.
pub fn parse_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    // Keeping track of the path costs as much as reading: only a body that is refused is read again for it.
    read_json(body).or_else(|_| read_json_with_paths(body))
}

/// As [`parse_json`], of an object that has one list: it may come without the object around it.
pub fn parse_listed<T: DeserializeOwned>(name: &str, body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return parse_json(&[b"{\"", name.as_bytes(), b"\":", body, b"}"].concat());
    }
    parse_json(body)
}

fn read_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<T> {
    // Here once for the whole body, and not for every string in it.
    let text = std::str::from_utf8(body).map_err(serde_json::Error::custom)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Strict(&mut json))?;
    json.end()?;
    Ok(value)
}

fn read_json_with_paths<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        // The path of the whole body is empty; its name has to be said.
        serde_json::from_slice::<serde::de::IgnoredAny>(body).map_err(|error| malformed(&error))?;
        return Err(Problem::field("body", "is not an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(Strict(&mut json)).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() { wrong_field(&path, &strip_place(&error.to_string())) } else { malformed(&error) }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let place = format!("line {} column {}", error.line(), error.column());
    refusals::MALFORMED_JSON.saying(format!("the body is no JSON: {place}"))
}

/// serde's messages end with a place in the text, which the field's path says better.
fn strip_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(said, _)| said).to_owned()
}

/// A missing or repeated field is reported at the object that lacks it or has it twice: its name is in the message.
pub fn wrong_field(path: &str, message: &str) -> Problem {
    let named = |prefix| message.strip_prefix(prefix).and_then(|rest: &str| rest.strip_suffix('`'));
    let missing = named("missing field `").map(|name| (name, "is missing"));
    let of_object = missing.or_else(|| named("duplicate field `").map(|name| (name, "is there twice")));
    let inside = if path == "." { "" } else { path };
    match of_object {
        Some((name, wrong)) if inside.is_empty() => Problem::field(name.to_owned(), wrong),
        Some((name, wrong)) => Problem::field(format!("{inside}.{name}"), wrong),
        None if inside.is_empty() => Problem::field("body", message.to_owned()),
        None => Problem::field(inside.to_owned(), message.to_owned()),
    }
}

/// The `Idempotency-Key` header, where it is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Box<str>);

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<IdempotencyKey, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(IdempotencyKey::of(request.headers().get(IDEMPOTENCY_KEY)))
    }
}

impl IdempotencyKey {
    fn of(header: Option<&HeaderValue>) -> Result<IdempotencyKey, Problem> {
        let key = header.and_then(|key| key.to_str().ok()).filter(|key| is_visible_ascii(key, IDEMPOTENCY_KEY_MAX));
        key.map(|key| IdempotencyKey(key.into())).ok_or_else(|| {
            Problem::from(refusals::IDEMPOTENCY_KEY_REQUIRED)
                .naming("Idempotency-Key", "is not 1 to 64 visible ASCII characters")
        })
    }
}

/// The same header, where a client may leave it out.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct OptionalKey {
    /// Names the write: told again while it is the newest, it changes nothing more.
    #[param(
        rename = "Idempotency-Key", value_type = Option<String>,
        min_length = 1, max_length = 64, pattern = "^[!-~]+$"
    )]
    pub key: Option<IdempotencyKey>,
}

impl FromRequest for OptionalKey {
    type Error = Problem;
    type Future = Ready<Result<OptionalKey, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get(IDEMPOTENCY_KEY);
        ready(header.map(|key| IdempotencyKey::of(Some(key))).transpose().map(|key| OptionalKey { key }))
    }
}

/// Whether a text has 1 to `len_max` characters, all of them visible ASCII.
pub fn is_visible_ascii(text: &str, len_max: usize) -> bool {
    (1..=len_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// In which language names are shown: English when `Accept-Language` begins with it, else Chinese.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    Chinese,
    English,
}

impl Language {
    pub fn of(self, names: &Names) -> &str {
        self.pick(&names.zh, &names.en)
    }

    pub fn pick<T>(self, chinese: T, english: T) -> T {
        match self {
            Language::Chinese => chinese,
            Language::English => english,
        }
    }
}

impl FromRequest for Language {
    type Error = Problem;
    type Future = Ready<Result<Language, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let wanted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let english = wanted.trim_start().get(..2).is_some_and(|start| start.eq_ignore_ascii_case("en"));
        ready(Ok(if english { Language::English } else { Language::Chinese }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Person {
        #[allow(dead_code)]
        name: String,
        #[allow(dead_code)]
        children: Option<Vec<Person>>,
    }

    fn refused(body: &str) -> (u16, String, String) {
        let problem = parse_json::<Person>(body.as_bytes()).unwrap_err();
        let field = problem.errors().first().map(|error| error.field.to_string()).unwrap_or_default();
        (problem.status().as_u16(), problem.code().to_owned(), field)
    }

    #[test]
    fn text_that_is_no_json_is_malformed() {
        assert_eq!(parse_json::<Person>(b"{\"name\":\"\xff\"}").unwrap_err().status().as_u16(), 400);
        for body in ["", "{", "nonsense", "{\"name\":\"a\"} trailing", "{\"name\":\"\u{0}\"}", "[[[["] {
            assert_eq!(refused(body).0, 400, "{body:?}");
        }
        assert_eq!(refused(&"[".repeat(60_000)).0, 400);
        let deep = format!("{{\"children\":{}", "[{\"children\":".repeat(1_000));
        assert_eq!(refused(&deep), (400, "MALFORMED_JSON".into(), String::new()));
    }

    #[test]
    fn a_wrong_unknown_missing_or_repeated_field_is_named_with_its_path() {
        let validation = |field: &str| (422, "VALIDATION_ERROR".to_owned(), field.to_owned());
        assert_eq!(refused(r#"{"name":1}"#), validation("name"));
        assert_eq!(refused(r#"{"name":"a","nane":"b"}"#), validation("nane"));
        assert_eq!(refused(r#"{"children":[]}"#), validation("name"));
        assert_eq!(refused(r#"{"name":"a","children":[{"name":"b"},{}]}"#), validation("children[1].name"));
        assert_eq!(refused(r#"{"name":"a","children":[{"name":"b","x":1}]}"#), validation("children[0].x"));
        assert_eq!(refused(r#"{"name":"a","name":"b"}"#), validation("name"));
        let repeated = r#"{"name":"a","children":[{"name":"b","name":"c"}]}"#;
        assert_eq!(refused(repeated), validation("children[0].name"));
        assert_eq!(refused(r#"{"name":"a","children":[["b",null]]}"#), validation("children[0]"));
        assert_eq!(refused(r#"{"name":"a","children":[[]]}"#), validation("children[0]"));
        for body in ["[]", "[\"a\", null]", "null", "7"] {
            assert_eq!(refused(body), validation("body"));
        }
    }

    #[test]
    fn an_idempotency_key_is_visible_ascii() {
        let is_idempotency_key = |key: &str| is_visible_ascii(key, IDEMPOTENCY_KEY_MAX);
        assert!(is_idempotency_key("a-1"));
        assert!(is_idempotency_key(&"k".repeat(64)));
        for key in ["", "a b", "é", "\t", &"k".repeat(65)] {
            assert!(!is_idempotency_key(key), "{key:?}");
        }
    }

    #[actix_web::test]
    async fn fault_16_a_packed_body_is_refused_before_it_is_read() {
        for (coding, status) in [("gzip", 415), ("x", 415), ("identity", 400)] {
            let request = actix_web::test::TestRequest::post()
                .insert_header((CONTENT_ENCODING, coding))
                .insert_header(("Content-Type", "application/json"))
                .set_payload("no JSON");
            let (request, mut payload) = request.to_http_parts();
            let body: Result<Body, Problem> = Body::from_request(&request, &mut payload).await;
            let refused = body.and_then(Body::json::<Person>).unwrap_err();
            assert_eq!(refused.status().as_u16(), status, "{coding}");
        }
    }
}

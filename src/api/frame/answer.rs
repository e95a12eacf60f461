//! From an owner's answer, which is durable when it arrives (rule 9), to a response; lists know what their session was
//! shown (rule 13).

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use deeptravel_actors::journal::Position;
use deeptravel_actors::outage::{Answer, Reply};
use deeptravel_domain::rejection::Rejection;
use serde::Serialize;

use super::auth::LoggedIn;
use super::problem::Problem;
use super::state::Api;

/// What a handler gives.
pub type Answered = Result<HttpResponse, Problem>;

/// Room for an answer: an order of two passengers with its tickets. A larger one grows.
const ANSWER_BYTES: usize = 2 * 1024;

/// A JSON answer, written once into a buffer that need not grow.
pub fn json(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    of_json(status, written(value))
}

/// The JSON of an answer that is given later.
pub fn written(value: &impl Serialize) -> Vec<u8> {
    written_large(value, ANSWER_BYTES)
}

/// As [`written`], of an answer that has so many bytes or few more.
pub fn written_large(value: &impl Serialize, bytes: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut body, value).expect("views have no maps with odd keys, and writing to memory succeeds");
    body
}

/// As [`json`], of what was [`written`] before.
pub fn of_json(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, BoxBody::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// As [`json`], for what has succeeded.
pub fn ok(value: &impl Serialize) -> HttpResponse {
    json(StatusCode::OK, value)
}

/// As [`ok`], of what was [`written`] before.
pub fn ok_of(body: Vec<u8>) -> HttpResponse {
    of_json(StatusCode::OK, body)
}

/// As [`ok`], with a secret in it.
pub fn never_cached(value: &impl Serialize) -> HttpResponse {
    let mut response = ok(value);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// There is nothing to say.
pub fn no_content() -> HttpResponse {
    HttpResponse::new(StatusCode::NO_CONTENT)
}

impl<W> LoggedIn<W> {
    /// An owner's answer, which the session's next list will contain; refusals too.
    pub fn shown<T>(&self, answer: Answer<T>) -> Result<T, Problem> {
        Ok(self.noted(answer)??)
    }

    /// As [`LoggedIn::shown`], for whoever makes something of a refusal.
    pub fn noted<T>(&self, answer: Answer<T>) -> Result<Result<T, Rejection>, Problem> {
        let Reply { outcome, position } = answer?;
        self.session.shown.note(position);
        Ok(outcome)
    }
}

impl Api {
    /// Runs what waits for the network on the I/O runtime. Not cancelled when the client leaves.
    pub async fn on_io<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
        self.io.spawn(work).await.map_err(|error| Problem::fault("A task on the I/O runtime did not end", &error))
    }

    /// Runs what takes the processor for more than a few milliseconds beside what answers others.
    pub async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        self.io.spawn_blocking(work).await.map_err(|error| Problem::fault("A task apart did not end", &error))
    }

    /// As [`Api::apart`], of what takes seconds: when its turn comes, and 503 when too many wait. What has begun goes on when
    /// the client leaves, and so does its turn.
    pub async fn heavy<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let _place = self.heavy_work.place()?;
        let turn = self.heavy_work.turn().await;
        self.apart(move || {
            let _turn = turn;
            work()
        })
        .await
    }

    /// How far Postgres has followed.
    pub(super) fn projected(&self) -> Position {
        *self.engine.services().projected.borrow()
    }
}

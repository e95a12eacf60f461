//! From an owner's answer to a response: nothing is shown before it is durable (rule 9), and lists wait for what their
//! session was shown (rule 13).

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use deeptravel_actors::journal::Position;
use deeptravel_actors::outage::{Answer, Reply};
use deeptravel_actors::ports::StoreError;
use deeptravel_domain::identity::SecretHash;
use deeptravel_domain::order::Order;
use serde::Serialize;

use super::auth::Traveller;
use super::problem::Problem;
use super::problem::STORAGE_UNAVAILABLE;
use super::query::LIMIT_MAX;
use super::state::Api;

/// Room for an answer: an order of two passengers with its tickets. A larger one grows.
const ANSWER_BYTES: usize = 2 * 1024;

/// A JSON answer, written once into a buffer that need not grow.
pub fn json(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut body, value).expect("views have no maps with odd keys, and writing to memory succeeds");
    let mut response = HttpResponse::with_body(status, BoxBody::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// As [`json`], with a secret in it.
pub fn never_cached(answer: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(answer)
}

/// A list waits this long for the projector (rule 13).
const LIST_WAIT: Duration = Duration::from_secs(2);

impl Api {
    /// An owner's answer, once it may be shown; refusals too.
    pub async fn durable<T>(&self, answer: Answer<T>) -> Result<T, Problem> {
        let Reply { outcome, position } = answer?;
        self.engine.durable(position).await?;
        Ok(outcome?)
    }

    /// As [`Api::durable`], and the session's next list will contain it.
    pub async fn shown<T>(&self, token: &SecretHash, answer: Answer<T>) -> Result<T, Problem> {
        let Reply { outcome, position } = answer?;
        self.engine.durable(position).await?;
        self.seen().note(token, position, self.projected());
        Ok(outcome?)
    }

    /// Reads a list that contains everything this session was shown. While the database is away: 503 at once.
    pub async fn list<T, F>(&self, token: &SecretHash, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        if !self.lists.is_available() {
            return Err(Problem::storage_unavailable());
        }
        let wanted = self.seen().of(token);
        if self.projected() < wanted {
            let mut projected = self.engine.services().projected.clone();
            let follows = projected.wait_for(|position| *position >= wanted);
            match tokio::time::timeout(LIST_WAIT, follows).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return Err(Problem::storage_unavailable()),
            }
        }
        self.on_io(read).await.and_then(|read| read.map_err(Problem::from))
    }

    /// The traveller's newest orders that are in memory, for the first page of a list that Postgres cannot give
    /// (rule 13).
    pub async fn orders_in_memory(&self, by: &Traveller) -> Result<Vec<Arc<Order>>, Problem> {
        let mut orders = self.durable(self.engine.orders_in_memory(by.id, LIMIT_MAX as usize).await).await?;
        orders.retain(|order| order.is_placed());
        Ok(orders)
    }

    /// Whether a list has failed because Postgres is away, and not because it is behind.
    pub fn is_without_database(&self, problem: &Problem) -> bool {
        problem.code() == STORAGE_UNAVAILABLE && !self.lists.is_available()
    }

    /// Runs what waits for the network on the I/O runtime. Not cancelled when the client leaves.
    pub async fn on_io<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
        self.io.spawn(work).await.map_err(|error| {
            tracing::error!(%error, "A task on the I/O runtime did not end: {error}");
            Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// The session has ended: nothing is kept for it.
    pub fn forget_session(&self, token: &SecretHash) {
        self.seen().forget(token);
    }

    fn projected(&self) -> Position {
        *self.engine.services().projected.borrow()
    }
}

//! The way to partners' receivers over HTTP: behind the port of whoever tells them what happened (R-OTA-09).
//!
//! Of an answer only the status counts. Redirects are not followed and proxies of the environment not asked: who is called
//! is what an administrator has put, and what `targets` lets through.

pub mod targets;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use deeptravel_actors::ports::{WebhookMessage, WebhookPost};
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::sealing::{DocumentKeys, SealedSecret, open_secret};
use deeptravel_domain::webhook::signature::{ID, SIGNATURE, Secret, Signed, TIMESTAMP, sign};
use deeptravel_domain::webhook::{CallError, Outcome};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use serde::Deserialize;

use targets::{NoAddress, PublicOnly, Target};

/// Connecting takes this long at most, with the name's address and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A whole call takes this long at most: what Standard Webhooks advises at least.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// So much of an answer is read and thrown away, so that its connection can be used again; of a longer one no more.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// An idle connection is closed after this time: receivers close theirs after about a minute.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

const AGENT: &str = concat!("deeptravel-webhooks/", env!("CARGO_PKG_VERSION"));

/// Section `webhooks` of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Receivers may be on this machine and in private networks, and on this machine without TLS.
    pub private_targets: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct HttpPost {
    http: Client,
    keys: Arc<DocumentKeys>,
    settings: WebhookSettings,
}

impl HttpPost {
    /// `keys` open the secrets.
    pub fn new(keys: Arc<DocumentKeys>, settings: WebhookSettings) -> anyhow::Result<HttpPost> {
        HttpPost::within(CALL_TIMEOUT, keys, settings)
    }

    fn within(timeout: Duration, keys: Arc<DocumentKeys>, settings: WebhookSettings) -> anyhow::Result<HttpPost> {
        let builder = Client::builder()
            .user_agent(AGENT)
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy();
        let builder = if settings.private_targets { builder } else { builder.dns_resolver(PublicOnly) };
        Ok(HttpPost { http: builder.build().context("the client for webhooks")?, keys, settings })
    }

    async fn call(&self, message: &WebhookMessage) -> Result<u16, CallError> {
        let target = Target::read(&message.url, self.settings.private_targets).map_err(|_| CallError::Address)?;
        let secrets = opened(&self.keys, &message.partner, &message.secrets);
        if secrets.is_empty() {
            return Err(CallError::Unsendable);
        }
        // By the wall clock: so does whoever verifies it.
        let timestamp = jiff::Timestamp::now().as_second();
        let signed = Signed { id: &message.id, timestamp, body: message.body.as_bytes() };
        let request = self
            .http
            .post(target.into_url())
            .header(CONTENT_TYPE, "application/json")
            .header(ID, &message.id)
            .header(TIMESTAMP, timestamp)
            .header(SIGNATURE, sign(&secrets, signed))
            .body(message.body.clone());
        let answer = request.send().await.map_err(|error| why(&error))?;
        let status = answer.status().as_u16();
        pass_over(answer).await;
        Ok(status)
    }
}

#[async_trait]
impl WebhookPost for HttpPost {
    async fn post(&self, message: &WebhookMessage) -> Outcome {
        self.call(message).await.map_or_else(Outcome::Failed, Outcome::Answered)
    }
}

/// The secrets that open. The older one may have been sealed with a key that is gone.
pub fn opened<'a>(
    keys: &DocumentKeys,
    partner: &PartnerCode,
    sealed: impl IntoIterator<Item = &'a SealedSecret>,
) -> Vec<Secret> {
    let open = |sealed| match open_secret(keys, partner.as_str(), sealed) {
        Ok(bytes) => Secret::from_bytes(bytes).ok(),
        Err(error) => {
            tracing::error!(partner.id = %partner, %error, "A webhook's secret of {partner} does not open: {error}");
            None
        }
    };
    sealed.into_iter().filter_map(open).collect()
}

/// The answer has been given: what comes behind its head changes nothing.
async fn pass_over(mut answer: Response) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes += chunk.len();
        if bytes > ANSWER_BYTES_MAX {
            return;
        }
    }
}

fn why(error: &reqwest::Error) -> CallError {
    if is_of_address(error) {
        CallError::Address
    } else if error.is_timeout() {
        CallError::Timeout
    } else if error.is_connect() {
        CallError::Connection
    } else if error.is_builder() {
        CallError::Unsendable
    } else {
        CallError::Broken
    }
}

/// Whether the reason below the reasons is that nobody may be called there.
fn is_of_address(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NoAddress>() {
            return true;
        }
        cause = error.source();
    }
    false
}

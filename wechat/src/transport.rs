//! One signed request and its answer, within one time limit: the signature, the second host, the raw bytes. What an
//! answer is worth is decided in `client`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, USER_AGENT};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::Semaphore;

use crate::counters::Counters;
use crate::crypto::{CryptoFailure, SigningKey, random_nonce};
use crate::error::UnknownReason;
use crate::verify::{self, NotificationHeaders, SIGNATURE_TYPE};

/// Connecting takes this long at most, so that a dead address leaves time for the second host.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections are dropped after this time: WeChat closes its end after about 8 s, and a request written into a
/// closing connection has an unknown outcome.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(7);
/// Largest answer that is read, in bytes; a transaction with all its promotions is below 10 KiB.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// After the first host could not be reached, the second one is asked first for this long: while the first is away, one
/// call a minute pays for finding out.
pub const FAILOVER_STAYS: Duration = Duration::from_mins(1);

pub(crate) const AGENT: &str = concat!("deeptravel-wechat/", env!("CARGO_PKG_VERSION"));
pub(crate) const JSON: &str = "application/json";

/// What is called: the path's segments (percent-encoded here, so that a number cannot change which address is called)
/// and one pair of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) path: &'a [&'a str],
    pub(crate) query: Option<(&'a str, &'a str)>,
}

impl Target<'_> {
    fn on(&self, origin: &Url) -> Url {
        let mut url = origin.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(self.path);
        }
        if let Some((name, value)) = self.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }
}

/// An answer as it came; nothing in it has been believed yet.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The headers it was signed with.
    pub(crate) fn signed_headers(&self) -> NotificationHeaders<'_> {
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        NotificationHeaders {
            timestamp: text(verify::TIMESTAMP),
            nonce: text(verify::NONCE),
            signature: text(verify::SIGNATURE),
            serial: text(verify::SERIAL),
            signature_type: text(verify::TYPE),
        }
    }
}

/// Who signs.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) mchid: String,
    pub(crate) serial: String,
}

impl Signer {
    /// The `Authorization` header: method, target as sent, Unix seconds, nonce and body, each ended by a line feed,
    /// signed.
    fn authorization(
        &self,
        (method, url, body): (&Method, &Url, &[u8]),
        timestamp: i64,
        nonce: &str,
    ) -> Result<String, CryptoFailure> {
        let mut message = format!("{method}\n{}\n{timestamp}\n{nonce}\n", request_target(url)).into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        let signature = self.key.sign(&message)?;
        Ok(format!(
            "{SIGNATURE_TYPE} mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{signature}\",timestamp=\"{timestamp}\",\
             serial_no=\"{}\"",
            self.mchid, self.serial
        ))
    }
}

/// Calls to WeChat Pay at once: each has a connection, and a process has only so many descriptors. At 200 ms a call that is
/// 480 calls a second, more than WeChat takes from one merchant.
pub(crate) const CALLS_MAX: usize = 96;
/// The same for logins, which strangers cause: they take nothing from payments.
pub(crate) const LOGINS_MAX: usize = 32;

/// The way to WeChat Pay.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    /// Places for [`CALLS_MAX`]; a call waits for its own within its time.
    pub(crate) calls: Semaphore,
    pub(crate) hosts: Hosts,
    pub(crate) signer: Signer,
    pub(crate) counters: Counters,
}

impl Transport {
    /// Sends with GET, or with POST when there is a body. When a host cannot be reached, or ends the connection before it
    /// has answered anything, the same signed request goes to the other host, once: the host is not signed, and every
    /// call of ours may be repeated. `serial` tells WeChat which key to sign its answer with.
    pub(crate) async fn send(
        &self,
        target: Target<'_>,
        body: Option<&[u8]>,
        serial: Option<&str>,
    ) -> Result<Answer, UnknownReason> {
        // It is never closed.
        let _place = self.calls.acquire().await;
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let (first, other) = self.hosts.order(Instant::now());
        let url = target.on(self.hosts.origin(first));
        let signed = (&method, &url, body.unwrap_or_default());
        let authorization = self.signer.authorization(signed, Timestamp::now().as_second(), &random_nonce());
        let authorization = authorization.map_err(|CryptoFailure| UnknownReason::Signing)?;
        let request = |url: Url| {
            let mut request = self
                .http
                .request(method.clone(), url)
                .header(AUTHORIZATION, &authorization)
                .header(ACCEPT, JSON)
                .header(USER_AGENT, AGENT);
            if let Some(serial) = serial {
                request = request.header(verify::SERIAL, serial);
            }
            if let Some(body) = body {
                request = request.header(CONTENT_TYPE, JSON).body(body.to_vec());
            }
            request.send()
        };

        let response = match (request(url).await, other) {
            (Err(error), Some(other)) if is_unreached(&error) => {
                Counters::add(&self.counters.failovers);
                let response = request(target.on(self.hosts.origin(other))).await;
                if response.is_ok() {
                    self.hosts.prefer(other, Instant::now());
                }
                response
            }
            (response, _) => response,
        };
        let response = response.map_err(|error| UnknownReason::from(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: read_body(response).await? })
    }
}

/// No byte of an answer came, and not for want of time.
fn is_unreached(error: &reqwest::Error) -> bool {
    error.is_connect() || (error.is_request() && !error.is_timeout())
}

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    First,
    Second,
}

/// Where WeChat Pay is, and which address worked last.
#[derive(Debug)]
pub(crate) struct Hosts {
    first: Url,
    second: Option<Url>,
    second_until: Mutex<Option<Instant>>,
}

impl Hosts {
    pub(crate) fn new(first: Url, second: Option<Url>) -> Self {
        Self { first, second, second_until: Mutex::new(None) }
    }

    pub(crate) fn origin(&self, host: Host) -> &Url {
        match host {
            Host::First => &self.first,
            Host::Second => self.second.as_ref().unwrap_or(&self.first),
        }
    }

    /// Whom to ask first, and whom then.
    fn order(&self, now: Instant) -> (Host, Option<Host>) {
        let until = *self.second_until.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.second {
            None => (Host::First, None),
            Some(_) if until.is_some_and(|until| now < until) => (Host::Second, Some(Host::First)),
            Some(_) => (Host::First, Some(Host::Second)),
        }
    }

    /// `host` answered when the other one did not.
    fn prefer(&self, host: Host, now: Instant) {
        let until = match host {
            Host::First => None,
            Host::Second => Some(now + FAILOVER_STAYS),
        };
        *self.second_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let origin = self.origin(host);
        tracing::warn!(%origin, "WeChat Pay's other host is not reached; {origin} answers");
    }
}

pub(crate) fn http_client(timeout: Duration, simulated: bool) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    // A proxy of the environment must not stand between us and a simulator on this machine, and plain http needs none of
    // the system's certificates, which may not be installed.
    if simulated { builder.no_proxy().tls_certs_only([]).build() } else { builder.build() }
}

/// Path and query in the percent-encoded form that goes over the wire.
fn request_target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Reads an answer of at most [`MAX_ANSWER_BYTES`].
pub(crate) async fn read_body(mut response: Response) -> Result<Vec<u8>, UnknownReason> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| UnknownReason::from(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(UnknownReason::Malformed("answer too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_host_that_answered_is_asked_first_for_a_while() {
        let hosts = Hosts::new(url("https://a.example"), Some(url("https://b.example")));
        let now = Instant::now();
        let (a_first, b_first) = ((Host::First, Some(Host::Second)), (Host::Second, Some(Host::First)));
        assert_eq!(hosts.order(now), a_first);

        hosts.prefer(Host::Second, now);
        assert_eq!(hosts.order(now), b_first);
        assert_eq!(hosts.order(now + FAILOVER_STAYS.mul_f32(0.99)), b_first);
        assert_eq!(hosts.order(now + FAILOVER_STAYS), a_first);

        hosts.prefer(Host::Second, now);
        hosts.prefer(Host::First, now);
        assert_eq!(hosts.order(now), a_first);
        assert_eq!(Hosts::new(url("https://a.example"), None).order(now), (Host::First, None));
    }

    #[test]
    fn a_request_is_signed_as_openssl_signs_it() {
        let signer = Signer {
            key: SigningKey::from_pem(include_str!("../tests/vectors/test-key.pem")).unwrap(),
            mchid: "1230000109".into(),
            serial: "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C".into(),
        };
        let origin = url("https://api.mch.weixin.qq.com");
        let number = "1217752501201407033233368018";
        let create = Target { path: &["v3", "pay", "transactions", "jsapi"], query: None };
        let query = Target {
            path: &["v3", "pay", "transactions", "out-trade-no", number],
            query: Some(("mchid", "1230000109")),
        };
        let query_refund = Target { path: &["v3", "refund", "domestic", "refunds", "123123123123"], query: None };
        let body = include_bytes!("../tests/vectors/create-body.json");
        for (method, target, body, signature) in [
            (Method::POST, create, &body[..], include_str!("../tests/vectors/sign-post.txt")),
            (Method::GET, query, b"", include_str!("../tests/vectors/sign-get-query.txt")),
            (Method::GET, query_refund, b"", include_str!("../tests/vectors/sign-get.txt")),
        ] {
            let signed = (&method, &target.on(&origin), body);
            let header = signer.authorization(signed, 1_554_208_460, "593BEC0C930BF1AFEB40B4A08C8FB242").unwrap();
            let expected = format!(
                "WECHATPAY2-SHA256-RSA2048 mchid=\"1230000109\",nonce_str=\"593BEC0C930BF1AFEB40B4A08C8FB242\",\
                 signature=\"{signature}\",timestamp=\"1554208460\",\
                 serial_no=\"1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C\""
            );
            assert_eq!(header, expected);
        }
    }

    #[test]
    fn what_is_signed_does_not_depend_on_the_host() {
        let target = Target { path: &["v3", "T|1*2/close", "%2e%2e"], query: Some(("mchid", "19&0")) };
        let expected = "/v3/T|1*2%2Fclose/%252e%252e?mchid=19%260";
        for origin in ["https://a.example", "http://127.0.0.1:9000"] {
            assert_eq!(request_target(&target.on(&url(origin))), expected);
        }
    }
}

//! The calls. Every request is signed over exactly the bytes that go out; every 2xx must verify, or its outcome is
//! unknown (`wechat.md` 1.1, 1.3, R11).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, USER_AGENT};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::certificates::{CERTIFICATES_EVERY, CERTIFICATES_GAP, CertificatesError, CertificatesLoaded};
use crate::config::{Certificates, Checked, Config, ConfigError};
use crate::counters::Counters;
use crate::crypto::{CryptoFailure, VerifyingKey};
use crate::error::{Advice, CallError, LoginError, Operation, UnknownReason};
use crate::inner::{Downloads, Inner, Public, failure};
use crate::login::{self, Session};
use crate::model::{
    CreateAmount, CreateBody, CreatePayer, CreateRequest, PayParams, PrepayId, Transaction, clean_description,
    rfc3339_china,
};
use crate::notification::{self, Notification, NotificationError};
use crate::refund::{self, Refund, RefundRequest};
use crate::transport::{AGENT, CALLS_MAX, Hosts, JSON, LOGINS_MAX, Signer, Target, Transport, http_client, read_body};
use crate::verify::{KeyRing, NotificationHeaders};

/// A call takes this long at most, connecting and the second host included. WeChat answers within a second or two; a
/// traveller waits for the create call, and a longer wait would only delay the replay.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The WeChat client of one merchant and one mini program. Cheap to clone; calls run on the caller's tokio runtime,
/// which must stay the same (idle connections belong to it).
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// How long and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Of a call, everything included.
    pub timeout: Duration,
    /// From one download of certificates to the next.
    pub certificates_every: Duration,
    /// Least time between two downloads, whatever happens.
    pub certificates_gap: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { timeout: REQUEST_TIMEOUT, certificates_every: CERTIFICATES_EVERY, certificates_gap: CERTIFICATES_GAP }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("hosts", &self.0.transport.hosts)
            .field("mchid", &self.mchid())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Checks the configuration and makes a client with [`REQUEST_TIMEOUT`]. Nothing is sent.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_timeout(config, REQUEST_TIMEOUT)
    }

    /// Like [`Client::new`] with another limit on each call.
    pub fn with_timeout(config: Config, timeout: Duration) -> Result<Self, ConfigError> {
        Self::with_pace(config, Pace { timeout, ..Pace::default() })
    }

    /// Like [`Client::new`] at another pace.
    pub fn with_pace(config: Config, pace: Pace) -> Result<Self, ConfigError> {
        let Pace { timeout, certificates_every, certificates_gap } = pace;
        let Checked { base, failover_base, api_base, signing_key, api_v3_key, public_key } = config.check()?;
        // Plain http is accepted on loopback only.
        let simulated = base.scheme() == "http" && api_base.scheme() == "http";
        let http =
            http_client(timeout, simulated).map_err(|error| ConfigError::new("base_url", error.without_url()))?;
        let keys = KeyRing::default();
        let key_id = public_key.map(|(id, key)| {
            keys.insert(id.clone(), key);
            id
        });
        let downloads = match config.certificates {
            Certificates::Auto => Some(Downloads::new(certificates_every, certificates_gap)),
            Certificates::Off => None,
        };
        let transport = Transport {
            http,
            hosts: Hosts::new(base, failover_base),
            calls: Semaphore::new(CALLS_MAX),
            signer: Signer { key: signing_key, mchid: config.mchid, serial: config.merchant_serial },
            counters: Counters::default(),
        };
        let config = Public {
            appid: config.appid,
            app_secret: config.app_secret,
            key_id,
            notify_url: config.notify_url,
            refund_notify_url: config.refund_notify_url,
        };
        let logins = Semaphore::new(LOGINS_MAX);
        Ok(Self(Arc::new(Inner { transport, logins, timeout, api_base, api_v3_key, keys, downloads, config })))
    }

    /// Downloads the certificates now. The task of [`Client::look_after_certificates`] does it by itself.
    pub async fn load_certificates(&self) -> Result<CertificatesLoaded, CertificatesError> {
        self.0.load_certificates().await
    }

    /// How many certificates verify now.
    pub fn certificates_in_use(&self) -> usize {
        self.0.keys.certificates(Timestamp::now())
    }

    /// Keeps the certificates fresh for as long as it is polled; the process spawns it once. Ends at once when the
    /// configuration has them off.
    pub async fn look_after_certificates(self) {
        self.0.look_after_certificates().await;
    }

    /// What this client has seen so far.
    pub fn counters(&self) -> &Counters {
        &self.0.transport.counters
    }

    pub fn appid(&self) -> &str {
        &self.0.config.appid
    }

    pub fn mchid(&self) -> &str {
        &self.0.transport.signer.mchid
    }

    /// Accepts answers and notifications signed by one more key, for good: a public key that will replace ours.
    pub fn add_verification_key(&self, serial: &str, public_key_pem: &str) -> Result<(), ConfigError> {
        let key = VerifyingKey::from_pem(public_key_pem).map_err(|error| ConfigError::new("public_key_pem", error))?;
        self.0.keys.insert(serial.to_owned(), key);
        Ok(())
    }

    /// The exact bytes of a create call. The same request gives the same bytes; journal them before calling
    /// [`Client::create_jsapi`] and replay them unchanged (R1).
    pub fn create_body(&self, request: &CreateRequest) -> Vec<u8> {
        let config = &self.0.config;
        let body = CreateBody {
            appid: &config.appid,
            mchid: self.mchid(),
            description: clean_description(&request.description),
            out_trade_no: &request.out_trade_no,
            time_expire: rfc3339_china(request.time_expire),
            attach: request.attach.as_deref(),
            notify_url: &config.notify_url,
            amount: CreateAmount { total: request.total_minor, currency: "CNY" },
            payer: CreatePayer { openid: &request.openid },
        };
        serde_json::to_vec(&body).expect("strings and integers always serialise")
    }

    /// Creates the transaction, or gets it again: the same bytes while unpaid give a prepay id, changed ones are
    /// refused with [`crate::code::OUT_TRADE_NO_USED`] or [`crate::code::INVALID_REQUEST`].
    pub async fn create_jsapi(&self, body: &[u8]) -> Result<PrepayId, CallError> {
        #[derive(Deserialize)]
        struct Created {
            prepay_id: String,
        }

        let target = Target { path: &["v3", "pay", "transactions", "jsapi"], query: None };
        let answer = self.0.call(Operation::Create, target, Some(body)).await?;
        let created: Created = serde_json::from_slice(&answer).map_err(|_| UnknownReason::Malformed("no prepay_id"))?;
        let prepay_id = PrepayId::parse(&created.prepay_id).ok_or(UnknownReason::Malformed("prepay_id is not one"))?;
        Ok(prepay_id)
    }

    /// The transaction as WeChat sees it now; [`CallError::NotFound`] when it was never created.
    pub async fn query(&self, out_trade_no: &str) -> Result<Transaction, CallError> {
        let path = &["v3", "pay", "transactions", "out-trade-no", out_trade_no];
        let target = Target { path, query: Some(("mchid", self.mchid())) };
        let answer = self.0.call(Operation::Query, target, None).await?;
        let transaction: Transaction =
            serde_json::from_slice(&answer).map_err(|_| UnknownReason::Malformed("not a transaction"))?;
        if transaction.out_trade_no != out_trade_no {
            return Err(UnknownReason::Malformed("another transaction").into());
        }
        Ok(transaction)
    }

    /// Asks WeChat to close the transaction. Success is no proof that nothing was paid: query before freeing anything
    /// (R3). On any error, query too.
    pub async fn close(&self, out_trade_no: &str) -> Result<(), CallError> {
        let path = &["v3", "pay", "transactions", "out-trade-no", out_trade_no, "close"];
        let body = serde_json::json!({ "mchid": self.mchid() }).to_string();
        self.0.call(Operation::Close, Target { path, query: None }, Some(body.as_bytes())).await?;
        Ok(())
    }

    /// The exact bytes of a refund call. The same request gives the same bytes; journal them before calling
    /// [`Client::refund`] and replay them unchanged (R9).
    pub fn refund_body(&self, request: &RefundRequest) -> Vec<u8> {
        request.body(&self.0.config.refund_notify_url)
    }

    /// Asks for a refund, or gets it again: the same bytes move money once. Success means accepted, not done; the
    /// refund's status says how far it is. After an unknown outcome query, and repeat the same bytes when it is not
    /// there.
    pub async fn refund(&self, body: &[u8]) -> Result<Refund, CallError> {
        let target = Target { path: &["v3", "refund", "domestic", "refunds"], query: None };
        let answer = self.0.call(Operation::Refund, target, Some(body)).await?;
        read_refund(&answer, refund::number_of(body).as_deref())
    }

    /// The refund as WeChat sees it now; [`CallError::NotFound`] when it was never accepted.
    pub async fn query_refund(&self, out_refund_no: &str) -> Result<Refund, CallError> {
        let target = Target { path: &["v3", "refund", "domestic", "refunds", out_refund_no], query: None };
        let answer = self.0.call(Operation::QueryRefund, target, None).await?;
        read_refund(&answer, Some(out_refund_no))
    }

    /// Exchanges a mini program's login code for the openid.
    pub async fn code2session(&self, js_code: &str) -> Result<Session, LoginError> {
        let mut url = self.0.api_base.clone();
        url.set_path("/sns/jscode2session");
        url.query_pairs_mut()
            .append_pair("appid", &self.0.config.appid)
            .append_pair("secret", &self.0.config.app_secret)
            .append_pair("js_code", js_code)
            .append_pair("grant_type", "authorization_code");
        // The address holds the secret, so no error that could carry it leaves this function.
        let request = self.0.transport.http.get(url).header(USER_AGENT, AGENT).header(ACCEPT, JSON);
        let place = tokio::time::timeout(self.0.timeout, self.0.logins.acquire()).await;
        let _place = place.map_err(|_| LoginError::Busy)?;
        let response = request.send().await.map_err(|error| LoginError::Unavailable((&error).into()))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(LoginError::Unavailable(UnknownReason::Status(status.as_u16())));
        }
        let body = read_body(response).await.map_err(LoginError::Unavailable)?;
        login::read_answer(&body)
    }

    /// The signed arguments of `wx.requestPayment`. Deterministic in its arguments; `timestamp` is Unix seconds, `nonce`
    /// at most 32 characters ([`crate::random_nonce`]). Signing again for a retry is cheap and welcome.
    pub fn pay_params(&self, prepay_id: &PrepayId, timestamp: i64, nonce: &str) -> Result<PayParams, CryptoFailure> {
        let app_id = self.0.config.appid.clone();
        let time_stamp = timestamp.to_string();
        let package = format!("prepay_id={}", prepay_id.as_str());
        let pay_sign =
            self.0.transport.signer.key.sign(format!("{app_id}\n{time_stamp}\n{nonce}\n{package}\n").as_bytes())?;
        Ok(PayParams { app_id, time_stamp, nonce_str: nonce.to_owned(), package, sign_type: "RSA", pay_sign })
    }

    /// Verifies and decrypts a callback. `raw` must be the bytes as received (R-PAY-06). A certificate that we do not
    /// have is downloaded in the background; WeChat repeats the callback meanwhile.
    pub fn verify_notification(
        &self,
        headers: &NotificationHeaders<'_>,
        raw: &[u8],
        now: Timestamp,
    ) -> Result<Notification, NotificationError> {
        let result = notification::open(&self.0.keys, &self.0.api_v3_key, headers, raw, now);
        if result == Err(NotificationError::UnknownSerial) {
            self.0.miss_certificate(headers.serial);
        }
        let counters = &self.0.transport.counters;
        Counters::add(match &result {
            Ok(_) => &counters.notifications_accepted,
            Err(NotificationError::SignTest) => &counters.notifications_signtest,
            Err(NotificationError::Malformed(_)) => &counters.notifications_malformed,
            Err(NotificationError::OldProtocol) => &counters.notifications_old_protocol,
            Err(_) => &counters.notifications_unverified,
        });
        result
    }
}

impl Inner {
    /// Answers the verified body of the operation's success.
    async fn call(&self, operation: Operation, target: Target<'_>, body: Option<&[u8]>) -> Result<Vec<u8>, CallError> {
        let exchange = tokio::time::timeout(self.timeout, self.exchange(operation, target, body));
        let result = exchange.await.unwrap_or(Err(UnknownReason::Timeout.into()));
        let counters = &self.transport.counters;
        Counters::add(match &result {
            Ok(_) => &counters.calls_succeeded,
            Err(CallError::Refused { .. } | CallError::NotFound) => &counters.calls_refused,
            Err(CallError::Unknown { .. }) => &counters.calls_unknown,
        });
        if result.as_ref().is_err_and(|error| error.advice() == Advice::Configuration) {
            Counters::add(&counters.configuration_faults);
        }
        if let Err(CallError::Unknown { reason: UnknownReason::Unverified(error) }) = &result {
            self.count_unverified(*error);
        }
        result
    }

    async fn exchange(
        &self,
        operation: Operation,
        target: Target<'_>,
        body: Option<&[u8]>,
    ) -> Result<Vec<u8>, CallError> {
        let answer = self.transport.send(target, body, self.answer_serial().as_deref()).await?;
        if !answer.status.is_success() {
            return Err(failure(operation, answer.status, &answer.body));
        }
        self.verify(&answer).await.map_err(UnknownReason::Unverified)?;

        if answer.status == success(operation) {
            Ok(answer.body)
        } else {
            Err(failure(operation, answer.status, &answer.body))
        }
    }
}

fn success(operation: Operation) -> StatusCode {
    match operation {
        Operation::Close => StatusCode::NO_CONTENT,
        Operation::Create | Operation::Query | Operation::Refund | Operation::QueryRefund | Operation::Certificates => {
            StatusCode::OK
        }
    }
}

fn read_refund(answer: &[u8], number: Option<&str>) -> Result<Refund, CallError> {
    let refund: Refund = serde_json::from_slice(answer).map_err(|_| UnknownReason::Malformed("not a refund"))?;
    if number.is_some_and(|number| refund.out_refund_no != number) {
        return Err(UnknownReason::Malformed("another refund").into());
    }
    Ok(refund)
}

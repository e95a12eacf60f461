//! WeChat Pay API v3 and the mini-program server API: the client, and a simulator that speaks the same protocol.
//!
//! Called by the process' payment and login code; knows nothing of orders, seats or tickets. The client decides what an
//! answer is worth and no more: a refusal, "no such order", or *unknown*. What follows from it (replay, query, close)
//! is decided by the caller, who journals the create body before it is sent and repeats exactly those bytes.
//!
//! Deliberately absent from the client: bills, the refund of a dead card (`apply-abnormal-refund`, done in the
//! merchant's console), encrypted fields, subscribe messages.

mod certificates;
mod client;
mod config;
mod counters;
mod crypto;
mod envelope;
mod error;
mod inner;
pub mod keys;
mod login;
mod model;
mod notification;
mod refund;
pub mod simulator;
mod transport;
mod verify;

pub use certificates::{CERTIFICATES_EVERY, CERTIFICATES_GAP, CertificatesError, CertificatesLoaded};
pub use client::{Client, Pace, REQUEST_TIMEOUT};
pub use config::{Certificates, Config, ConfigError, official_failover};
pub use counters::Counters;
pub use crypto::{CryptoFailure, random_nonce};
pub use error::{Advice, CallError, LoginError, Operation, UnknownReason, advise, code};
pub use login::Session;
pub use model::{Amount, CreateRequest, PayParams, Payer, PrepayId, TradeState, Transaction};
pub use notification::{MAX_NOTIFICATION_BYTES, Notification, NotificationError, Resource};
pub use refund::{Refund, RefundAmount, RefundNotice, RefundRequest, RefundStatus};
pub use transport::{CONNECT_TIMEOUT, FAILOVER_STAYS, MAX_ANSWER_BYTES, POOL_IDLE_TIMEOUT};
pub use verify::{MAX_CLOCK_SKEW_SECONDS, NotificationHeaders, VerifyError};

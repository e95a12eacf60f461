//! What is configured of the listener and of logins.

use std::net::{IpAddr, SocketAddr};

use deeptravel_actors::settings::{above_zero, at_most};
use deeptravel_domain::time::Timestamp;
use serde::Deserialize;

use super::address::Proxy;

/// A year; far below what overflows in seconds.
const SESSION_HOURS_MAX: u32 = 366 * 24;

/// Section `server` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    /// HTTP worker threads; 0: one per core.
    workers: usize,
    /// Arbiters for the owners; 0: half as many as cores.
    arbiters: usize,
    /// Requests being answered at once; more get 503. Health and metrics are not counted.
    pub max_in_flight: usize,
    /// Connections at once; more get 503 and are closed. As many as the descriptors allow, if those are fewer.
    pub max_connections: usize,
    /// Addresses besides loopback that may read `/metrics` and `/ops`.
    pub ops_allow: Vec<IpAddr>,
    /// Proxies that are believed when they say where a client is.
    pub trusted_proxies: Vec<Proxy>,
    /// A proxy in front ends TLS: browsers are told to come by TLS only.
    pub behind_tls_proxy: bool,
}

impl ServerSettings {
    pub fn check(&self) -> Result<(), String> {
        above_zero("server.max_connections", self.max_connections as u64)?;
        above_zero("server.max_in_flight", self.max_in_flight as u64)
    }

    pub fn workers(&self) -> usize {
        if self.workers == 0 { cores() } else { self.workers }
    }

    pub fn arbiters(&self) -> usize {
        if self.arbiters == 0 { (cores() / 2).max(1) } else { self.arbiters }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Section `session` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    pub traveller_hours: u32,
    /// A shift.
    pub staff_hours: u32,
    /// Of a gate.
    pub validator_hours: u32,
    /// A shown code is valid this long; the app asks for a fresh one before.
    pub code_seconds: u32,
}

impl SessionSettings {
    pub fn check(&self) -> Result<(), String> {
        for (key, hours) in [
            ("session.traveller_hours", self.traveller_hours),
            ("session.staff_hours", self.staff_hours),
            ("session.validator_hours", self.validator_hours),
        ] {
            above_zero(key, hours.into())?;
            at_most(key, hours, SESSION_HOURS_MAX)?;
        }
        above_zero("session.code_seconds", self.code_seconds.into())
    }
}

/// So many hours later.
pub fn hours_after(at: Timestamp, hours: u32) -> Timestamp {
    at.plus_seconds(3600 * i64::from(hours))
}

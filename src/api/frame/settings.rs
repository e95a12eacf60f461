//! What is configured of the listener and of logins.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use deeptravel_actors::settings::{above_zero, at_most};
use deeptravel_domain::time::Timestamp;
use serde::Deserialize;

use super::address::Proxy;
use super::certificate::{TLS_CERTIFICATE, TLS_KEY, TlsFiles};
use crate::here::is_loopback;
use crate::secrets::named;

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
    /// Both or none: TLS that ends here.
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
}

impl ServerSettings {
    pub fn check(&self) -> Result<(), String> {
        above_zero("server.max_connections", self.max_connections as u64)?;
        above_zero("server.max_in_flight", self.max_in_flight as u64)?;
        if self.tls_certificate.as_os_str().is_empty() != self.tls_key.as_os_str().is_empty() {
            return Err(format!("{TLS_CERTIFICATE} and {TLS_KEY}: one is of no use without the other"));
        }
        Ok(())
    }

    /// The files of TLS, if it ends here.
    pub fn tls(&self) -> Option<TlsFiles> {
        let is_set = !self.tls_certificate.as_os_str().is_empty();
        is_set.then(|| TlsFiles { certificate: self.tls_certificate.clone(), key: self.tls_key.clone() })
    }

    /// Files with secrets, by the keys that name them.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        named([(TLS_KEY, &*self.tls_key)])
    }

    /// Whether others reach it, not only this machine.
    pub fn is_reached_by_others(&self) -> bool {
        !is_loopback(self.listen.ip())
    }

    /// Whether all clients look like one: their proxy.
    pub fn believes_no_proxy(&self) -> bool {
        self.behind_tls_proxy && self.trusted_proxies.is_empty()
    }

    /// How a server at an address is spoken to.
    pub fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls().is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Where this machine reaches the server. One that listens on every address is reached on loopback.
    pub fn own_url(&self) -> String {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        self.url(address)
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

/// Most calls of a partner in a minute: each leaves an instant of 16 bytes.
const CALLS_MAX: u32 = 100_000;

/// Ten years.
const RESERVATION_HOURS_MAX: u32 = 10 * 366 * 24;

/// Section `ota` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtaSettings {
    /// Calls of one partner that are admitted in any 60 seconds.
    pub rate_limit_per_minute: u32,
    /// After so many hours what is left of a reservation is given back. 0: never.
    pub reservation_ttl_hours: u32,
}

impl OtaSettings {
    pub fn check(&self) -> Result<(), String> {
        above_zero("ota.rate_limit_per_minute", self.rate_limit_per_minute.into())?;
        at_most("ota.rate_limit_per_minute", self.rate_limit_per_minute, CALLS_MAX)?;
        at_most("ota.reservation_ttl_hours", self.reservation_ttl_hours, RESERVATION_HOURS_MAX)
    }

    /// Of a reservation that is made now. `None`: it has no end.
    pub fn reservation_ttl(&self) -> Option<u32> {
        (self.reservation_ttl_hours > 0).then_some(self.reservation_ttl_hours)
    }
}

/// So many hours later.
pub fn hours_after(at: Timestamp, hours: u32) -> Timestamp {
    at.plus_seconds(3600 * i64::from(hours))
}

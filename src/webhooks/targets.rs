//! Whom a partner may have us call. A URL is somebody else's words: without a check it makes this server ask what only
//! its own network may (SSRF). So a host's addresses are checked where they are used, when the connection is made, and a
//! name that shows another address the next time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use deeptravel_domain::webhook::URL_LEN_MAX;
use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What is no address of a receiver somewhere on the internet (IANA's registry of special addresses, and multicast).
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];
/// All that is given out to somebody on the internet; whatever is not in it, loopback and private networks among them, is
/// none.
const GIVEN_OUT_V6: Ipv6Net = v6([0x2000, 0], 3);
/// Of these, what leads elsewhere: protocols, among them tunnels to IPv4 addresses, and documentation.
const SPECIAL_V6: [Ipv6Net; 4] =
    [v6([0x2001, 0], 23), v6([0x2001, 0xdb8], 32), v6([0x2002, 0], 16), v6([0x3fff, 0], 20)];

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6([a, b]: [u16; 2], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), bits)
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => GIVEN_OUT_V6.contains(&address) && !SPECIAL_V6.iter().any(|net| net.contains(&address)),
    }
}

/// A URL that may be called, as far as it tells by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target(Url);

impl Target {
    /// `private`: also receivers in private networks, and on this machine without TLS. The error says what the URL has to be.
    pub fn read(text: &str, private: bool) -> Result<Target, &'static str> {
        if text.len() > URL_LEN_MAX {
            return Err("is longer than 2000 bytes");
        }
        let url = Url::parse(text).map_err(|_| "is no URL")?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("has a user, a password or a fragment");
        }
        let host = url.host_str().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let is_here = host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if private && is_here => {}
            "http" if private => return Err("is not https: without TLS only this machine is called"),
            _ => return Err("is not https"),
        }
        if !private && (is_here || address.is_some_and(|address| !is_public(address))) {
            return Err("is not on the internet");
        }
        Ok(Target(url))
    }

    pub fn into_url(self) -> Url {
        self.0
    }
}

/// The host has no address, or none on the internet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the host has no address that may be called")]
pub struct NoAddress;

/// Finds the addresses of a name that are on the internet.
#[derive(Clone, Copy, Debug)]
pub struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| NoAddress)?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NoAddress.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_ota_09_only_addresses_on_the_internet_are_called() {
        for public in ["8.8.8.8", "203.0.114.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn r_ota_09_a_url_is_https_on_the_internet_unless_the_configuration_says_otherwise() {
        let read = |url: &str, private| Target::read(url, private).map(drop);
        for url in ["https://partner.example/hook?key=1", "https://partner.example:8443", "https://8.8.8.8/"] {
            assert_eq!((read(url, false), read(url, true)), (Ok(()), Ok(())), "{url}");
        }
        for url in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://10.0.0.1:5432/",
        ] {
            assert_eq!((read(url, false), read(url, true)), (Err("is not on the internet"), Ok(())), "{url}");
        }
        for url in ["http://127.0.0.1:9/", "http://localhost/", "http://[::1]:80/"] {
            assert_eq!((read(url, false), read(url, true)), (Err("is not https"), Ok(())), "{url}");
        }
        for url in [
            "",
            "partner.example",
            "/hook",
            "ftp://partner.example/",
            "file:///etc/passwd",
            "http://partner.example/",
            "http://10.0.0.1/",
            "https://user:word@partner.example/",
            "https://partner.example/#part",
            "https://",
            &format!("https://partner.example/{}", "x".repeat(URL_LEN_MAX)),
        ] {
            assert!(read(url, false).is_err() && read(url, true).is_err(), "{url}");
        }
    }
}

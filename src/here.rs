//! Which hosts are this machine: what goes there without TLS, nobody on the way can read.

use std::net::IpAddr;

/// Whether a host is this machine by its name or address, whatever a name server says: `localhost`, or an address of the
/// loopback.
pub fn is_here(host: &str) -> bool {
    let address = host.parse().is_ok_and(is_loopback);
    address || host.eq_ignore_ascii_case("localhost")
}

/// The same of an address, also of one that IPv6 writes for IPv4.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_11_this_machine_is_its_loopback_and_nothing_else() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(is_here(host), "{host}");
        }
        let others = [
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "192.0.2.1",
            "::ffff:192.0.2.1",
            "db",
            "localhost.example",
            "127.0.0.1.nip.io",
            "",
        ];
        for host in others {
            assert!(!is_here(host), "{host}");
        }
    }
}

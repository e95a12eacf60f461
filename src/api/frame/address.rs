//! Where a client is, when proxies stand between him and us.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use ipnet::IpNet;
use serde::Deserialize;

/// A proxy that is believed, or a network of them: `192.0.2.1`, `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Proxy(IpNet);

impl TryFrom<String> for Proxy {
    type Error = String;

    fn try_from(text: String) -> Result<Proxy, String> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Proxy).map_err(|_| format!("{text:?} is neither an address nor a network like 10.0.0.0/8"))
    }
}

/// The client's address: the last one that is no proxy of ours. What a client writes into the headers himself stands before
/// that, and is not looked at.
pub fn client_address(request: &HttpRequest, proxies: &[Proxy]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    let is_proxy = |address: IpAddr| proxies.iter().any(|Proxy(network)| network.contains(&address));
    if !is_proxy(peer) {
        return peer;
    }
    let headers = request.headers();
    let of = |said: Vec<Option<IpAddr>>| last_stranger(peer, &said, is_proxy);
    let by_list = headers.contains_key(X_FORWARDED_FOR).then(|| of(list(headers)));
    let by_standard = headers.contains_key(FORWARDED).then(|| of(standard(headers)));
    match (by_list, by_standard) {
        (Some(list), Some(standard)) if list == standard => list,
        // A proxy adds to one of them and passes the other on as the client wrote it: which is which nobody can tell.
        (Some(_), Some(_)) => peer,
        (Some(address), None) | (None, Some(address)) => address,
        (None, None) => peer,
    }
}

/// Goes back from the peer, as far as proxies of ours vouch for what is said. `None` in `said` is what is no address.
fn last_stranger(peer: IpAddr, said: &[Option<IpAddr>], is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer;
    for said in said.iter().rev() {
        if !is_proxy(client) {
            break;
        }
        let Some(before) = said else { break };
        client = *before;
    }
    client
}

/// What `X-Forwarded-For` says: addresses, each proxy at the end of what it got.
fn list(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    values(headers, &X_FORWARDED_FOR).map(|said| node(said.trim())).collect()
}

/// What `Forwarded` says (RFC 7239).
fn standard(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let of_element = |element: &str| {
        let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        named.next().and_then(|(_, said)| node(said.trim().trim_matches('"')))
    };
    values(headers, &FORWARDED).map(of_element).collect()
}

/// The elements of all headers of a name; one that is no text is one that says nothing.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).flat_map(|value| value.to_str().unwrap_or_default().split(','))
}

/// An address with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// The address of a client whose request comes from `peer` with these headers.
    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let proxies = ["127.0.0.1", "10.0.0.0/8"].map(|text| Proxy::try_from(text.to_owned()).unwrap());
        let request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 4711));
        let request = headers.iter().fold(request, |request, header| request.append_header(*header));
        client_address(&request.to_http_request(), &proxies).to_string()
    }

    #[test]
    fn fault_5_a_client_behind_proxies_is_the_last_address_that_is_none_of_them() {
        for said in
            ["192.0.2.7", "6.6.6.6, 192.0.2.7", "192.0.2.7, 10.1.1.1", "192.0.2.7:4711", "10.9.9.9, 192.0.2.7,10.2.2.2"]
        {
            assert_eq!(client("127.0.0.1", &[("X-Forwarded-For", said)]), "192.0.2.7", "{said}");
        }
        for said in [
            "for=192.0.2.7",
            "for=6.6.6.6, For=\"192.0.2.7:80\";proto=https",
            "proto=http;for=192.0.2.7 , for=10.1.1.1",
        ] {
            assert_eq!(client("127.0.0.1", &[("Forwarded", said)]), "192.0.2.7", "{said}");
        }
        let twice = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.7")];
        assert_eq!(client("::ffff:10.0.0.1", &twice), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &[("X-Forwarded-For", "[2001:db8::1]:80")]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &[("Forwarded", "for=\"[2001:db8::1]\"")]), "2001:db8::1");
    }

    #[test]
    fn fault_5_what_no_proxy_of_ours_vouches_for_is_not_believed() {
        assert_eq!(client("192.0.2.9", &[("X-Forwarded-For", "192.0.2.7")]), "192.0.2.9", "no proxy");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        for said in ["", "unknown", "192.0.2.7, unknown", "192.0.2.7, _hidden", "192.0.2.7, 1.2.3"] {
            assert_eq!(client("127.0.0.1", &[("X-Forwarded-For", said)]), "127.0.0.1", "{said}");
        }
        assert_eq!(client("127.0.0.1", &[("X-Forwarded-For", "10.1.1.1, 10.2.2.2")]), "10.1.1.1", "all are proxies");
        let both = |list, standard| client("127.0.0.1", &[("X-Forwarded-For", list), ("Forwarded", standard)]);
        assert_eq!(both("192.0.2.7", "for=192.0.2.7"), "192.0.2.7");
        assert_eq!(both("192.0.2.7", "for=6.6.6.6"), "127.0.0.1", "one of them is the client's own");
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        assert!(["::1", "2001:db8::/32", "192.0.2.1"].iter().all(|text| Proxy::try_from((*text).to_owned()).is_ok()));
        let refused = Proxy::try_from("proxy.example".to_owned()).unwrap_err();
        assert!(refused.contains("proxy.example"), "{refused}");
    }
}

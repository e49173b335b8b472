//! Where a request came from: the other end of its connection, or who a trusted proxy says.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// In every request; None where nothing says it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin(pub Option<IpAddr>);

impl Origin {
    /// `proxies` are those whose word is taken.
    pub fn of(request: &Request, proxies: &[IpNet]) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self(peer.map(|peer| behind(peer.0.ip().to_canonical(), request.headers(), proxies)))
    }
}

/// The last address that no trusted proxy has: what stands before it, anybody can have written.
fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let texts = headers.get_all(FORWARDED_FOR).iter().rev();
    let named = texts.flat_map(|text| text.to_str().unwrap_or_default().rsplit(','));
    let mut known = peer;
    for text in named {
        if !is_proxy(&known) {
            break;
        }
        let Ok(address) = text.trim().parse::<IpAddr>() else { break };
        known = address.to_canonical();
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies: Vec<IpNet> = ["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).into();
        for (peer, headers, expected) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7,10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("::1", &["2001:db8::1"], "2001:db8::1"),
        ] {
            let mut map = HeaderMap::new();
            for text in headers {
                map.append(FORWARDED_FOR, text.parse().unwrap());
            }
            let found = behind(peer.parse().unwrap(), &map, &proxies);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {headers:?}");
        }
    }
}

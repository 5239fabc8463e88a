//! Who asks, and by what the client calls us: as the connection shows it, or as proxies say whom we trust.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use http::{Extensions, HeaderMap, HeaderName, Uri, header, uri::Authority};
use ipnet::IpNet;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The address of the client, which each request has as an extension: that of the connection; or, where that is a trusted
/// proxy's, the last one in the chain that is not a trusted proxy's. What stands before it in the chain anybody may have
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

impl ClientAddr {
    /// What stands for one host.
    #[must_use]
    pub fn host(self) -> IpAddr {
        of_one_host(self.0)
    }
}

/// One host of IPv6 has 64 bits of addresses to choose from: the first of them.
pub(super) fn of_one_host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        // This machine is nobody's network.
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

/// Which header the proxies write. The other one is what a client has sent, so it is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Proxies whose word is taken. The default trusts none.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    header: ForwardedHeader,
}

/// A network, or an address, which is a network of one.
#[derive(Clone, Copy, Debug)]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        Ok(Self(address.or_else(|_| text.parse())?))
    }
}

/// What a client has to do with us, at the first of our proxies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) address: IpAddr,
    /// None: the request itself says it, as plain HTTP does.
    pub(super) reached: Option<Reached>,
}

/// How it has reached us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) https: bool,
    pub(super) host: Option<Authority>,
}

impl TrustedProxies {
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = Network>, header: ForwardedHeader) -> Self {
        Self {
            networks: networks.into_iter().map(|network| network.0).collect(),
            header,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// `peer` is at the other end of the connection, which has TLS or not.
    pub(super) fn seen(&self, peer: IpAddr, tls: bool, headers: &HeaderMap) -> Seen {
        let peer = peer.to_canonical();
        let told = match self.header {
            _ if !self.trusts(peer) => Told::default(),
            ForwardedHeader::XForwarded => self.x_forwarded(headers),
            ForwardedHeader::Forwarded => self.forwarded(headers),
        };
        let https = match told.scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            _ => tls,
        };
        let host = told.host.and_then(authority);
        let is_known = tls || told.scheme.is_some() || host.is_some();
        Seen {
            address: told.address.unwrap_or(peer),
            reached: is_known.then_some(Reached { https, host }),
        }
    }

    /// Each proxy adds the address that it was asked from. A scheme and a host may be of each proxy as well, or of the first
    /// one alone.
    fn x_forwarded<'r>(&self, headers: &'r HeaderMap) -> Told<'r> {
        let mut told = Told::default();
        let mut proxies = 0;
        for text in from_the_right(headers, &X_FORWARDED_FOR) {
            proxies += 1;
            if !self.goes_on(&mut told, address(text)) {
                break;
            }
        }
        let at_first = |name| from_the_right(headers, name).take(proxies.max(1)).last();
        Told {
            scheme: at_first(&X_FORWARDED_PROTO),
            host: at_first(&X_FORWARDED_HOST),
            ..told
        }
    }

    fn forwarded<'r>(&self, headers: &'r HeaderMap) -> Told<'r> {
        let mut told = Told::default();
        for text in from_the_right(headers, &header::FORWARDED) {
            // A comma in quotes has cut it, or somebody wants it to look so.
            if text.matches('"').count() % 2 == 1 {
                break;
            }
            let Some(Ok(element)) = rfc7239::parse(text).next() else {
                break;
            };
            told.scheme = element.protocol.map(unquoted);
            told.host = element.host.map(unquoted);
            let from = element.forwarded_for.as_ref().and_then(|node| node.ip());
            if !self.goes_on(&mut told, from.copied()) {
                break;
            }
        }
        told
    }

    /// Notes who has asked the proxy that says so. Whether that is a trusted proxy in its turn.
    fn goes_on(&self, told: &mut Told<'_>, from: Option<IpAddr>) -> bool {
        let Some(from) = from.map(|address| address.to_canonical()) else {
            return false;
        };
        told.address = Some(from);
        self.trusts(from)
    }
}

/// What the first trusted proxy of the chain says.
#[derive(Debug, Default)]
struct Told<'r> {
    address: Option<IpAddr>,
    scheme: Option<&'r str>,
    host: Option<&'r str>,
}

/// The entries of a list, which may be in several lines, from the last one on.
fn from_the_right<'r>(headers: &'r HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'r str> {
    let lines = headers.get_all(name).into_iter().rev();
    lines
        .flat_map(|line| line.to_str().unwrap_or_default().rsplit(','))
        .map(str::trim)
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}

/// A host with or without a port, without a user. None: it is anything else.
fn authority(text: &str) -> Option<Authority> {
    let authority = text.parse::<Authority>().ok();
    authority.filter(|authority| !authority.as_str().contains('@'))
}

/// With or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()))
}

/// Scheme and host by which a client calls us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin<'r> {
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// With its port, if that was said. None: the client has not named any, or what it has named is none.
    pub(crate) host: Option<&'r str>,
}

impl<'r> Origin<'r> {
    /// Of a request that a listener of this crate has taken.
    pub(crate) fn of(uri: &'r Uri, headers: &'r HeaderMap, extensions: &'r Extensions) -> Self {
        let reached: Option<&Reached> = extensions.get();
        let https = match reached {
            Some(reached) => reached.https,
            // HTTP/2 says it in each request.
            None => uri.scheme() == Some(&http::uri::Scheme::HTTPS),
        };
        let forwarded = reached.and_then(|reached| reached.host.as_ref());
        let host = match forwarded {
            Some(host) => Some(host.as_str()),
            None => headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
                .or_else(|| uri.authority().map(Authority::as_str)),
        };
        Self {
            scheme: if https { "https" } else { "http" },
            host: host.filter(|host| authority(host).is_some()),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn trusting(networks: &[&str], header: ForwardedHeader) -> TrustedProxies {
        TrustedProxies::new(networks.iter().map(|text| text.parse().unwrap()), header)
    }

    fn seen(proxies: &TrustedProxies, peer: &str, lines: &[(&str, &str)]) -> (String, bool, Option<String>) {
        let seen = proxies.seen(peer.parse().unwrap(), false, &headers(lines));
        let https = seen.reached.as_ref().is_some_and(|reached| reached.https);
        let host = seen.reached.and_then(|reached| reached.host);
        (seen.address.to_string(), https, host.map(|host| host.to_string()))
    }

    #[test]
    fn the_last_address_that_is_not_a_trusted_proxys_is_the_clients() {
        let proxies = trusting(&["10.0.0.0/8", "2001:db8::1"], ForwardedHeader::XForwarded);
        for (peer, chain, client) in [
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7, 10.1.1.1", "198.51.100.7"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("2001:db8::1", "[2001:db8::7]:80", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
            // Written by the client itself.
            ("10.0.0.1", "10.9.9.9, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.1,198.51.100.7 , 10.1.1.1", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.1, unknown, 10.1.1.1", "10.1.1.1"),
            ("10.0.0.1", "203.0.113.1, nonsense", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            // Whom nobody trusts.
            ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
            ("2001:db8::2", "198.51.100.7", "2001:db8::2"),
        ] {
            let (address, ..) = seen(&proxies, peer, &[("x-forwarded-for", chain)]);
            assert_eq!(address, client, "{peer} {chain}");
        }
        let lines = [
            ("x-forwarded-for", "203.0.113.1"),
            ("x-forwarded-for", "198.51.100.7"),
        ];
        assert_eq!(seen(&proxies, "10.0.0.1", &lines).0, "198.51.100.7");
    }

    #[test]
    fn scheme_and_host_are_those_that_the_first_trusted_proxy_was_called_by() {
        let proxies = trusting(&["10.0.0.0/8"], ForwardedHeader::XForwarded);
        let of = |peer: &str, chain: &str, scheme: &str, host: &str| {
            let lines = [
                ("x-forwarded-for", chain),
                ("x-forwarded-proto", scheme),
                ("x-forwarded-host", host),
            ];
            let (_, https, host) = seen(&proxies, peer, &lines);
            (https, host.unwrap_or_default())
        };
        let client = "198.51.100.7";
        assert_eq!(
            of("10.0.0.1", client, "https", "a.example"),
            (true, "a.example".to_owned())
        );
        assert_eq!(
            of("10.0.0.1", client, "HTTP", "a.example:81"),
            (false, "a.example:81".to_owned())
        );
        // Behind two, each of which adds its own, or passes on what the first one has written.
        let two = "198.51.100.7, 10.0.0.2";
        assert_eq!(of("10.0.0.1", two, "https, http", "a, b"), (true, "a".to_owned()));
        assert_eq!(of("10.0.0.1", two, "https", "a"), (true, "a".to_owned()));
        // What the client has written stands before what the proxy has.
        assert_eq!(
            of("10.0.0.1", client, "http, https", "evil, a"),
            (true, "a".to_owned())
        );
        for bad in ["", "a b", "user@a", "a/b", "\u{e4}"] {
            assert_eq!(
                of("10.0.0.1", client, "ftp", bad),
                (false, String::new()),
                "{bad}"
            );
        }
        assert_eq!(of("203.0.113.9", client, "https", "evil"), (false, String::new()));
    }

    #[test]
    fn only_the_header_that_the_proxies_write_is_read() {
        let both = [
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=198.51.100.2;host=a.example"),
        ];
        let x_forwarded = trusting(&["10.0.0.1"], ForwardedHeader::XForwarded);
        let forwarded = trusting(&["10.0.0.1"], ForwardedHeader::Forwarded);
        let expected = ("198.51.100.1".to_owned(), true, None);
        assert_eq!(seen(&x_forwarded, "10.0.0.1", &both), expected);
        let expected = ("198.51.100.2".to_owned(), false, Some("a.example".to_owned()));
        assert_eq!(seen(&forwarded, "10.0.0.1", &both), expected);
    }

    #[test]
    fn a_chain_of_rfc_7239_is_read_from_its_end_and_no_further_than_it_can_be() {
        let proxies = trusting(&["10.0.0.0/8"], ForwardedHeader::Forwarded);
        for (line, address, https, host) in [
            (
                "for=198.51.100.7;proto=https;host=a.example",
                "198.51.100.7",
                true,
                "a.example",
            ),
            (
                r#"For="[2001:db8::7]:4711";proto="https";host="a.example:81""#,
                "2001:db8::7",
                true,
                "a.example:81",
            ),
            (
                "for=10.9.9.9, for=198.51.100.7;proto=https, for=10.0.0.2;proto=http",
                "198.51.100.7",
                true,
                "",
            ),
            // What the client has written before.
            (r#"for="203.0.113.1, for=198.51.100.7"#, "198.51.100.7", false, ""),
            // The proxy has quoted what the client calls it.
            (
                r#"for=198.51.100.7;host="a, for=203.0.113.1""#,
                "10.0.0.1",
                false,
                "",
            ),
            ("for=_hidden;proto=https", "10.0.0.1", true, ""),
            ("nonsense", "10.0.0.1", false, ""),
        ] {
            let (found, is_https, named) = seen(&proxies, "10.0.0.1", &[("forwarded", line)]);
            assert_eq!(
                (found.as_str(), is_https, named.unwrap_or_default().as_str()),
                (address, https, host),
                "{line}"
            );
        }
    }

    #[test]
    fn an_address_is_a_network_and_nonsense_is_none() {
        for good in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"] {
            assert!(good.parse::<Network>().is_ok(), "{good}");
        }
        for bad in ["", "10.0.0.0/33", "proxy.example", "10.0.0"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}

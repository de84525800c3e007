//! `WSGITrustedProxies` and `WSGITrustedProxyHeaders`: the forwarding headers that are believed, and the changes they make.
//! Pure. Only listed headers act; all synonyms of a listed category are removed from an untrusted peer's
//! request, and all but the winner from a trusted one's. Values are taken as they are, ports and lists included, as mod_wsgi
//! takes them; empty entries of X-Forwarded-For are none. `Forwarded` is read by its own rules ([`forwarded`]). The peer is the client
//! that `RemoteIPHeader` names, where it names one ([`remote`]).

pub mod forwarded;
pub mod remote;

use gk_config::site::{Settings, Site};
use gk_rules::remote::RemoteIp;
use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

use crate::client::endpoints::Endpoints;

/// The word of `WSGITrustedProxies` for peers on Unix sockets.
const UNIX_SOCKETS: &str = "unix:";

/// `Forwarded`, which is about several subjects, by CGI name.
const FORWARDED: &str = "HTTP_FORWARDED";

/// The subject of a forwarding header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Category {
    Client,
    Scheme,
    Host,
    Port,
    Server,
    Script,
}

/// Every known header by CGI name.
const KNOWN: &[(&str, Category)] = &[
    ("HTTP_X_FORWARDED_FOR", Category::Client),
    ("HTTP_X_CLIENT_IP", Category::Client),
    ("HTTP_X_REAL_IP", Category::Client),
    ("HTTP_X_FORWARDED_PROTO", Category::Scheme),
    ("HTTP_X_FORWARDED_SCHEME", Category::Scheme),
    ("HTTP_X_SCHEME", Category::Scheme),
    ("HTTP_X_FORWARDED_HTTPS", Category::Scheme),
    ("HTTP_X_FORWARDED_SSL", Category::Scheme),
    ("HTTP_X_HTTPS", Category::Scheme),
    ("HTTP_X_FORWARDED_HOST", Category::Host),
    ("HTTP_X_HOST", Category::Host),
    ("HTTP_X_FORWARDED_PORT", Category::Port),
    ("HTTP_X_FORWARDED_SERVER", Category::Server),
    ("HTTP_X_SCRIPT_NAME", Category::Script),
    ("HTTP_X_FORWARDED_SCRIPT_NAME", Category::Script),
];

/// An address or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: u128,
    mask: u128,
    v4: bool,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let ip: IpAddr = address.trim().parse().ok()?;
        let (value, width) = number(ip);
        let bits = bits.unwrap_or(width);
        if bits > width {
            return None;
        }
        let mask = if bits == 0 { 0 } else { (u128::MAX << (width - bits)) & (u128::MAX >> (128 - width)) };
        Some(Self { base: value & mask, mask, v4: width == 32 })
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let (value, width) = number(ip);
        self.v4 == (width == 32) && value & self.mask == self.base
    }
}

fn number(ip: IpAddr) -> (u128, u32) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

/// The changes by the trusted headers of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// `REMOTE_ADDR`.
    pub remote_addr: Option<String>,
    /// `https` (true) or `http`.
    pub https: Option<bool>,
    /// `HTTP_HOST`.
    pub host: Option<Vec<u8>>,
    /// `SERVER_PORT`.
    pub server_port: Option<u16>,
    /// `SERVER_NAME`.
    pub server_name: Option<Vec<u8>>,
    /// `SCRIPT_NAME` and `mod_wsgi.mount_point`.
    pub script_name: Option<Vec<u8>>,
    /// The peer is a proxy that `WSGITrustedProxies` names. Without that directive the headers are anybody's, so that an
    /// application sees them, and no access rule believes them.
    pub named_proxy: bool,
    forwarded_for: Option<Vec<u8>>,
    forwarded: Option<Vec<u8>>,
    dropped: Vec<&'static str>,
    host_seen: bool,
}

impl Overlay {
    /// Whether the header of that CGI name is not passed on.
    pub fn drops(&self, key: &[u8]) -> bool {
        self.dropped.iter().any(|d| d.as_bytes() == key)
    }

    /// Another value for the header of that CGI name.
    pub fn value(&self, key: &[u8]) -> Option<&[u8]> {
        match key {
            b"HTTP_HOST" => self.host.as_deref(),
            b"HTTP_X_FORWARDED_FOR" => self.forwarded_for.as_deref(),
            b"HTTP_FORWARDED" => self.forwarded.as_deref(),
            _ => None,
        }
    }

    /// Entries without a header in the request.
    pub fn added(&self) -> impl Iterator<Item = (&'static [u8], &[u8])> {
        let host = self.host.as_deref().filter(|_| !self.host_seen).map(|h| (&b"HTTP_HOST"[..], h));
        let mount = self.script_name.as_deref().map(|s| (&b"mod_wsgi.mount_point"[..], s));
        host.into_iter().chain(mount)
    }
}

/// The address in a forwarding header's value, without the port that some proxies add.
pub fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

/// Whether some place of the site trusts this peer as a proxy.
pub fn is_proxy(site: &Site, peer: IpAddr) -> bool {
    let trusted = site.hosts.iter().flat_map(|host| &host.base.trusted_proxies);
    trusted.filter_map(|text| Network::parse(text)).any(|network| network.contains(peer))
        || site.hosts.iter().any(|host| host.remote.lists(peer))
}

/// The proxies of a site, wherever it names them.
pub struct Proxies {
    networks: Vec<Network>,
    sockets: bool,
    remote: Vec<RemoteIp>,
}

impl Proxies {
    /// Those that some place of the site trusts.
    pub fn of(site: &Site) -> Self {
        let named = || site.hosts.iter().flat_map(|host| &host.base.trusted_proxies);
        Self {
            networks: named().filter_map(|text| Network::parse(text)).collect(),
            sockets: named().any(|text| text == UNIX_SOCKETS),
            remote: site.hosts.iter().map(|host| host.remote.clone()).collect(),
        }
    }

    /// Whether the peer of a connection is one of them.
    pub fn trust(&self, ends: &Endpoints) -> bool {
        match ends.address {
            // A peer without an address came over a Unix socket.
            None => self.sockets && ends.peer.is_empty(),
            Some(address) => {
                self.networks.iter().any(|network| network.contains(address))
                    || self.remote.iter().any(|remote| remote.lists(address))
            }
        }
    }
}

/// Evaluates one request. `None`: the settings list no header, so nothing changes.
pub fn apply(settings: &Settings, peer: &str, headers: &HeaderMap) -> Option<Overlay> {
    if settings.trusted_proxy_headers.is_empty() {
        return None;
    }
    let networks: Vec<Network> = settings.trusted_proxies.iter().filter_map(|t| Network::parse(t)).collect();
    let trusts = |text: &str| {
        text.trim().parse::<IpAddr>().is_ok_and(|ip| networks.iter().any(|network| network.contains(ip)))
    };
    let everyone = settings.trusted_proxies.is_empty();
    // A peer without an address came over a Unix socket.
    let over_socket = || peer.is_empty() && settings.trusted_proxies.iter().any(|t| t == UNIX_SOCKETS);
    let trusted = everyone || over_socket() || trusts(peer);
    let mut overlay = Overlay {
        host_seen: headers.contains_key("host"),
        named_proxy: trusted && !everyone,
        ..Overlay::default()
    };
    let mut handled = Vec::new();
    for listed in settings.trusted_proxy_headers.iter().rev() {
        if listed == FORWARDED {
            let fields = headers.get_all(http::header::FORWARDED).iter().map(|value| value.as_bytes());
            let believed =
                trusted.then(|| forwarded::believe(fields, |text| everyone || trusts(text))).flatten();
            match believed {
                Some(believed) => overlay.believe_forwarded(believed, &mut handled),
                None => overlay.dropped.push(FORWARDED),
            }
            continue;
        }
        let Some((_, category)) = KNOWN.iter().find(|(name, _)| name == listed) else { continue };
        if handled.contains(category) {
            continue;
        }
        // The last listed header that is present wins.
        let value = trusted.then(|| combined(headers, listed)).flatten();
        let Some(value) = value else { continue };
        handled.push(*category);
        overlay.believe(*category, listed, &value, everyone, trusts);
        overlay.drop_synonyms(*category, listed);
    }
    for listed in &settings.trusted_proxy_headers {
        for category in categories(listed) {
            if !handled.contains(&category) {
                handled.push(category);
                overlay.drop_synonyms(category, "");
            }
        }
    }
    Some(overlay)
}

/// The subjects of a header.
fn categories(listed: &str) -> Vec<Category> {
    match listed {
        FORWARDED => vec![Category::Client, Category::Scheme, Category::Host],
        _ => KNOWN.iter().filter(|(name, _)| *name == listed).map(|(_, category)| *category).collect(),
    }
}

/// The value of a header by its CGI name, repeated ones joined.
fn combined(headers: &HeaderMap, cgi: &str) -> Option<Vec<u8>> {
    let name = cgi.strip_prefix("HTTP_")?.replace('_', "-").to_ascii_lowercase();
    let values: Vec<&[u8]> = headers.get_all(&name).iter().map(|v| v.as_bytes()).collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}

impl Overlay {
    /// Drops the headers of a subject but the one that was believed.
    fn drop_synonyms(&mut self, category: Category, believed: &str) {
        let synonyms = KNOWN.iter().filter(|(name, of)| *of == category && *name != believed);
        self.dropped.extend(synonyms.map(|(name, _)| *name));
    }

    /// Takes of `Forwarded` what no header that counts more has said.
    fn believe_forwarded(&mut self, believed: forwarded::Believed, handled: &mut Vec<Category>) {
        let forwarded::Believed { client, proto, host, kept } = believed;
        self.forwarded = Some(kept.into_bytes());
        let said = [
            (Category::Client, client.is_some()),
            (Category::Scheme, proto.is_some()),
            (Category::Host, host.is_some()),
        ];
        for (category, said) in said {
            if !said || handled.contains(&category) {
                continue;
            }
            handled.push(category);
            self.drop_synonyms(category, "");
            match category {
                Category::Client => self.remote_addr.clone_from(&client),
                Category::Scheme => {
                    self.https = proto.as_ref().map(|proto| proto.eq_ignore_ascii_case("https"))
                }
                _ => self.host = host.clone().map(String::into_bytes),
            }
        }
    }

    fn believe(
        &mut self,
        category: Category,
        name: &str,
        value: &[u8],
        everyone: bool,
        trusts: impl Fn(&str) -> bool,
    ) {
        let text = String::from_utf8_lossy(value).trim().to_owned();
        match category {
            Category::Client if name == "HTTP_X_FORWARDED_FOR" => {
                let elements: Vec<&str> =
                    text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect();
                let Some(last) = elements.len().checked_sub(1) else { return };
                if everyone {
                    self.remote_addr = Some(elements[0].to_owned());
                    return;
                }
                let run = elements.iter().rev().take_while(|e| trusts(e)).count();
                let at = last.saturating_sub(run);
                self.remote_addr = Some(elements[at].to_owned());
                self.forwarded_for = Some(elements[at..].join(", ").into_bytes());
            }
            Category::Client => self.remote_addr = Some(text),
            Category::Scheme if name.ends_with("HTTPS") || name.ends_with("SSL") => {
                let on = ["on", "true", "1"].iter().any(|word| text.eq_ignore_ascii_case(word));
                self.https = Some(on);
            }
            Category::Scheme => self.https = Some(text.eq_ignore_ascii_case("https")),
            Category::Host => self.host = Some(text.into_bytes()),
            Category::Port => self.server_port = text.parse().ok(),
            Category::Server => self.server_name = Some(text.into_bytes()),
            Category::Script => self.script_name = Some(text.into_bytes()),
        }
    }
}

#[cfg(test)]
#[path = "proxy_trust_tests.rs"]
mod tests;

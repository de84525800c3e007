//! mod_remoteip: the lists of proxies, some of which stand in files, and the addresses at which the PROXY protocol is spoken.

use crate::diagnostic::{Complaint, Journal};
use crate::directives::raw::{Raw, RawProxies};
use crate::site::{HostAddress, ProxyProtocol};
use crate::source::Source;
use gk_rules::remote::{Peers, Proxy};

/// Puts the lists of each host together, in their order: the first that names a proxy decides what kind it is.
pub fn lists(raw: &mut Raw, source: &dyn Source, journal: &mut Journal) {
    for host in &mut raw.hosts {
        if host.proxies.is_empty() {
            continue;
        }
        let mut proxies = Vec::new();
        for one in &host.proxies {
            match one {
                RawProxies::One(proxy) => proxies.push(*proxy),
                RawProxies::List { path, internal, word } => {
                    let read = source.read(path).and_then(|text| listed(&text, *internal));
                    match read {
                        Ok(listed) => proxies.extend(listed),
                        Err(why) => {
                            let message = format!("{} cannot be used: {why}", path.display());
                            journal.say(Complaint::error(message).at(word));
                        }
                    }
                }
            }
        }
        host.remote.proxies = Some(proxies);
    }
}

/// Says where a proxy that names the client in `RemoteIPHeader` is one of `WSGITrustedProxies`, too: the client is then the peer that
/// the second is asked about, so that what it sets is believed from nobody.
pub fn check_both(raw: &Raw, journal: &mut Journal) {
    let main = &raw.hosts[0];
    for host in &raw.hosts {
        let (remote, trusted) = (host.remote.under(&main.remote), host.base.trusted_proxies.as_ref());
        let Some(word) = host.remote_word.as_ref().or(main.remote_word.as_ref()) else { continue };
        let own = host.remote_word.is_some() || trusted.is_some();
        let trusted = trusted.or(main.base.trusted_proxies.as_ref()).filter(|_| own);
        let named = |text: &&String| {
            let address = text.split('/').next().and_then(|address| address.parse().ok());
            address.is_some_and(|address| remote.lists(address))
        };
        let Some(proxy) = trusted.into_iter().flatten().find(named) else { continue };
        let message = format!(
            "the proxy {proxy} stands in WSGITrustedProxies, too, which is asked about the client that RemoteIPHeader names: its other \
             headers are believed from nobody"
        );
        let hint = "let WSGITrustedProxyHeaders take X-Forwarded-For as well, in place of RemoteIPHeader";
        journal.say(Complaint::warning(message).at(word).hint(hint));
    }
}

/// Says that trusted proxies are asked for no header: their request ids are believed, and they have no limit of connections, but the client
/// is the proxy.
pub fn check_headers(raw: &Raw, journal: &mut Journal) {
    let Some(word) = raw.trusted_proxies.as_ref().filter(|_| !raw.trusts_headers) else { return };
    let message = "without WSGITrustedProxyHeaders, nothing is believed that these proxies say of the client";
    let hint = "WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto; with `serve`, `--trust-proxy-header NAME` for each";
    journal.say(Complaint::note(message).at(word).hint(hint));
}

/// The proxies of a list's text.
fn listed(text: &[u8], internal: bool) -> Result<Vec<Proxy>, String> {
    let mut proxies = Vec::new();
    for (number, line) in String::from_utf8_lossy(text).lines().enumerate() {
        let words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        for word in words {
            let peers =
                Peers::parse(word).map_err(|mistake| format!("line {}: {}", number + 1, mistake.message))?;
            proxies.push(Proxy { peers, internal });
        }
    }
    Ok(proxies)
}

/// Where the PROXY protocol is spoken; `None`: nowhere.
pub fn proxy_protocol(raw: &Raw, journal: &mut Journal) -> Option<ProxyProtocol> {
    let mut protocol = ProxyProtocol { exceptions: raw.proxy_exceptions.clone(), ..ProxyProtocol::default() };
    let everywhere = [HostAddress { host: None, port: None }];
    for (index, host) in raw.hosts.iter().enumerate() {
        let Some((on, word)) = &host.proxy_protocol else { continue };
        let addresses = if index == 0 { &everywhere[..] } else { &host.addresses };
        let mut overrides = false;
        for address in addresses {
            overrides |= protocol.set(address, *on);
        }
        if overrides {
            let message =
                "another host of the same address says otherwise; the last line counts for all of them";
            journal.say(Complaint::warning(message).at(word));
        }
    }
    (!protocol.on.is_empty()).then_some(protocol)
}

//! TLS is not built yet: a listener that asks for it is refused, because it would speak plain HTTP.

use crate::diagnostic::{Complaint, Journal};
use crate::raw::{CertificateUse, Raw};
use crate::site::{HostAddress, Listen, Site};

const REMEDY: &str = "end TLS in a proxy in front, and take WSGITrustedProxies and `WSGITrustedProxyHeaders X-Forwarded-Proto` for \
                      what it says of the client";

/// Says of every listener that asks for TLS that there is none.
pub fn refuse(raw: &Raw, journal: &mut Journal) {
    for word in &raw.https {
        let message = "TLS for applications is not built yet: this listener would speak plain HTTP";
        journal.say(Complaint::error(message).at(word).hint(REMEDY));
    }
    let ports = || raw.listen.iter().filter_map(port);
    for host in &raw.hosts {
        if let Some((true, word)) = &host.tls
            && let Some(port) = ports().find(|port| holds(&host.addresses, *port))
        {
            let port = if port == 0 { String::new() } else { format!(" on port {port}") };
            let message =
                format!("TLS for applications is not built yet: this host would speak plain HTTP{port}");
            journal.say(Complaint::error(message).at(word).hint(REMEDY));
        }
    }
}

/// Closes what only clients with a certificate may enter, where a host speaks TLS: there Apache asks for one. A host that speaks
/// none has its rules from the main server as well, and the proxy that ends TLS may send its requests to either.
pub fn close(raw: &mut Raw, journal: &mut Journal) {
    let tls =
        raw.hosts.iter().any(|host| host.tls.as_ref().is_some_and(|(on, _)| *on)) || !raw.https.is_empty();
    if !tls {
        return;
    }
    for CertificateUse { host, section, word } in &raw.certificates {
        let host = &mut raw.hosts[*host];
        match section {
            Some(section) => host.sections[*section].section.set.closed = true,
            None => host.base.closed = true,
        }
        let message =
            "no client certificate can be asked for here, so every request in this scope is answered 403";
        let hint =
            "let the proxy in front ask for it, listen where only the proxy can connect, and delete the line";
        journal.say(Complaint::warning(message).at(word).hint(hint));
    }
}

fn port(listen: &Listen) -> Option<u16> {
    match listen {
        Listen::Tcp { port, .. } => Some(*port),
        Listen::Unix { .. } | Listen::Given { .. } => None,
    }
}

/// Whether a host of these addresses is one of a port's; addresses of other interfaces count, too. A host without a
/// port, such as the main server, is one of every port's, and so is every host where any free port is taken.
fn holds(addresses: &[HostAddress], port: u16) -> bool {
    port == 0 || addresses.is_empty() || addresses.iter().any(|a| a.port.is_none_or(|own| own == port))
}

impl Site {
    /// Whether a host of this port has `SSLEngine On`. Asked of sockets that are given in place of `Listen`.
    pub fn asks_for_tls(&self, port: u16) -> bool {
        self.hosts.iter().any(|host| host.tls && holds(&host.addresses, port))
    }
}

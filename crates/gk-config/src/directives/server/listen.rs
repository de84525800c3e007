//! `Listen`: an address with its options, a Unix socket, or a socket of the service manager by its name.

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Scope};
use crate::site::Listen;
use crate::token::Word;
use crate::values;
use std::net::IpAddr;
use std::path::PathBuf;

/// `address:port`, with IPv6 addresses in brackets: host and port.
fn host_port(text: &str) -> Option<(Option<String>, u16)> {
    let (host, port) = text.rsplit_once(':').map_or((None, text), |(h, p)| (Some(h), p));
    let port = port.parse().ok()?;
    let host = match host {
        None | Some("*") => None,
        Some(host) => {
            let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            Some(bare.parse::<IpAddr>().ok()?.to_string())
        }
    };
    Some((host, port))
}

/// The directive.
pub(super) fn listen(scope: &mut Scope, words: &[Word]) -> Applied {
    let (word, more) = (&words[0], &words[1..]);
    let mut https = None;
    let listen = if let Some(path) = word.text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err(Complaint::error("Listen unix: needs the path of the socket").at(word));
        }
        listen_unix(scope.path(path), more)?
    } else if let Some(name) = word.text.strip_prefix("systemd:") {
        let is_name = |c: char| c.is_ascii_graphic() && c != ':';
        if name.is_empty() || name.len() > 255 || !name.chars().all(is_name) {
            let message =
                "Listen systemd: needs the name of a socket (FileDescriptorName= of its .socket unit)";
            return Err(Complaint::error(message).at(word));
        }
        if let Some(extra) = more.first() {
            return Err(Complaint::error("Listen systemd: takes a name and nothing more").at(extra));
        }
        Listen::Given { name: name.to_owned() }
    } else {
        let (mut options, mut protocols) = (Vec::new(), Vec::new());
        for word in more {
            if word.text.contains('=') { options.push(word) } else { protocols.push(word) }
        }
        if let Some(extra) = protocols.get(1) {
            return Err(Complaint::error("Listen takes an address and at most a protocol").at(extra));
        }
        if let Some(protocol) = protocols.first()
            && values::one_of("the protocol of Listen", protocol, &protocol.text, &["http", "https"])?
                == "https"
        {
            https = Some((*protocol).clone());
        }
        let (host, port) = host_port(&word.text).ok_or_else(|| {
            let message = format!("Listen takes a port, address:port or unix:/path, not `{}`", word.text);
            Complaint::error(message)
                .at(word)
                .hint("addresses are numeric; IPv6 is written [2001:db8::1]:8000")
        })?;
        let ipv6_only = ipv6_only(host.as_deref(), &options)?;
        Listen::Tcp { host, port, ipv6_only }
    };
    let same = |other: &Listen| match (other, &listen) {
        (Listen::Unix { path: one, .. }, Listen::Unix { path: two, .. }) => one == two,
        (Listen::Tcp { host: one, port: of_one, .. }, Listen::Tcp { host: two, port: of_two, .. }) => {
            (one, of_one) == (two, of_two)
        }
        (one, two) => one == two,
    };
    let any_port = matches!(listen, Listen::Tcp { port: 0, .. });
    if scope.raw.listen.iter().any(same) && !any_port {
        return Err(Complaint::error(format!("Listen {} is given twice", word.text)).at(word));
    }
    scope.raw.https.extend(https.map(|protocol| (listen.clone(), protocol)));
    scope.raw.listen.push(listen);
    Ok(())
}

/// `ipv6only=`, which concerns sockets for all addresses of IPv6 alone.
fn ipv6_only(host: Option<&str>, options: &[&Word]) -> Result<bool, Complaint> {
    let mut only = false;
    for word in options {
        let Some(("ipv6only", value)) = word.text.split_once('=') else {
            let message = format!("Listen takes ipv6only=on or off after an address, not `{}`", word.text);
            return Err(Complaint::error(message).at(word));
        };
        only = values::one_of("ipv6only=", word, value, &["on", "off"])? == "on";
        if host.is_some_and(|host| host != "::") {
            let message = "ipv6only= is for `Listen [::]:port`: a socket of one address has one family";
            return Err(Complaint::error(message).at(word));
        }
    }
    Ok(only)
}

/// The options of a Unix socket.
fn listen_unix(path: PathBuf, words: &[Word]) -> Result<Listen, Complaint> {
    let (mut mode, mut owner, mut group) = (None, None, None);
    for word in words {
        match word.text.split_once('=') {
            Some(("mode", text)) => mode = Some(values::file_mode("mode=", word, text)?),
            Some(("owner", text)) => owner = Some(values::identity("owner=", word, text)?),
            Some(("group", text)) => group = Some(values::identity("group=", word, text)?),
            _ => {
                let message = format!("Listen unix: takes mode=, owner= and group=, not `{}`", word.text);
                return Err(Complaint::error(message).at(word));
            }
        }
    }
    Ok(Listen::Unix { path, mode, owner, group })
}

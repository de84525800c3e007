//! mod_remoteip: the client's address as a proxy in front tells it, in a header field or by the PROXY protocol.

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::raw::RawProxies;
use crate::token::Word;
use crate::values;
use gk_rules::Mistake;
use gk_rules::remote::{Peers, Proxy};

const SERVER: Contexts = Contexts::SERVER;
const ONE: Arity = Arity::exactly(1);
const SOME: Arity = Arity::at_least(1);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("RemoteIPHeader", "name", SERVER, ONE, header)
        .doc("The header field in which a proxy names the client. It is read from its end, past the trusted proxies; the result \
              becomes `REMOTE_ADDR` and the client of access rules, expressions and logs, and the field keeps the unused rest. \
              Entries must be plain addresses, without names, ports or brackets. It is evaluated before `WSGITrustedProxies`, which \
              then sees this client as the peer, and is ignored on connections that begin with the PROXY protocol."),
    Directive::honoured("RemoteIPInternalProxy", "address|network|unix: …", SERVER, SOME, internal)
        .default("none; without any list every peer is believed, as an external proxy")
        .doc("Proxies of the site's own network, whose RemoteIPHeader is believed, also when it names a private address."),
    Directive::honoured("RemoteIPTrustedProxy", "address|network|unix: …", SERVER, SOME, trusted)
        .default("none; without any list every peer is believed, as an external proxy")
        .doc("External proxies, whose RemoteIPHeader is believed. A private address in it (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, \
              169.254.0.0/16, 127.0.0.0/8; of IPv6 all outside of 2000::/3) is not believed."),
    Directive::honoured("RemoteIPInternalProxyList", "file", SERVER, ONE, internal_list)
        .doc("A file with the words of RemoteIPInternalProxy, read with the configuration; `#` begins a comment."),
    Directive::honoured("RemoteIPTrustedProxyList", "file", SERVER, ONE, trusted_list)
        .doc("A file with the words of RemoteIPTrustedProxy, read with the configuration; `#` begins a comment."),
    Directive::honoured("RemoteIPProxiesHeader", "name", SERVER, ONE, proxies_header)
        .doc("The header field in which the application sees the external proxies that the request passed, the nearest first."),
    Directive::honoured("RemoteIPProxyProtocol", "On|Off", SERVER, ONE, proxy_protocol)
        .default("Off")
        .doc("Connections to the addresses of this host begin with a header of the PROXY protocol, version 1 or 2, that names the \
              client. A connection that begins with anything else is closed, logged and counted. The directive applies to addresses: \
              `Off` for an address overrides `On`, and of two lines for the same address the last counts. In the main server it \
              applies to all addresses, including Unix sockets. Anyone who can connect can claim any address, so let only the proxy \
              reach the port."),
    Directive::honoured("RemoteIPProxyProtocolExceptions", "address|network|unix: …", SERVER, SOME, exceptions)
        .doc("Peers whose connections begin without that header, such as health checks, on all addresses of the server."),
];

/// A mistake in one of the words.
fn at(word: &Word) -> impl Fn(Mistake) -> Complaint {
    move |mistake| {
        let complaint = Complaint::error(mistake.message).at(word);
        match mistake.hint {
            Some(hint) => complaint.hint(hint),
            None => complaint,
        }
    }
}

/// The name of a header field, in lower case.
fn field(scope: &Scope, word: &Word) -> Result<Option<String>, Complaint> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if word.text.is_empty() || !word.text.bytes().all(token) {
        let message = format!("{} takes the name of a header field, not `{}`", scope.name, word.text);
        return Err(Complaint::error(message).at(word));
    }
    Ok(Some(word.text.to_ascii_lowercase()))
}

fn header(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().remote.header = field(scope, &words[0])?;
    scope.host().remote_word = Some(words[0].clone());
    if words[0].text.eq_ignore_ascii_case("forwarded") {
        let complaint = Complaint::warning(
            "entries of Forwarded are no plain addresses, so RemoteIPHeader finds no client in it",
        );
        scope.say(complaint.at(&words[0]).hint("WSGITrustedProxyHeaders Forwarded reads it"));
    }
    Ok(())
}

fn proxies_header(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().remote.proxies_header = field(scope, &words[0])?;
    Ok(())
}

fn proxies(scope: &mut Scope, words: &[Word], internal: bool) -> Applied {
    for word in words {
        let peers = Peers::parse(&word.text).map_err(at(word))?;
        scope.host().proxies.push(RawProxies::One(Proxy { peers, internal }));
    }
    Ok(())
}

fn internal(scope: &mut Scope, words: &[Word]) -> Applied {
    proxies(scope, words, true)
}

fn trusted(scope: &mut Scope, words: &[Word]) -> Applied {
    proxies(scope, words, false)
}

fn list(scope: &mut Scope, words: &[Word], internal: bool) -> Applied {
    let path = scope.path(&words[0].text);
    scope.host().proxies.push(RawProxies::List { path, internal, word: words[0].clone() });
    Ok(())
}

fn internal_list(scope: &mut Scope, words: &[Word]) -> Applied {
    list(scope, words, true)
}

fn trusted_list(scope: &mut Scope, words: &[Word]) -> Applied {
    list(scope, words, false)
}

fn proxy_protocol(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    scope.host().proxy_protocol = Some((on, words[0].clone()));
    Ok(())
}

fn exceptions(scope: &mut Scope, words: &[Word]) -> Applied {
    for word in words {
        let peers = Peers::parse(&word.text).map_err(at(word))?;
        scope.raw.proxy_exceptions.push(peers);
    }
    Ok(())
}

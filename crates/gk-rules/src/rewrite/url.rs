//! URLs as mod_rewrite sees them: what is absolute, and how a redirect is written.

use crate::Facts;
use crate::escape::escape_path;
use crate::server_variables::scheme;

/// Schemes of an absolute URL, and whether such a URL has a query.
const SCHEMES: &[(&[u8], bool)] = &[
    (b"http://", true),
    (b"https://", true),
    (b"ftp://", false),
    (b"ws://", true),
    (b"wss://", true),
    (b"ldap://", false),
    (b"mailto:", true),
    (b"news:", false),
    (b"nntp://", false),
    (b"gopher://", false),
    (b"ajp://", true),
    (b"fcgi://", true),
    (b"scgi://", true),
    (b"balancer://", true),
    (b"h2://", true),
    (b"h2c://", true),
];

/// Length of the scheme of an absolute URL with what follows it, and whether such a URL has a query.
pub(super) fn absolute(url: &[u8]) -> Option<(usize, bool)> {
    let found = SCHEMES.iter().find(|(scheme, _)| {
        url.len() > 5 && url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    found.map(|(scheme, query)| (scheme.len(), *query))
}

/// `http://host:port`: the server as the client asked for it.
pub(super) fn origin(facts: &dyn Facts) -> String {
    let (scheme, name, port) = (scheme(facts), facts.server_name(), facts.server_port());
    match (scheme, port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{name}"),
        _ => format!("{scheme}://{name}:{port}"),
    }
}

/// An absolute URL with its path escaped; `scheme` is the scheme's length.
pub(super) fn escape_absolute(url: &[u8], scheme: usize) -> Vec<u8> {
    let (head, rest) = url.split_at(scheme.min(url.len()));
    let host = match head.ends_with(b"/") {
        true => rest.iter().position(|byte| *byte == b'/').map_or(rest.len(), |slash| slash + 1),
        false => 0,
    };
    [head, &rest[..host], &escape_path(&rest[host..])].concat()
}

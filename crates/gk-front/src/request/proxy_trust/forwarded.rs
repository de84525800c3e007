//! The header field `Forwarded` (RFC 7239): its elements, and what of them is believed. Each proxy adds an element at the end, so they
//! are read from there on, as long as who has added the rest is trusted. A field that is malformed where it is read names a client that
//! nobody knows: by a quotation mark without an end a client could otherwise hide what a proxy says of it.

use std::net::{IpAddr, SocketAddr};

/// The name of a client that the proxy does not know (RFC 7239, 6.2).
const UNKNOWN: &str = "unknown";

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// As it is written.
    text: String,
    node: Option<String>,
    proto: Option<String>,
    host: Option<String>,
}

/// What the trusted elements say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Believed {
    /// The client: its address without brackets and port, or the identifier that stands for it.
    pub client: Option<String>,
    /// The scheme that the client used.
    pub proto: Option<String>,
    /// The `Host` field that the client sent.
    pub host: Option<String>,
    /// The elements that were read.
    pub kept: String,
}

/// Reads the fields of a request, in their order. `None`: there is no element.
pub fn believe<'v>(
    fields: impl DoubleEndedIterator<Item = &'v [u8]>,
    trusts: impl Fn(&str) -> bool,
) -> Option<Believed> {
    let mut believed = Believed::default();
    let mut kept: Vec<String> = Vec::new();
    'fields: for field in fields.rev() {
        let Some(elements) = elements(field) else {
            believed.client = Some(UNKNOWN.to_owned());
            kept.push(format!("for={UNKNOWN}"));
            break;
        };
        for element in elements.into_iter().rev() {
            // Who is nearer to the client knows better what it has asked.
            believed.proto = element.proto.or(believed.proto);
            believed.host = element.host.or(believed.host);
            kept.push(element.text);
            let Some(node) = element.node else { break 'fields };
            let client = name(&node);
            let goes_on = trusts(&client);
            believed.client = Some(client);
            if !goes_on {
                break 'fields;
            }
        }
    }
    kept.reverse();
    believed.kept = kept.join(", ");
    (!believed.kept.is_empty()).then_some(believed)
}

/// A node without its port and brackets.
fn name(node: &str) -> String {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let address =
        bare.parse::<IpAddr>().ok().or_else(|| node.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    match address {
        Some(address) => address.to_string(),
        // The port may be obfuscated as well.
        None => {
            match node.rfind("]:").map(|end| &node[1..end]).and_then(|inner| inner.parse::<IpAddr>().ok()) {
                Some(address) => address.to_string(),
                None => match node.split_once(':') {
                    Some((before, _)) => {
                        before.parse::<IpAddr>().map_or_else(|_| before.to_owned(), |ip| ip.to_string())
                    }
                    None => node.to_owned(),
                },
            }
        }
    }
}

/// The elements of one field. `None`: it is malformed.
pub fn elements(field: &[u8]) -> Option<Vec<Element>> {
    let text = std::str::from_utf8(field).ok()?;
    let mut rest = text.trim_matches(is_blank);
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let start = rest;
        let mut element = Element::default();
        loop {
            rest = pair(rest, &mut element)?.trim_start_matches(is_blank);
            match rest.strip_prefix(';') {
                Some(more) => rest = more.trim_start_matches(is_blank),
                None => break,
            }
        }
        start[..start.len() - rest.len()].trim_end_matches(is_blank).clone_into(&mut element.text);
        if element.text.contains('=') {
            elements.push(element);
        }
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start_matches(is_blank);
        }
    }
    Some(elements)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Reads one parameter into an element, or none, and returns what is behind it.
fn pair<'t>(text: &'t str, element: &mut Element) -> Option<&'t str> {
    if text.is_empty() || text.starts_with([';', ',']) {
        return Some(text);
    }
    let (name, rest) = text.split_once('=')?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return None;
    }
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => {
            // Addresses of IPv6 are to be quoted, and are not by everybody.
            let end = rest.find([';', ',', ' ', '\t']).unwrap_or(rest.len());
            let (value, rest) = rest.split_at(end);
            (!value.is_empty() && !value.contains(['"', '\\'])).then(|| (value.to_owned(), rest))?
        }
    };
    let slot = match name.to_ascii_lowercase().as_str() {
        "for" => &mut element.node,
        "proto" => &mut element.proto,
        "host" => &mut element.host,
        _ => return Some(rest),
    };
    // Each at most once.
    slot.replace(value).is_none().then_some(rest)
}

/// The text of a quoted string up to its end, and what is behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(fields: &[&str]) -> Option<Believed> {
        believe(fields.iter().map(|field| field.as_bytes()), |client| {
            client.starts_with("10.") || client == "fd00::1"
        })
    }

    #[test]
    fn the_client_is_the_last_untrusted_hop() {
        let table: &[(&[&str], &str, &str)] = &[
            // Fields, client, the elements that are kept.
            (&["for=203.0.113.9"], "203.0.113.9", "for=203.0.113.9"),
            (&["For=203.0.113.9;by=10.0.0.1"], "203.0.113.9", "For=203.0.113.9;by=10.0.0.1"),
            (&["for=1.1.1.1, for=203.0.113.9, for=10.0.0.1"], "203.0.113.9", "for=203.0.113.9, for=10.0.0.1"),
            (
                &["for=1.1.1.1", "for=203.0.113.9", "for=10.0.0.1"],
                "203.0.113.9",
                "for=203.0.113.9, for=10.0.0.1",
            ),
            (&["for=10.0.0.2,for=10.0.0.1"], "10.0.0.2", "for=10.0.0.2, for=10.0.0.1"),
            (&["for=\"[2001:db8::9]:4711\""], "2001:db8::9", "for=\"[2001:db8::9]:4711\""),
            (&["for=\"[2001:db8::9]\""], "2001:db8::9", "for=\"[2001:db8::9]\""),
            (&["for=\"[2001:db8::9]:_port\""], "2001:db8::9", "for=\"[2001:db8::9]:_port\""),
            (&["for=[2001:db8::9]"], "2001:db8::9", "for=[2001:db8::9]"),
            (&["for=2001:db8::9"], "2001:db8::9", "for=2001:db8::9"),
            (&["for=\"203.0.113.9:4711\""], "203.0.113.9", "for=\"203.0.113.9:4711\""),
            (&["for=\"203.0.113.9:_p\""], "203.0.113.9", "for=\"203.0.113.9:_p\""),
            (
                &["for=203.0.113.9, for=\"10.0.0.1:99\""],
                "203.0.113.9",
                "for=203.0.113.9, for=\"10.0.0.1:99\"",
            ),
            (
                &["for=203.0.113.9, for=\"[fd00::1]:99\""],
                "203.0.113.9",
                "for=203.0.113.9, for=\"[fd00::1]:99\"",
            ),
            (&["for=203.0.113.9, for=unknown"], "unknown", "for=unknown"),
            (&["for=\"_hidden:4711\", for=10.0.0.1"], "_hidden", "for=\"_hidden:4711\", for=10.0.0.1"),
            (
                &["for=203.0.113.9 ; proto=https ,, ;for=10.0.0.1"],
                "203.0.113.9",
                "for=203.0.113.9 ; proto=https, ;for=10.0.0.1",
            ),
            (&["for=\"203.0.113\\.9\""], "203.0.113.9", "for=\"203.0.113\\.9\""),
            (
                &["secret=\"a, for=1.1.1.1\";for=203.0.113.9"],
                "203.0.113.9",
                "secret=\"a, for=1.1.1.1\";for=203.0.113.9",
            ),
            // An element that names nobody ends the way.
            (&["for=203.0.113.9, by=10.0.0.2, for=10.0.0.1"], "10.0.0.1", "by=10.0.0.2, for=10.0.0.1"),
        ];
        for (fields, client, kept) in table {
            let believed = read(fields).unwrap();
            assert_eq!((believed.client.as_deref(), &*believed.kept), (Some(*client), *kept), "{fields:?}");
        }
        for none in [&[][..], &[""], &[",", " , ;; "]] {
            assert_eq!(read(none), None, "{none:?}");
        }
        assert_eq!(read(&["proto=https"]).unwrap().client, None);
    }

    #[test]
    fn scheme_and_host_are_those_that_the_client_used() {
        let table: &[(&str, Option<&str>, Option<&str>)] = &[
            ("for=203.0.113.9;proto=https;host=www.example", Some("https"), Some("www.example")),
            (
                "for=203.0.113.9;proto=https;host=\"a.example:8443\", for=10.0.0.1;proto=http",
                Some("https"),
                Some("a.example:8443"),
            ),
            ("for=203.0.113.9, for=10.0.0.1;proto=http;host=inner", Some("http"), Some("inner")),
            ("for=1.1.1.1;proto=https;host=evil, for=203.0.113.9", None, None),
            ("proto=https", Some("https"), None),
        ];
        for (field, proto, host) in table {
            let believed = read(&[field]).unwrap();
            assert_eq!((believed.proto.as_deref(), believed.host.as_deref()), (*proto, *host), "{field}");
        }
    }

    /// By a quotation mark without an end a client could hide what the proxy adds behind it.
    #[test]
    fn a_malformed_field_names_nobody() {
        for field in [
            "for=\"evil, for=203.0.113.9",
            "a=\", for=\"[2001:db8::9]\"",
            "for=10.0.0.1\\, for=203.0.113.9",
            "for=1.1.1.1;for=10.0.0.1",
            "for",
            "for=",
            "=1",
            "for =1.1.1.1",
            "for=a b",
            "for=\"a\"b",
            "for=\"a\\",
            "f r=1",
        ] {
            let believed = read(&[field]).unwrap();
            assert_eq!(
                (believed.client.as_deref(), &*believed.kept),
                (Some("unknown"), "for=unknown"),
                "{field}"
            );
            // A field of its own is none of the client's business.
            assert_eq!(
                read(&[field, "for=203.0.113.9"]).unwrap().client.as_deref(),
                Some("203.0.113.9"),
                "{field}"
            );
            let believed = read(&[field, "for=10.0.0.1;proto=https"]).unwrap();
            assert_eq!(
                (believed.client.as_deref(), believed.proto.as_deref()),
                (Some("unknown"), Some("https"))
            );
        }
        assert_eq!(
            believe([&b"for=\xff"[..]].into_iter(), |_| true).unwrap().client.as_deref(),
            Some("unknown")
        );
    }

    proptest! {
        /// Whatever a client sends, a proxy's element behind it is found, or nobody is named.
        #[test]
        fn a_client_cannot_hide_behind_its_own_text(sent in "[ -~]{0,30}", quoted in any::<bool>()) {
            let added = if quoted { "for=\"[2001:db8::9]:4711\"" } else { "for=203.0.113.9" };
            let client = read(&[&format!("{sent}, {added}")]).unwrap().client.unwrap();
            prop_assert!(["203.0.113.9", "2001:db8::9", "unknown"].contains(&&*client), "{client}");
        }
    }
}

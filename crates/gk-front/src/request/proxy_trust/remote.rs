//! `RemoteIPHeader`: the client that a proxy names, put in the peer's place before anything else is asked of a request, and the header
//! fields as they are then.

use gk_config::place::Compiled;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use std::net::IpAddr;

use crate::client::endpoints::Endpoints;

/// The endpoints of a request with the client that a proxy names, if it names one; changes the fields of the request. What the PROXY
/// protocol has said is not asked again, as with Apache.
pub fn named(compiled: &Compiled, ends: &Endpoints, parts: &mut Parts) -> Option<Box<Endpoints>> {
    if ends.proxied {
        return None;
    }
    let authority = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => parts.headers.get(HOST).map(HeaderValue::as_bytes),
    };
    let host = compiled.host(ends.local_address(), authority);
    let rules = &compiled.site().hosts[host].remote;
    let field = field(rules.header.as_deref())?;
    let client = rules.client(ends.address, &joined(&parts.headers, &field)?)?;
    match client.left.map(HeaderValue::try_from) {
        Some(Ok(left)) => drop(parts.headers.insert(field, left)),
        _ => drop(parts.headers.remove(field)),
    }
    if !client.passed.is_empty()
        && let Some(field) = self::field(rules.proxies_header.as_deref())
    {
        let passed: Vec<String> = client.passed.iter().map(IpAddr::to_string).collect();
        if let Ok(passed) = HeaderValue::try_from(passed.join(", ")) {
            parts.headers.insert(field, passed);
        }
    }
    Some(Box::new(ends.of_client(client.address)))
}

fn field(name: Option<&str>) -> Option<HeaderName> {
    HeaderName::from_bytes(name?.as_bytes()).ok()
}

/// The values of a field, joined.
fn joined(headers: &HeaderMap, field: &HeaderName) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers.get_all(field).iter().map(HeaderValue::as_bytes).collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}

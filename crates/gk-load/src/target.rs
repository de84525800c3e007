//! The server of a load: `http://host:port/path`, resolved once.

use std::net::{SocketAddr, ToSocketAddrs};

/// A server and the path that was named with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its addresses; the first that answers is used.
    pub addresses: Vec<SocketAddr>,
    /// `Host` header.
    pub host: String,
    /// Path and query; `/` when there was none.
    pub path: String,
}

impl Target {
    /// Parses a URL and resolves its host. The error is one sentence.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(match url.split_once("://") {
                Some((scheme, _)) => format!("`{url}`: {scheme} is not spoken here, only http://"),
                None => format!("`{url}` is no URL: http://HOST[:PORT][/PATH] is"),
            });
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let path = match path {
            "" => "/".to_owned(),
            path if path.starts_with('?') => format!("/{path}"),
            path => path.split('#').next().unwrap_or(path).to_owned(),
        };
        if host.is_empty() || path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(format!("`{url}` is no URL: http://HOST[:PORT][/PATH] is, without blanks"));
        }
        let has_port =
            host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
        let found = with_port.to_socket_addrs().map_err(|why| format!("{host} cannot be resolved: {why}"))?;
        let addresses: Vec<SocketAddr> = found.collect();
        if addresses.is_empty() {
            return Err(format!("{host} has no address"));
        }
        Ok(Self { addresses, host: host.to_owned(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let parse = |url| Target::parse(url).map(|t| (t.addresses[0].to_string(), t.host, t.path));
        let is = |address: &str, host: &str, path: &str| Ok((address.into(), host.into(), path.into()));
        assert_eq!(parse("http://127.0.0.1:80"), is("127.0.0.1:80", "127.0.0.1:80", "/"));
        assert_eq!(parse("http://127.0.0.1/a?b#c"), is("127.0.0.1:80", "127.0.0.1", "/a?b"));
        assert_eq!(parse("http://[::1]:8000?x=1"), is("[::1]:8000", "[::1]:8000", "/?x=1"));
        assert_eq!(parse("https://x/").unwrap_err(), "`https://x/`: https is not spoken here, only http://");
        assert!(parse("localhost:8000").unwrap_err().contains("is no URL"));
        assert!(parse("http://x/a b").is_err() && parse("http:///").is_err());
    }
}

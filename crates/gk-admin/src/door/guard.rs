//! Access to the admin pages. On a loopback address every process of the machine has it, unless the configuration asks for the
//! token there, too; no page of another site in a browser has it, so `Host` must name this machine. On any other address a request
//! needs the token. Health checks need neither.

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Uri};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use subtle::ConstantTimeEq;

/// File of the token, in the server root.
pub const TOKEN_FILE: &str = "admin.token";
/// Cookie in which a browser keeps the token.
pub const COOKIE_NAME: &str = "gilkeeper_token";

/// The access rule of a listener.
#[derive(Debug, Clone)]
pub enum Guard {
    /// A loopback address: no token.
    Loopback,
    /// Any other address, or `token=always`: every request needs the token.
    Token {
        /// The token.
        token: String,
        /// The listener uses TLS, so the cookie is marked for TLS only.
        tls: bool,
        /// A loopback address: `Host` must name this machine.
        loopback: bool,
    },
}

/// Decision about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Serve it.
    Welcome,
    /// Serve it, and set this cookie: the token should not stay in the address bar.
    WelcomeWithCookie(String),
    /// 401.
    TokenNeeded,
    /// 403, with the reason.
    Refused(&'static str),
}

impl Guard {
    /// For a listening address (`127.0.0.1:8001`). An address that is not a loopback one gets its token on first use; `always`: so
    /// does a loopback one. `tls`: the listener uses TLS.
    pub fn new(address: &str, folder: &Path, tls: bool, always: bool) -> io::Result<Self> {
        match is_loopback(address) {
            true if !always => Ok(Self::Loopback),
            loopback => Ok(Self::Token { token: token(folder)?, tls, loopback }),
        }
    }

    /// Decides about a request.
    pub fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            if origin.map(|(_, origin)| origin) != host {
                return Verdict::Refused("the request comes from a page of another site (Origin)");
            }
        }
        let local = matches!(self, Self::Loopback | Self::Token { loopback: true, .. });
        if local && host.is_some_and(|host| !is_loopback(host)) {
            return Verdict::Refused("Host must be localhost, 127.0.0.1 or [::1]");
        }
        match self {
            Self::Loopback => Verdict::Welcome,
            Self::Token { token, tls, .. } => {
                let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
                let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
                let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
                let mut cookies = cookies.flat_map(|value| value.split(';'));
                let cookie =
                    cookies.find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='));
                let query = uri.query().unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("token="));
                if [bearer, cookie].into_iter().flatten().any(|given| same(given, token)) {
                    Verdict::Welcome
                } else if query.is_some_and(|given| same(given, token)) {
                    let secure = if *tls { "; Secure" } else { "" };
                    Verdict::WelcomeWithCookie(format!(
                        "{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
                    ))
                } else {
                    Verdict::TokenNeeded
                }
            }
        }
    }
}

/// Compares in a time that does not depend on where the two differ.
fn same(given: &str, token: &str) -> bool {
    given.as_bytes().ct_eq(token.as_bytes()).into()
}

/// Whether `host` or `host:port` names this machine only.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The token in this folder. A missing one is created, readable by its owner only.
fn token(folder: &Path) -> io::Result<String> {
    let path = folder.join(TOKEN_FILE);
    if let Ok(text) = std::fs::read_to_string(&path)
        && text.trim().len() >= 16
    {
        return Ok(text.trim().to_owned());
    }
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{token}")?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn judged(guard: &Guard, uri: &str, pairs: &[(&'static str, &str)]) -> Verdict {
        guard.judge(&uri.parse().unwrap(), &headers(pairs))
    }

    #[test]
    fn a_loopback_address_serves_its_own_names_only() {
        let guard = Guard::new("127.0.0.1:8001", Path::new("/nowhere"), true, false).unwrap();
        for host in ["localhost:8001", "127.0.0.1:9", "[::1]:8001", "LOCALHOST"] {
            assert_eq!(judged(&guard, "/", &[("host", host)]), Verdict::Welcome, "{host}");
        }
        for host in ["evil.example:8001", "127.0.0.1.evil.example", "10.0.0.1"] {
            assert!(matches!(judged(&guard, "/", &[("host", host)]), Verdict::Refused(_)), "{host}");
        }
        let foreign = [("host", "localhost:8001"), ("origin", "http://evil.example")];
        assert!(matches!(judged(&guard, "/", &foreign), Verdict::Refused(_)));
        let own = [("host", "localhost:8001"), ("origin", "http://localhost:8001")];
        assert_eq!(judged(&guard, "/", &own), Verdict::Welcome);
    }

    #[test]
    fn another_address_needs_the_token() {
        let root = tempfile::tempdir().unwrap();
        let guard = Guard::new("0.0.0.0:8001", root.path(), false, false).unwrap();
        let token = std::fs::read_to_string(root.path().join(TOKEN_FILE)).unwrap().trim().to_owned();
        let host = ("host", "10.0.0.1:8001");
        assert_eq!(judged(&guard, "/", &[host]), Verdict::TokenNeeded);
        assert_eq!(judged(&guard, "/?token=x", &[host]), Verdict::TokenNeeded);
        let bearer = format!("Bearer {token}");
        assert_eq!(judged(&guard, "/metrics", &[host, ("authorization", &bearer)]), Verdict::Welcome);
        let over_tls = Guard::new("0.0.0.0:8001", root.path(), true, false).unwrap();
        for (guard, secure) in [(&guard, false), (&over_tls, true)] {
            let with_cookie = judged(guard, &format!("/?token={token}"), &[host]);
            let Verdict::WelcomeWithCookie(cookie) = with_cookie else { panic!("{with_cookie:?}") };
            assert!(cookie.contains("; HttpOnly"), "{cookie}");
            assert_eq!(cookie.split("; ").any(|part| part == "Secure"), secure, "{cookie}");
        }
        let cookie = format!("a=b; {COOKIE_NAME}={token}");
        assert_eq!(judged(&guard, "/", &[host, ("cookie", &cookie)]), Verdict::Welcome);
        let again = Guard::new("0.0.0.0:1", root.path(), false, false).unwrap();
        assert!(matches!(again, Guard::Token { token: again, .. } if again == token));
    }
    /// Reported: every user of the machine could read the dashboard, and with it the addresses and stacks of all requests. Met on
    /// machines that several people share.
    #[test]
    fn a_loopback_address_asks_for_the_token_where_the_configuration_says_so() {
        let root = tempfile::tempdir().unwrap();
        let guard = Guard::new("127.0.0.1:8001", root.path(), false, true).unwrap();
        let token = std::fs::read_to_string(root.path().join(TOKEN_FILE)).unwrap().trim().to_owned();
        let bearer = format!("Bearer {token}");
        let here = ("host", "localhost:8001");
        let table: [(&[(&'static str, &str)], Verdict); 4] = [
            (&[here], Verdict::TokenNeeded),
            (&[here, ("authorization", "Bearer x")], Verdict::TokenNeeded),
            (&[here, ("authorization", &bearer)], Verdict::Welcome),
            (
                &[("host", "evil.example"), ("authorization", &bearer)],
                Verdict::Refused("Host must be localhost, 127.0.0.1 or [::1]"),
            ),
        ];
        for (pairs, want) in table {
            assert_eq!(judged(&guard, "/", pairs), want, "{pairs:?}");
        }
    }
}

//! `AuthType Digest` as Apache's mod_auth_digest does it: MD5, `qop=auth` or none, nonces that carry their time. Pure, but for the
//! secret of the nonces.

use md5::{Digest, Md5};
use std::collections::HashMap;
use std::fmt::Write as _;
use subtle::ConstantTimeEq;

use crate::access::basic::quoted;

/// Seconds for which a nonce may be used without `AuthDigestNonceLifetime`.
pub const LIFETIME: i64 = 300;

/// The maker of nonces.
pub struct Nonces {
    secret: [u8; 32],
}

/// What a nonce is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It may be used.
    Good,
    /// It was one of ours, and is too old.
    Stale,
    /// It never was.
    Foreign,
}

impl Nonces {
    /// `secret` is random.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// A nonce for a realm at a time in seconds since the epoch.
    pub fn make(&self, realm: &str, now: i64) -> String {
        let seal = hex(&[&self.secret, b":", realm.as_bytes(), b":", &now.to_le_bytes()]);
        format!("{now:016x}{seal}")
    }

    /// What a nonce is worth now. `lifetime`: 0 or less for without end.
    pub fn judge(&self, realm: &str, nonce: &str, now: i64, lifetime: i64) -> Worth {
        let Some(made) = nonce.get(..16).and_then(|time| i64::from_str_radix(time, 16).ok()) else {
            return Worth::Foreign;
        };
        if !bool::from(self.make(realm, made).as_bytes().ct_eq(nonce.as_bytes())) {
            return Worth::Foreign;
        }
        let age = now.saturating_sub(made);
        if lifetime > 0 && !(0..=lifetime).contains(&age) { Worth::Stale } else { Worth::Good }
    }
}

/// The value of `WWW-Authenticate`.
pub fn challenge(realm: &str, nonce: &str, stale: bool, domain: Option<&str>) -> String {
    let mut out = format!("Digest realm={}, nonce=\"{nonce}\", algorithm=MD5", quoted(realm));
    if let Some(domain) = domain {
        let _ = write!(out, ", domain={}", quoted(domain));
    }
    if stale {
        out.push_str(", stale=true");
    }
    out.push_str(", qop=\"auth\"");
    out
}

/// The fields of an `Authorization: Digest` header.
pub struct Response {
    fields: HashMap<String, String>,
}

impl Response {
    /// Reads the header's value. `None`: another scheme.
    pub fn read(header: &[u8]) -> Option<Self> {
        let end = header.iter().position(|b| *b == b' ')?;
        if !header[..end].eq_ignore_ascii_case(b"digest") {
            return None;
        }
        let text = String::from_utf8_lossy(&header[end..]).into_owned();
        let (mut fields, mut rest) = (HashMap::new(), text.as_str());
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.trim_matches(|c: char| c.is_whitespace() || c == ',').to_ascii_lowercase();
            let (value, after) = value(after.trim_start());
            fields.insert(name, value);
            rest = after;
        }
        Some(Self { fields })
    }

    /// A field; empty where it is missing.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Whether every field is there that a response needs, and asks for nothing that is not known here.
    pub fn is_whole(&self) -> bool {
        let there = |names: &[&str]| names.iter().all(|name| !self.field(name).is_empty());
        let algorithm = self.field("algorithm");
        there(&["username", "realm", "nonce", "uri", "response"])
            && self.field("response").len() == 32
            && (algorithm.is_empty() || algorithm.eq_ignore_ascii_case("md5"))
            && match self.field("qop") {
                "" => true,
                "auth" => there(&["nc", "cnonce"]),
                _ => false,
            }
    }

    /// Whether the client knows the password. `hash`: MD5 of user, realm and password, as hex digits.
    pub fn proves(&self, method: &str, hash: &str) -> bool {
        let hash = hash.to_ascii_lowercase();
        // What is no digest, such as the `*` of a user who is locked out, is a secret that everybody can guess.
        if hash.len() != 32 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return false;
        }
        let expected = self.digest(method, &hash);
        expected.as_bytes().ct_eq(self.field("response").to_ascii_lowercase().as_bytes()).into()
    }

    /// The value of `Authentication-Info`, by which the client sees that the server knows the password, too. `None`: it asked for
    /// no `qop`.
    pub fn proof(&self, hash: &str) -> Option<String> {
        let qop = Some(self.field("qop")).filter(|qop| !qop.is_empty())?;
        let digest = self.digest("", &hash.to_ascii_lowercase());
        let (cnonce, nc) = (quoted(self.field("cnonce")), self.field("nc"));
        Some(format!("rspauth=\"{digest}\", cnonce={cnonce}, nc={nc}, qop={qop}"))
    }

    fn digest(&self, method: &str, hash: &str) -> String {
        let asked = hex(&[method.as_bytes(), b":", self.field("uri").as_bytes()]);
        let field = |name| self.field(name).as_bytes();
        match self.field("qop") {
            "" => hex(&[hash.as_bytes(), b":", field("nonce"), b":", asked.as_bytes()]),
            qop => hex(&[
                hash.as_bytes(),
                b":",
                field("nonce"),
                b":",
                field("nc"),
                b":",
                field("cnonce"),
                b":",
                qop.as_bytes(),
                b":",
                asked.as_bytes(),
            ]),
        }
    }
}

/// A value, quoted or not, and what follows its comma.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(',').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => {
                let rest = &quoted[at + 1..];
                return (value, rest.split_once(',').map_or("", |(_, rest)| rest));
            }
            c => value.push(c),
        }
    }
    (value, "")
}

fn hex(parts: &[&[u8]]) -> String {
    let mut sum = Md5::new();
    parts.iter().for_each(|part| sum.update(part));
    let mut out = String::with_capacity(32);
    for byte in sum.finalize() {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        // RFC 2617, 3.5.
        let header = br#"Digest username="Mufasa", realm="testrealm@host.com",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b",
            response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
        let response = Response::read(header).unwrap();
        assert!(response.is_whole());
        assert_eq!((response.field("username"), response.field("nc")), ("Mufasa", "00000001"));
        let hash = hex(&[b"Mufasa:testrealm@host.com:Circle Of Life"]);
        assert!(response.proves("GET", &hash) && response.proves("GET", &hash.to_uppercase()));
        assert!(
            !response.proves("HEAD", &hash) && !response.proves("GET", "") && !response.proves("GET", "x")
        );
    }

    /// As Apache answers it.
    #[test]
    fn the_server_proves_itself() {
        let header = br#"Digest username="u", realm="r", nonce="7ZmL5WlhBgA=29d4fba9d15661dbe0f8a9a0438e4bef808f3495",
            uri="/index.html", qop=auth, nc=00000001, cnonce="NDliYmUzYzVmMTc2NDFjNDYxYzgzOTg3ZGQ2MmRhNDU=", response="x""#;
        let (response, hash) = (Response::read(header).unwrap(), hex(&[b"u:r:pw"]));
        assert_eq!(
            response.proof(&hash).unwrap(),
            "rspauth=\"b63a2e3c4a8c6b92030711a3f87770ce\", cnonce=\"NDliYmUzYzVmMTc2NDFjNDYxYzgzOTg3ZGQ2MmRhNDU=\", \
             nc=00000001, qop=auth"
        );
        assert_eq!(Response::read(b"Digest username=u, nonce=n, uri=/").unwrap().proof(&hash), None);
    }

    /// A user who is locked out, with `*` or nothing as the hash, could be had with a hash of it.
    #[test]
    fn what_is_no_hash_proves_nothing() {
        let all = "Digest username=a, realm=b, nonce=c, uri=/, response=";
        let asked = hex(&[b"GET:/"]);
        for hash in ["", "*", "!", "0123456789abcdef0123456789abcdeg"] {
            let forged = hex(&[hash.as_bytes(), b":c:", asked.as_bytes()]);
            let response = Response::read(format!("{all}{forged}").as_bytes()).unwrap();
            assert!(response.is_whole() && !response.proves("GET", hash), "{hash}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown() {
        for text in ["Digest ", "Digest username=\"a", "Digest a=b, =, ,", "Digest response=\"\\"] {
            assert!(!Response::read(text.as_bytes()).unwrap().is_whole(), "{text}");
        }
        assert!(Response::read(b"Basic x").is_none() && Response::read(b"Digest").is_none());
        let all = "Digest username=a, realm=b, nonce=c, uri=/, response=0123456789abcdef0123456789abcdef";
        for (more, whole) in [
            ("", true),
            (", algorithm=MD5", true),
            (", algorithm=SHA-256", false),
            (", qop=auth", false),
            (", qop=auth, nc=1, cnonce=x", true),
            (", qop=auth-int, nc=1, cnonce=x", false),
        ] {
            assert_eq!(
                Response::read(format!("{all}{more}").as_bytes()).unwrap().is_whole(),
                whole,
                "{more}"
            );
        }
    }

    #[test]
    fn nonces_carry_their_time() {
        let nonces = Nonces::new([1; 32]);
        let nonce = nonces.make("r", 1000);
        assert_eq!(nonces.judge("r", &nonce, 1300, 300), Worth::Good);
        assert_eq!(nonces.judge("r", &nonce, 1301, 300), Worth::Stale);
        assert_eq!(nonces.judge("r", &nonce, 999, 300), Worth::Stale);
        assert_eq!(nonces.judge("r", &nonce, 999_999, -1), Worth::Good);
        assert_eq!(nonces.judge("s", &nonce, 1000, 300), Worth::Foreign);
        assert_eq!(Nonces::new([2; 32]).judge("r", &nonce, 1000, 300), Worth::Foreign);
        for foreign in ["", "x", "é", "0000000000000000", &"0".repeat(48)] {
            assert_eq!(nonces.judge("r", foreign, 1000, 300), Worth::Foreign, "{foreign}");
        }
        assert_eq!(
            challenge("a", "n", true, Some("/x")),
            r#"Digest realm="a", nonce="n", algorithm=MD5, domain="/x", stale=true, qop="auth""#
        );
    }
}

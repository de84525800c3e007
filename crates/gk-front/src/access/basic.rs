//! `AuthType Basic`: name and password out of a header, and the challenge. Pure.

/// Longest password that is looked at, in bytes. Longer ones are wrong.
pub const LONGEST: usize = 1024;

/// A name and a password, as the client sent them. Not for logs: it has no `Debug`.
pub struct Credentials {
    /// Bytes of the name.
    pub user: Vec<u8>,
    /// Bytes of the password.
    pub password: Vec<u8>,
}

/// Why a request has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// No `Authorization`.
    Header,
    /// Another scheme than Basic.
    Scheme,
}

impl Credentials {
    /// Reads the value of `Authorization`.
    pub fn read(header: Option<&[u8]>) -> Result<Self, Missing> {
        let header = header.ok_or(Missing::Header)?;
        let end = header.iter().position(|b| *b == b' ').ok_or(Missing::Scheme)?;
        if !header[..end].eq_ignore_ascii_case(b"basic") {
            return Err(Missing::Scheme);
        }
        let pair = decode(header[end..].trim_ascii());
        let colon = pair.iter().position(|b| *b == b':').unwrap_or(pair.len());
        let password = pair.get(colon + 1..).unwrap_or_default().to_vec();
        Ok(Self { user: pair[..colon].to_vec(), password })
    }

    /// The name as text: UTF-8, else latin-1.
    pub fn name(&self) -> String {
        match std::str::from_utf8(&self.user) {
            Ok(text) => text.to_owned(),
            Err(_) => self.user.iter().map(|b| char::from(*b)).collect(),
        }
    }
}

/// The value of `WWW-Authenticate`.
pub fn challenge(realm: &str) -> String {
    format!("Basic realm={}", quoted(realm))
}

/// A quoted string of HTTP.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Decodes base64 up to the first byte that does not belong to it, as Apache does.
pub fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords() {
        let read = |header: &str| Credentials::read(Some(header.as_bytes())).map(|c| (c.name(), c.password));
        type Read = Result<(&'static str, &'static str), Missing>;
        let table: [(&str, Read); 8] = [
            ("Basic Ym9iOnNlY3JldA==", Ok(("bob", "secret"))),
            ("basic   Ym9iOnM6eA==", Ok(("bob", "s:x"))),
            ("Basic Ym9i", Ok(("bob", ""))),
            ("Basic Ym9iOg", Ok(("bob", ""))),
            ("Basic !", Ok(("", ""))),
            ("Basic w7w6w7w=", Ok(("ü", "ü"))),
            ("Basic", Err(Missing::Scheme)),
            ("Bearer Ym9iOnNlY3JldA==", Err(Missing::Scheme)),
        ];
        for (header, expected) in table {
            let expected = expected.map(|(name, password)| (name.to_owned(), password.as_bytes().to_vec()));
            assert_eq!(read(header), expected, "{header}");
        }
        assert_eq!(read("Basic /DpY").map(|(name, _)| name), Ok("ü".to_owned()), "latin-1");
        assert!(matches!(Credentials::read(None), Err(Missing::Header)));
        assert_eq!(challenge("a \"b\" \\\n"), r#"Basic realm="a \"b\" \\""#);
    }
}

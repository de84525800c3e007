//! A request: as described by the user, and as the bytes that are sent.

use std::collections::BTreeMap;

/// A request as described. Its texts are sent unchanged and must not contain line breaks; [`Request::check`] refuses them.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in order. `Host`, `User-Agent` and `Accept` replace the generator's own.
    pub headers: Vec<(String, String)>,
    /// Cookies sent from the start.
    pub cookies: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
    /// Share of this request in the mix, beside the others' weights.
    pub weight: u32,
}

impl Default for Request {
    fn default() -> Self {
        Self::get("/")
    }
}

impl Request {
    /// A plain GET.
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET".into(),
            path: path.into(),
            headers: Vec::new(),
            cookies: BTreeMap::new(),
            body: Vec::new(),
            weight: 1,
        }
    }

    /// Refuses a request that cannot be sent; the error is one sentence.
    pub fn check(&self) -> Result<(), String> {
        let token = |text: &str| {
            let special = b"!#$%&'*+-.^_`|~";
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || special.contains(&b))
        };
        if !token(&self.method) {
            return Err(format!("`{}` is no method", self.method));
        }
        if !self.path.starts_with('/') || self.path.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(format!("`{}` is no path: one begins with / and holds no blanks", self.path));
        }
        for (name, value) in &self.headers {
            if !token(name) || value.contains(['\r', '\n', '\0']) {
                return Err(format!("`{name}: {value}` is no header"));
            }
            if ["content-length", "transfer-encoding", "connection"].contains(&&*name.to_ascii_lowercase()) {
                return Err(format!("the header {name} is the generator's own"));
            }
        }
        for (name, value) in &self.cookies {
            if !token(name) || value.contains(['\r', '\n', ';', ' ']) {
                return Err(format!("`{name}={value}` is no cookie"));
            }
        }
        Ok(())
    }
}

/// Name and value from `Name: value`.
pub fn header(line: &str) -> Result<(String, String), String> {
    match line.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(format!("`{line}` is no header: `Name: value` is")),
    }
}

/// The bytes of a request.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The whole request, with the cookies known from the start.
    pub bytes: Vec<u8>,
    /// Up to the place of the `Cookie` header.
    pub before: Vec<u8>,
    /// From the end of that header on.
    pub after: Vec<u8>,
    /// The response has no body, whatever its head says.
    pub head: bool,
    /// Cookies known from the start.
    pub cookies: BTreeMap<String, String>,
}

impl Prepared {
    /// Builds the bytes.
    pub fn new(request: &Request, host: &str, keep_alive: bool) -> Self {
        let mut before = format!("{} {} HTTP/1.1\r\n", request.method, request.path).into_bytes();
        let given = |name: &str| request.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut line = |name: &str, value: &str| {
            before.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        };
        for (name, value) in [("Host", host), ("User-Agent", "gilkeeper-load"), ("Accept", "*/*")] {
            if !given(name) {
                line(name, value);
            }
        }
        request.headers.iter().for_each(|(name, value)| line(name, value));
        if !request.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&&*request.method) {
            line("Content-Length", &request.body.len().to_string());
        }
        if !keep_alive {
            line("Connection", "close");
        }
        let mut after = b"\r\n".to_vec();
        after.extend_from_slice(&request.body);
        let mut prepared = Self {
            bytes: Vec::new(),
            before,
            after,
            head: request.method == "HEAD",
            cookies: request.cookies.clone(),
        };
        let mut bytes = Vec::new();
        prepared.write(&prepared.cookies, &mut bytes);
        prepared.bytes = bytes;
        prepared
    }

    /// Writes the request with these cookies.
    pub fn write(&self, cookies: &BTreeMap<String, String>, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.before);
        for (index, (name, value)) in cookies.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"Cookie: " } else { b"; " });
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
        if !cookies.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&self.after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_described() {
        let mut request = Request::get("/a?b=c");
        let text =
            |request: &Request, keep| String::from_utf8(Prepared::new(request, "h:1", keep).bytes).unwrap();
        assert_eq!(
            text(&request, true),
            "GET /a?b=c HTTP/1.1\r\nHost: h:1\r\nUser-Agent: gilkeeper-load\r\nAccept: */*\r\n\r\n"
        );
        request.method = "POST".into();
        request.headers = vec![("host".into(), "other".into()), ("X".into(), "y".into())];
        request.cookies = BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
        request.body = b"xyz".to_vec();
        assert_eq!(
            text(&request, false),
            "POST /a?b=c HTTP/1.1\r\nUser-Agent: gilkeeper-load\r\nAccept: */*\r\nhost: other\r\nX: y\r\n\
             Content-Length: 3\r\nConnection: close\r\nCookie: a=1; b=2\r\n\r\nxyz"
        );
    }

    #[test]
    fn requests_that_cannot_be_sent_are_refused() {
        let with = |change: fn(&mut Request)| {
            let mut request = Request::get("/");
            change(&mut request);
            request.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        for wrong in [
            with(|r| r.method = "G T".into()),
            with(|r| r.path = "x".into()),
            with(|r| r.path = "/a b".into()),
            with(|r| r.headers = vec![("A B".into(), String::new())]),
            with(|r| r.headers = vec![("Connection".into(), "close".into())]),
            with(|r| r.cookies = BTreeMap::from([("a".into(), "b;c".into())])),
        ] {
            assert!(wrong.is_err());
        }
    }
}

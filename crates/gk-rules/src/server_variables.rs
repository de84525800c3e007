//! The variables `%{NAME}` of expressions and of the rewriting engine.

use crate::{Env, Facts};
use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Variables without an argument. Those of Apache that are not here depend on TLS of our own or on a name service.
const NAMES: &[&str] = &[
    "AUTH_TYPE",
    "CONN_REMOTE_ADDR",
    "CONTEXT_DOCUMENT_ROOT",
    "CONTEXT_PREFIX",
    "DOCUMENT_ROOT",
    "DOCUMENT_URI",
    "HANDLER",
    "HTTP2",
    "HTTPS",
    "HTTP_ACCEPT",
    "HTTP_COOKIE",
    "HTTP_FORWARDED",
    "HTTP_HOST",
    "HTTP_PROXY_CONNECTION",
    "HTTP_REFERER",
    "HTTP_USER_AGENT",
    "IPV6",
    "IS_SUBREQ",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_FILENAME",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_STATUS",
    "REQUEST_URI",
    "SCRIPT_FILENAME",
    "SERVER_ADDR",
    "SERVER_ADMIN",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "THE_REQUEST",
    "TIME",
    "TIME_DAY",
    "TIME_HOUR",
    "TIME_MIN",
    "TIME_MON",
    "TIME_SEC",
    "TIME_WDAY",
    "TIME_YEAR",
];

/// A variable that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerVariable(&'static str);

impl ServerVariable {
    /// The variable of a name, without regard to case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).map(|known| Self(known))
    }
}

/// A request as a rule sees it: the facts, and what earlier rules of the same phase have made of it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) facts: &'a dyn Facts,
    pub(crate) env: &'a Env,
    pub(crate) query: &'a [u8],
    pub(crate) filename: &'a [u8],
    pub(crate) path_info: &'a [u8],
    pub(crate) user: Option<&'a str>,
    /// Names of the headers that were asked for, so that caches can be told.
    pub(crate) vary: Option<&'a RefCell<Vec<String>>>,
}

impl<'a> View<'a> {
    /// The request as it is.
    pub(crate) fn of(facts: &'a dyn Facts) -> Self {
        let filename = facts.file().map_or(facts.path(), |file| file.as_os_str().as_bytes());
        let path_info = facts.path_info();
        Self {
            facts,
            env: facts.env(),
            query: facts.query(),
            filename,
            path_info,
            user: facts.user(),
            vary: facts.vary(),
        }
    }

    /// The same, where caches are not told of the headers that are asked for.
    pub(crate) fn untold(self) -> Self {
        Self { vary: None, ..self }
    }

    /// A request header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> Cow<'a, [u8]> {
        // Caches tell hosts apart anyway.
        if let Some(vary) = self.vary.filter(|_| !name.eq_ignore_ascii_case("Host")) {
            vary.borrow_mut().push(name.to_owned());
        }
        self.facts.header(name).unwrap_or_default()
    }

    /// A variable of mod_ssl; empty where no TLS is spoken.
    pub(crate) fn tls(&self, name: &str) -> Cow<'a, [u8]> {
        match self.facts.tls_variable(name).unwrap_or_default() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    /// The value of a variable.
    pub(crate) fn value(&self, variable: ServerVariable) -> Cow<'a, [u8]> {
        let facts = self.facts;
        let number = |number: u16| Cow::Owned(number.to_string().into_bytes());
        let address = |address: Option<IpAddr>| match address {
            Some(address) => Cow::Owned(address.to_canonical().to_string().into_bytes()),
            None => Cow::default(),
        };
        let path = |path: &'a Path| Cow::Borrowed(path.as_os_str().as_bytes());
        let switch = |on: bool| Cow::Borrowed(if on { &b"on"[..] } else { b"off" });
        match variable.0 {
            "HTTP_ACCEPT" => self.header("Accept"),
            "HTTP_COOKIE" => self.header("Cookie"),
            "HTTP_FORWARDED" => self.header("Forwarded"),
            "HTTP_HOST" => self.header("Host"),
            "HTTP_PROXY_CONNECTION" => self.header("Proxy-Connection"),
            "HTTP_REFERER" => self.header("Referer"),
            "HTTP_USER_AGENT" => self.header("User-Agent"),
            "REQUEST_METHOD" => facts.method().as_bytes().into(),
            "REQUEST_SCHEME" => scheme(facts).as_bytes().into(),
            "REQUEST_STATUS" => number(facts.status()),
            "REQUEST_URI" | "DOCUMENT_URI" => facts.path().into(),
            "REQUEST_FILENAME" | "SCRIPT_FILENAME" => self.filename.into(),
            "PATH_INFO" => self.path_info.into(),
            "QUERY_STRING" => self.query.into(),
            "THE_REQUEST" => {
                [facts.method().as_bytes(), b" ", facts.target(), b" ", facts.protocol().as_bytes()]
                    .concat()
                    .into()
            }
            "REMOTE_ADDR" | "REMOTE_HOST" => address(facts.client()),
            "CONN_REMOTE_ADDR" => address(facts.peer()),
            "REMOTE_PORT" => facts.client_port().map_or(Cow::default(), number),
            "REMOTE_USER" => self.user.unwrap_or_default().as_bytes().into(),
            "AUTH_TYPE" => self.env.get("AUTH_TYPE").unwrap_or_default().into(),
            "SERVER_ADDR" => address(facts.local().map(|local| local.ip())),
            "SERVER_ADMIN" => facts.server_admin().as_bytes().into(),
            "SERVER_NAME" => facts.server_name().as_bytes().into(),
            "SERVER_PORT" => number(facts.server_port()),
            "SERVER_PROTOCOL" => facts.protocol().as_bytes().into(),
            "SERVER_SOFTWARE" => Cow::Borrowed(concat!("gilkeeper/", env!("CARGO_PKG_VERSION")).as_bytes()),
            "DOCUMENT_ROOT" | "CONTEXT_DOCUMENT_ROOT" => path(facts.document_root()),
            "HANDLER" => facts.handler().unwrap_or_default().as_bytes().into(),
            "HTTPS" => switch(facts.https()),
            "HTTP2" => switch(false),
            "IPV6" => switch(facts.client().is_some_and(|client| client.to_canonical().is_ipv6())),
            "IS_SUBREQ" => Cow::Borrowed(if facts.is_subrequest() { b"true" } else { b"false" }),
            name => moment(name, facts.now()).into_bytes().into(),
        }
    }
}

/// `http` or `https`.
pub(crate) fn scheme(facts: &dyn Facts) -> &'static str {
    if facts.https() { "https" } else { "http" }
}

/// `TIME_YEAR` and its relatives in UTC; empty for other names.
fn moment(name: &str, now: f64) -> String {
    let seconds = now.max(0.0) as u64;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    match name {
        "TIME_YEAR" => format!("{year:04}"),
        "TIME_MON" => format!("{month:02}"),
        "TIME_DAY" => format!("{day:02}"),
        "TIME_HOUR" => format!("{hour:02}"),
        "TIME_MIN" => format!("{minute:02}"),
        "TIME_SEC" => format!("{second:02}"),
        // The first day of all was a Thursday.
        "TIME_WDAY" => ((days + 4) % 7).to_string(),
        "TIME" => format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}"),
        _ => String::new(),
    }
}

/// Year, month and day of a day since the epoch. The year is counted from March on, so that the leap day is its last.
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::Asked;

    #[test]
    fn variables_of_a_request() {
        let mut asked = Asked::get("/a b?x=1");
        asked.headers.push(("Host".into(), "example.org:8000".into()));
        asked.headers.push(("User-Agent".into(), "curl".into()));
        asked.now = 951_827_696.0;
        asked.env.set("AUTH_TYPE", "Basic");
        let table: &[(&str, &str)] = &[
            ("REQUEST_URI", "/a b"),
            ("THE_REQUEST", "GET /a b?x=1 HTTP/1.1"),
            ("query_string", "x=1"),
            ("HTTP_HOST", "example.org:8000"),
            ("HTTP_USER_AGENT", "curl"),
            ("HTTP_REFERER", ""),
            ("HTTPS", "off"),
            ("REQUEST_SCHEME", "http"),
            ("REQUEST_STATUS", "200"),
            ("REQUEST_FILENAME", "/a b"),
            ("REMOTE_ADDR", "192.0.2.7"),
            ("REMOTE_PORT", "4711"),
            ("SERVER_ADDR", "127.0.0.1"),
            ("SERVER_PORT", "8000"),
            ("SERVER_NAME", "example.org"),
            ("DOCUMENT_ROOT", "/srv/www"),
            ("AUTH_TYPE", "Basic"),
            ("IPV6", "off"),
            ("TIME", "20000229123456"),
            ("TIME_WDAY", "2"),
            ("TIME_YEAR", "2000"),
            ("TIME_HOUR", "12"),
        ];
        for (name, wanted) in table {
            let value = View::of(&asked).value(ServerVariable::named(name).unwrap());
            assert_eq!(String::from_utf8_lossy(&value), *wanted, "{name}");
        }
        assert_eq!(ServerVariable::named("SSL_PROTOCOL"), None);
    }
}

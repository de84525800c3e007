//! `%{SERVER}` and its relatives: names made from a request.

use std::borrow::Cow;

/// The parts of a request that names are made from.
pub struct Asked<'a> {
    /// The host's `ServerName`, else what the server calls itself. Never what the client says.
    pub server_name: &'a str,
    /// The port in `ServerName`, else that of the listener. Never what the client says.
    pub port: u16,
    /// Host header, if there is one; only `%{HOST}` has it, and takes just the name.
    pub host_header: Option<&'a str>,
    /// `SCRIPT_NAME`.
    pub script_name: &'a str,
    /// A variable of the request, then of the process.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// A group's name for a request. `%{GLOBAL}` is the empty name; `%{ENV:x}` may stand for another of the forms; an
/// unset variable leaves the text as it is.
pub fn group_name<'n>(name: &'n str, asked: &Asked) -> Cow<'n, str> {
    if !name.starts_with("%{") {
        return Cow::Borrowed(name);
    }
    match variable(name) {
        Some(variable) => match (asked.variable)(variable) {
            Some(value) => Cow::Owned(fixed(&value, asked).unwrap_or(value)),
            None => Cow::Borrowed(name),
        },
        None => fixed(name, asked).map_or(Cow::Borrowed(name), Cow::Owned),
    }
}

/// The callable's name for a request: `%{ENV:x}` or the name itself.
pub fn callable_name<'n>(name: &'n str, asked: &Asked) -> Cow<'n, str> {
    match variable(name) {
        Some(variable) => Cow::Owned((asked.variable)(variable).unwrap_or_else(|| "application".to_owned())),
        None => Cow::Borrowed(name),
    }
}

fn variable(name: &str) -> Option<&str> {
    name.strip_prefix("%{ENV:")?.strip_suffix('}')
}

fn fixed(name: &str, asked: &Asked) -> Option<String> {
    let server = || server_and_port(asked.server_name, asked.port);
    match name {
        "%{GLOBAL}" => Some(String::new()),
        "%{SERVER}" => Some(server()),
        "%{RESOURCE}" => Some(format!("{}|{}", server(), asked.script_name)),
        "%{HOST}" => match asked.host_header {
            Some(header) => Some(server_and_port(&super::hosts::bare_name(header.as_bytes()), asked.port)),
            None => Some(server()),
        },
        _ => None,
    }
}

/// A server's name, with its port unless it is 80 or 443.
pub fn server_and_port(name: &str, port: u16) -> String {
    match port {
        80 | 443 => name.to_owned(),
        port => format!("{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let variable = |name: &str| match name {
            "tenant" => Some("%{SERVER}".to_owned()),
            "plain" => Some("blue".to_owned()),
            "nested" => Some("%{ENV:plain}".to_owned()),
            _ => None,
        };
        let asked = Asked {
            server_name: "example.org",
            port: 8000,
            host_header: Some("WWW.example.org:9"),
            script_name: "",
            variable: &variable,
        };
        let name = |text| group_name(text, &asked).into_owned();
        assert_eq!(name("%{GLOBAL}"), "");
        assert_eq!(name("%{SERVER}"), "example.org:8000");
        assert_eq!(name("%{RESOURCE}"), "example.org:8000|");
        assert_eq!(name("%{HOST}"), "www.example.org:8000");
        assert_eq!(name("%{ENV:tenant}"), "example.org:8000");
        assert_eq!(name("%{ENV:plain}"), "blue");
        assert_eq!(name("%{ENV:nested}"), "%{ENV:plain}");
        assert_eq!(name("%{ENV:unset}"), "%{ENV:unset}");
        assert_eq!(name("other"), "other");
        assert_eq!(callable_name("%{ENV:unset}", &asked), "application");
        assert_eq!(callable_name("%{ENV:plain}", &asked), "blue");
        assert_eq!(server_and_port("a", 443), "a");
    }
}

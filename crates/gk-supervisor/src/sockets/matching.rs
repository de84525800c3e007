//! Which socket that somebody else has opened serves which `Listen`. Values in, values out.
//!
//! A socket of the service manager is taken by its name (`Listen systemd:NAME`; `admin` for the admin pages), else by its address.
//! Where nobody wrote a `Listen`, every socket is taken. One for which there is no use is an error: it would accept connections
//! that nobody answers. A socket of the server that is replaced is taken by what it was opened for, and left where that is gone.

use super::address::Address;
use gk_config::site::Listen;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Name of the socket for the admin pages.
const ADMIN: &str = "admin";

/// What a socket is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Clients; `None`: the service manager gave it where nobody wrote a `Listen`.
    Clients(Option<Listen>),
    /// The admin pages, with the address as it is written.
    Admin(String),
}

/// Who has opened a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The service manager, which calls it so.
    Manager {
        /// Empty where it says nothing.
        name: String,
    },
    /// The server that this one replaces, for this purpose.
    Predecessor(Purpose),
}

/// A socket that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Who has opened it.
    pub origin: Origin,
    /// Its address.
    pub address: Address,
}

/// What the site wants.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The `Listen` lines.
    pub listen: &'a [Listen],
    /// Nobody wrote one.
    pub implied: bool,
    /// The address of the admin pages.
    pub admin: Option<&'a str>,
}

/// The use of each offer, in their order; `None`: there is none. The error is one sentence.
pub fn assign(wanted: Wanted<'_>, offers: &[Offer]) -> Result<Vec<Option<Purpose>>, String> {
    let mut uses = Vec::new();
    for offer in offers {
        let used = match &offer.origin {
            Origin::Manager { name } => Some(of_manager(wanted, name, &offer.address)?),
            Origin::Predecessor(purpose) => of_predecessor(wanted, purpose, &uses),
        };
        uses.push(used);
    }
    let missing = wanted.listen.iter().find_map(|listen| match listen {
        Listen::Given { name } if !uses.iter().flatten().any(|used| is_for(used, listen)) => Some(name),
        _ => None,
    });
    match missing {
        Some(name) => Err(missing_name(name, offers)),
        None => Ok(uses),
    }
}

/// Whether one of these is for that `Listen`.
pub fn is_for(used: &Purpose, listen: &Listen) -> bool {
    matches!(used, Purpose::Clients(Some(own)) if own == listen)
}

fn of_manager(wanted: Wanted<'_>, name: &str, address: &Address) -> Result<Purpose, String> {
    let by_name = |listen: &&Listen| matches!(listen, Listen::Given { name: own } if own == name);
    let by_address = |listen: &&Listen| names(listen, address);
    let admin = |text: &&str| admin_names(text, address);
    if let Some(listen) = wanted.listen.iter().find(by_name) {
        return Ok(Purpose::Clients(Some(listen.clone())));
    }
    if let Some(text) = wanted.admin.filter(|_| name == ADMIN) {
        return Ok(Purpose::Admin(text.to_owned()));
    }
    if let Some(listen) = wanted.listen.iter().find(by_address) {
        return Ok(Purpose::Clients(Some(listen.clone())));
    }
    match wanted.admin.filter(admin) {
        Some(text) => Ok(Purpose::Admin(text.to_owned())),
        None if name == ADMIN && wanted.admin.is_none() => Err(format!(
            "the socket {address} was given by the name {ADMIN}, but the admin pages are off; take it out of its .socket unit, or \
             name an address with GilkeeperAdmin"
        )),
        None if wanted.implied => Ok(Purpose::Clients(None)),
        None => Err(unused(name, address)),
    }
}

/// Several sockets of any free port are handed on one by one.
fn of_predecessor(wanted: Wanted<'_>, purpose: &Purpose, before: &[Option<Purpose>]) -> Option<Purpose> {
    match purpose {
        Purpose::Admin(text) => (wanted.admin == Some(text)).then(|| purpose.clone()),
        Purpose::Clients(None) => wanted.implied.then(|| purpose.clone()),
        Purpose::Clients(Some(listen)) => {
            let of_name = matches!(listen, Listen::Given { .. });
            let asked = wanted.listen.iter().filter(|own| is_same(own, listen)).count();
            let taken = before.iter().flatten();
            let taken = taken
                .filter(|used| matches!(used, Purpose::Clients(Some(own)) if is_same(own, listen)))
                .count();
            let own = wanted.listen.iter().find(|own| is_same(own, listen));
            own.filter(|_| taken < asked || of_name).map(|own| Purpose::Clients(Some(own.clone())))
        }
    }
}

/// The same address; the mode and owner of a file are those that it was made with.
fn is_same(one: &Listen, other: &Listen) -> bool {
    match (one, other) {
        (Listen::Unix { path: one, .. }, Listen::Unix { path: other, .. }) => one == other,
        (one, other) => one == other,
    }
}

/// Whether a `Listen` names an address.
fn names(listen: &Listen, address: &Address) -> bool {
    match (listen, address) {
        (Listen::Tcp { host, port, .. }, Address::Tcp(address)) => {
            let is_host = match host.as_deref() {
                None => address.ip().is_unspecified(),
                Some(host) => host.parse::<IpAddr>().is_ok_and(|ip| is_ip(ip, address.ip())),
            };
            *port == address.port() && is_host
        }
        (Listen::Unix { path, .. }, Address::File(own)) => path == own,
        _ => false,
    }
}

fn is_ip(one: IpAddr, other: IpAddr) -> bool {
    one == other || (!one.is_unspecified() && one.to_canonical() == other.to_canonical())
}

fn admin_names(text: &str, address: &Address) -> bool {
    let Address::Tcp(address) = address else { return false };
    match text.parse::<SocketAddr>() {
        Ok(wanted) => wanted.port() == address.port() && is_ip(wanted.ip(), address.ip()),
        // A name; only `localhost` is sure to be one address.
        Err(_) => text == format!("localhost:{}", address.port()) && address.ip().is_loopback(),
    }
}

fn unused(name: &str, address: &Address) -> String {
    let listen = match address {
        Address::Tcp(address) if address.ip().is_unspecified() && address.is_ipv6() => {
            format!("`Listen {}`", address.port())
        }
        Address::Abstract(_) => String::new(),
        address => format!("`Listen {address}`"),
    };
    let by_name = if name.is_empty() { String::new() } else { format!("`Listen systemd:{name}`") };
    let remedies: Vec<String> = [listen, by_name].into_iter().filter(|text| !text.is_empty()).collect();
    let called = if name.is_empty() { String::new() } else { format!(" by the name {name}") };
    format!(
        "the socket {address} was given{called}, but no Listen is for it; add {}, or take it out of its .socket unit",
        remedies.join(" or ")
    )
}

fn missing_name(name: &str, offers: &[Offer]) -> String {
    let given: Vec<String> = offers
        .iter()
        .filter_map(|offer| match &offer.origin {
            Origin::Manager { name } if !name.is_empty() => Some(format!("{name} ({})", offer.address)),
            Origin::Manager { .. } => Some(offer.address.to_string()),
            Origin::Predecessor(_) => None,
        })
        .collect();
    let given = match given.as_slice() {
        [] => "none was; start the server by its .socket unit".to_owned(),
        given => {
            format!("given were {}; name it with FileDescriptorName= in its .socket unit", given.join(", "))
        }
    };
    format!("`Listen systemd:{name}` needs a socket of that name from the service manager: {given}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: Option<&str>, port: u16) -> Listen {
        Listen::Tcp { host: host.map(str::to_owned), port, ipv6_only: false }
    }

    fn unix(path: &str) -> Listen {
        Listen::Unix { path: path.into(), mode: None, owner: None, group: None }
    }

    fn named(name: &str) -> Listen {
        Listen::Given { name: name.to_owned() }
    }

    fn given(name: &str, address: &str) -> Offer {
        let origin = Origin::Manager { name: name.to_owned() };
        Offer { origin, address: Address::parse(address) }
    }

    fn left(purpose: Purpose) -> Offer {
        Offer { origin: Origin::Predecessor(purpose), address: Address::parse("127.0.0.1:4711") }
    }

    fn wanted(listen: &[Listen]) -> Wanted<'_> {
        Wanted { listen, implied: false, admin: Some("127.0.0.1:8001") }
    }

    /// The uses in a few words: the number of the `Listen`, `+` for any, `a` for the admin pages, `-` for none.
    fn uses(wanted: Wanted<'_>, offers: &[Offer]) -> Result<String, String> {
        let word = |used: &Option<Purpose>| match used {
            None => "-".to_owned(),
            Some(Purpose::Admin(_)) => "a".to_owned(),
            Some(Purpose::Clients(None)) => "+".to_owned(),
            Some(Purpose::Clients(Some(listen))) => {
                wanted.listen.iter().position(|own| own == listen).unwrap().to_string()
            }
        };
        Ok(assign(wanted, offers)?.iter().map(word).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn sockets_of_the_manager_are_taken_by_name_and_by_address() {
        let listen = [
            tcp(None, 80),
            tcp(Some("127.0.0.1"), 81),
            tcp(Some("2001:db8::1"), 82),
            unix("/s"),
            named("web"),
        ];
        let table = [
            (vec![given("x.socket", "[::]:80")], "0"),
            (vec![given("x.socket", "0.0.0.0:80"), given("x.socket", "[::]:80")], "0 0"),
            (vec![given("", "127.0.0.1:81"), given("", "[::ffff:127.0.0.1]:81")], "1 1"),
            (vec![given("y", "[2001:db8::1]:82"), given("y", "unix:/s")], "2 3"),
            // The name before the address.
            (vec![given("web", "[::]:80")], "4"),
            (vec![given("admin", "0.0.0.0:9000")], "a"),
            (vec![given("y", "127.0.0.1:8001")], "a"),
            (vec![given("admin", "[::]:80")], "a"),
        ];
        for (mut offers, want) in table {
            offers.push(given("web", "unix:@any"));
            assert_eq!(uses(wanted(&listen), &offers), Ok(format!("{want} 4")), "{offers:?}");
        }
    }

    #[test]
    fn a_socket_without_a_use_and_a_name_without_a_socket_are_one_sentence() {
        let listen = [tcp(None, 80)];
        let refused = |offer: Offer| uses(wanted(&listen), &[offer]).unwrap_err();
        assert_eq!(
            refused(given("web", "[::]:8080")),
            "the socket [::]:8080 was given by the name web, but no Listen is for it; add `Listen 8080` or `Listen systemd:web`, \
             or take it out of its .socket unit"
        );
        assert!(refused(given("", "127.0.0.1:80")).contains("add `Listen 127.0.0.1:80`, or take"));
        assert!(refused(given("", "unix:/run/s")).contains("add `Listen unix:/run/s`, or"));
        let off = Wanted { admin: None, ..wanted(&listen) };
        assert!(uses(off, &[given("admin", "[::]:9000")]).unwrap_err().contains("the admin pages are off"));
        let listen = [named("web")];
        let told = uses(wanted(&listen), &[]).unwrap_err();
        assert!(told.contains("none was; start the server by its .socket unit"), "{told}");
        let listen = [named("web"), tcp(None, 80)];
        let told = uses(wanted(&listen), &[given("site.socket", "[::]:80")]).unwrap_err();
        assert!(
            told.contains("given were site.socket ([::]:80); name it with FileDescriptorName="),
            "{told}"
        );
    }

    #[test]
    fn without_a_listen_every_socket_is_for_clients() {
        let listen = [tcp(None, 8000)];
        let implied = Wanted { implied: true, ..wanted(&listen) };
        let offers = [
            given("a", "[::]:80"),
            given("", "unix:/s"),
            given("", "127.0.0.1:8001"),
            given("", "0.0.0.0:8000"),
        ];
        assert_eq!(uses(implied, &offers), Ok("+ + a 0".to_owned()));
    }

    #[test]
    fn sockets_of_the_former_server_are_taken_for_what_they_were_opened_for() {
        let clients = |listen: Listen| left(Purpose::Clients(Some(listen)));
        let listen = [tcp(None, 0), tcp(None, 0), named("web"), unix("/s")];
        let offers = [
            clients(tcp(None, 0)),
            clients(tcp(None, 0)),
            clients(tcp(None, 0)),
            clients(named("web")),
            clients(named("web")),
            clients(Listen::Unix { path: "/s".into(), mode: Some(0o600), owner: None, group: None }),
            clients(tcp(None, 81)),
            left(Purpose::Admin("127.0.0.1:8001".into())),
            left(Purpose::Admin("127.0.0.1:8002".into())),
            left(Purpose::Clients(None)),
        ];
        assert_eq!(uses(wanted(&listen), &offers), Ok("0 0 - 2 2 3 - a - -".to_owned()));
        let implied = Wanted { implied: true, ..wanted(&[]) };
        assert_eq!(uses(implied, &[left(Purpose::Clients(None))]), Ok("+".to_owned()));
    }
}

//! Scripts whose place selects no process group, on hosts that may use none of those that are declared. mod_wsgi runs such a script in
//! embedded mode.

use super::imports::settings_at;
use crate::diagnostic::{Complaint, Journal};
use crate::place::first_host;
use crate::raw::Raw;
use crate::site::{Host, Listen};
use std::net::{IpAddr, SocketAddr};

/// The remedy for a host that may use no declared group.
const REMEDY: &str = "declare a WSGIDaemonProcess outside of the virtual hosts; with `GilkeeperEmbedded Beside` such requests \
                      have processes of their own, as in mod_wsgi";

/// Warns of each script that a host would answer with 500, because the default is another host's group.
pub fn check(raw: &Raw, hosts: &[Host], journal: &mut Journal) {
    for (index, host) in hosts.iter().enumerate() {
        let Some(complaint) = complaint(raw, index, "its requests") else { continue };
        if index == 0 && !main_is_reached(raw, hosts) {
            continue;
        }
        let of_main = if index > 0 { raw.hosts[0].mounts.as_slice() } else { &[] };
        let of_mounts = raw.hosts[index].mounts.iter().chain(of_main).map(|raw| &raw.word);
        for (mount, word) in host.mounts.iter().zip(of_mounts) {
            let url = if mount.url.is_empty() { "/" } else { &mount.url };
            let settings = settings_at(host, url, mount.target.file());
            if mount.process_group.is_none() && settings.process_group.is_none() {
                journal.say(complaint.clone().at(word));
            }
        }
    }
}

/// The complaint about a host whose default is another host's group.
pub fn complaint(raw: &Raw, host: usize, whose: &str) -> Option<Complaint> {
    let name = raw.default_group(host);
    let (group, _) = raw.groups.iter().find(|(group, _)| group.name == name)?;
    if raw.reaches(host, group) {
        return None;
    }
    let place = match (host, &raw.hosts[host].server_name) {
        (0, _) => "the main server".to_owned(),
        (_, Some(name)) => format!("the virtual host {name}"),
        (_, None) => "this virtual host".to_owned(),
    };
    let message = format!(
        "{place} may use no process group: `{name}` belongs to another virtual host, so {whose} would be answered 500"
    );
    Some(Complaint::warning(message).code("WSGI0152").hint(REMEDY))
}

/// Whether the main server answers some requests: not every address is a virtual host's.
fn main_is_reached(raw: &Raw, hosts: &[Host]) -> bool {
    raw.listen.iter().any(|listen| match listen {
        Listen::Tcp { host, port, .. } => {
            let any = IpAddr::from([0, 0, 0, 0]);
            let address = host.as_deref().and_then(|host| host.parse().ok()).unwrap_or(any);
            first_host(hosts, Some(SocketAddr::new(address, *port))) == 0
        }
        Listen::Unix { .. } => first_host(hosts, None) == 0,
        Listen::Given { .. } => true,
    })
}

//! The sockets that the service manager gives: `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`, as `sd_listen_fds_with_names` reads
//! them.

use super::Offered;
use super::matching::Origin;
use crate::StartError;

/// First of their descriptors.
const FIRST: i32 = 3;
/// Most of them.
const MOST: u32 = 1024;
/// The name of a socket that has none.
const UNKNOWN: &str = "unknown";

/// The sockets from the service manager, if any.
pub fn sockets() -> Result<Vec<Offered>, StartError> {
    let variable = |name: &str| std::env::var(name).ok();
    let Some(names) = promised(std::process::id(), variable) else { return Ok(Vec::new()) };
    let count = names.len();
    let mut offered = Vec::new();
    for (descriptor, name) in (FIRST..).zip(names) {
        let socket = gk_sys::descriptors::inherited(descriptor)
            .map_err(|e| StartError(format!("LISTEN_FDS promises {count} sockets, but: {e}")))?;
        rustix::io::ioctl_fionbio(&socket, true).map_err(|e| StartError(format!("a given socket: {e}")))?;
        offered.push(Offered { socket, origin: Origin::Manager { name }, file: None });
    }
    Ok(offered)
}

/// The names of the promised sockets, in the order of their descriptors; `None`: they are for another process.
fn promised(own: u32, variable: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let number = |name: &str| variable(name).and_then(|value| value.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(own) {
        return None;
    }
    let count = number("LISTEN_FDS").unwrap_or(0).min(MOST) as usize;
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names: Vec<String> = match names.as_str() {
        "" => Vec::new(),
        names => names.split(':').map(|name| if name == UNKNOWN { "" } else { name }.to_owned()).collect(),
    };
    names.resize(count, String::new());
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_descriptors_in_their_order() {
        type Variables = &'static [(&'static str, &'static str)];
        let table: [(Variables, Option<&[&str]>); 7] = [
            (&[], None),
            (&[("LISTEN_PID", "8"), ("LISTEN_FDS", "1")], None),
            (&[("LISTEN_PID", "7")], Some(&[])),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2")], Some(&["", ""])),
            (
                &[("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "web:admin")],
                Some(&["web", "admin"]),
            ),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "unknown")], Some(&["", ""])),
            (&[("LISTEN_PID", "7"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "a:b")], Some(&["a"])),
        ];
        for (variables, want) in table {
            let found = promised(7, |name| {
                variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
            });
            let found = found.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), want, "{variables:?}");
        }
    }
}

//! Records of the error log, with the client of the request that the writing thread serves, in the log of its host.

use gk_sys::log::{Context, write};
use gk_wire::log::Level;
use std::cell::{Cell, RefCell};

/// Most bytes of an address: an IPv6 address with a zone fits, a Unix path is cut.
const LONGEST: usize = 64;

/// Most bytes of a request's id.
const LONGEST_ID: usize = 64;

/// Client of the request that a thread serves, and its id. Formatted only when something is logged.
struct Client {
    address: Cell<[u8; LONGEST]>,
    /// Bytes of the address; 0 while no request is served.
    len: Cell<u8>,
    port: Cell<u16>,
    id: Cell<[u8; LONGEST_ID]>,
    /// Bytes of the id; 0 without one.
    id_len: Cell<u8>,
}

thread_local! {
    /// Path of the error log of the request's host; empty: the process's own.
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
    static CLIENT: Client = const {
        Client {
            address: Cell::new([0; LONGEST]),
            len: Cell::new(0),
            port: Cell::new(0),
            id: Cell::new([0; LONGEST_ID]),
            id_len: Cell::new(0),
        }
    };
}

/// Guard: while it lives, log lines of this thread name the client of its request and its id, and go to the log of its host.
pub struct CurrentRequest {
    own_log: bool,
    identified: bool,
}

impl CurrentRequest {
    /// `address`, `port`: of the client. `id`: of the request, mostly empty. `log`: the host's own error log.
    pub fn enter(address: &[u8], port: u16, id: &[u8], log: Option<&str>) -> Self {
        let len = address.len().min(LONGEST);
        let mut bytes = [0; LONGEST];
        bytes[..len].copy_from_slice(&address[..len]);
        CLIENT.with(|client| {
            client.address.set(bytes);
            client.len.set(len as u8);
            client.port.set(port);
        });
        if !id.is_empty() {
            identify(id);
        }
        if let Some(log) = log {
            LOG.with_borrow_mut(|current| {
                current.clear();
                current.push_str(log);
            });
        }
        Self { own_log: log.is_some(), identified: !id.is_empty() }
    }
}

impl Drop for CurrentRequest {
    fn drop(&mut self) {
        CLIENT.with(|client| client.len.set(0));
        if self.own_log {
            LOG.with_borrow_mut(String::clear);
        }
        if self.identified {
            CLIENT.with(|client| client.id_len.set(0));
        }
    }
}

#[cold]
fn identify(id: &[u8]) {
    let len = id.len().min(LONGEST_ID);
    let mut bytes = [0; LONGEST_ID];
    bytes[..len].copy_from_slice(&id[..len]);
    CLIENT.with(|client| {
        client.id.set(bytes);
        client.id_len.set(len as u8);
    });
}

/// Writes a record of module `wsgi`, with the client if this thread serves a request. A forked child serves none.
pub(crate) fn log(level: Level, code: Option<&str>, text: &str) {
    if gk_sys::fork::is_child() {
        return write(level, "wsgi", Context { code, ..Context::default() }, text);
    }
    let (address, len, port) =
        CLIENT.with(|client| (client.address.get(), client.len.get(), client.port.get()));
    let mut client: String = address[..usize::from(len)].iter().map(|b| char::from(*b)).collect();
    if port != 0 && len != 0 {
        client.push_str(&format!(":{port}"));
    }
    let client = Some(client.as_str()).filter(|client| !client.is_empty());
    let (id, id_len) = CLIENT.with(|client| (client.id.get(), client.id_len.get()));
    let id = std::str::from_utf8(&id[..usize::from(id_len)]).ok().filter(|id| !id.is_empty());
    LOG.with_borrow(|log| {
        let log = Some(log.as_str()).filter(|log| !log.is_empty());
        write(level, "wsgi", Context { code, client, request: id, log }, text);
    });
}

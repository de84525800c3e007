//! The admin process: from descriptors to pages that answer, and what it says to the front and hears from it. It ends with the
//! front, and the front starts another one when it ends before.

use crate::door::guard::{Guard, TOKEN_FILE};
use crate::door::tls;
use crate::heard::feed::Feed;
use crate::kept::history::History;
use crate::kept::hub::Hub;
use crate::note;
use crate::once_a_second::{Exports, turn};
use crate::pages::server::{Shared, serve as serve_pages};
use gk_config::measurements::Measurements;
use gk_sys::descriptors;
use gk_wire::control::{MAX_PACKET, decode, encode};
use gk_wire::feed::{FromAdmin, ToAdmin};
use gk_wire::log::Level;
use gk_wire::setup::{AdminSetup, CONTROL_FD, PAGES_FD, SETUP_FD};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How a stack is asked for: its worker, and the front's number of the request. The answer is [`ToAdmin::Stack`].
pub type WantStack = Box<dyn Fn(u64, u64) + Send + Sync>;

/// What the process is started from.
pub struct Parts {
    /// What the front said of it.
    pub setup: AdminSetup,
    /// The socket to the front.
    pub front: OwnedFd,
    /// The pages' listening socket; without one there are none.
    pub pages: Option<OwnedFd>,
}

/// The process's main function: takes the inherited descriptors, serves until the front is gone. Returns the exit code.
pub fn run() -> i32 {
    match inherit().and_then(serve) {
        Ok(()) => 0,
        // The front has been told, where it can be, and says so; the log has it in any case.
        Err(text) => {
            note(Level::Error, &text);
            1
        }
    }
}

fn inherit() -> Result<Parts, String> {
    let front = descriptors::taken(CONTROL_FD)?;
    let json = descriptors::read_memory_file(&mut File::from(descriptors::taken(SETUP_FD)?))
        .map_err(|error| format!("the setup cannot be read: {error}"))?;
    let setup: AdminSetup =
        serde_json::from_slice(&json).map_err(|error| format!("the setup is not understood: {error}"))?;
    gk_sys::log::configure(setup.log.level, setup.log.json);
    let pages = setup.pages.then(|| descriptors::taken(PAGES_FD)).transpose()?;
    Ok(Parts { setup, front, pages })
}

/// Serves until the front is gone, on the calling thread; says at once whether it can.
pub fn serve(parts: Parts) -> Result<(), String> {
    let Parts { setup, front, pages } = parts;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| format!("the event loop cannot be made: {error}"))?;
    runtime.block_on(async {
        let front = Front::new(front).map_err(|error| format!("the front's socket is unusable: {error}"))?;
        match Prepared::new(setup, pages, &front) {
            Ok(prepared) => {
                front.say(&FromAdmin::Ready);
                prepared.serve(&front).await;
                Ok(())
            }
            Err(why) => {
                front.say(&FromAdmin::Refused { why: why.clone() });
                Err(why)
            }
        }
    })
}

/// The socket to the front.
#[derive(Clone)]
struct Front(Arc<AsyncFd<OwnedFd>>);

impl Front {
    #[expect(
        deprecated,
        reason = "its replacement is unsafe; a descriptor that is owned cannot be closed behind the registration's back"
    )]
    fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self(Arc::new(AsyncFd::with_interest(socket, Interest::READABLE)?)))
    }

    fn say(&self, message: &FromAdmin) {
        // The front reads all the time; what does not fit is a stack that somebody has to ask for again.
        let _ = descriptors::send(self.0.get_ref(), &encode(message), &[]);
    }

    /// The next message with its descriptors; `None`: the front is gone.
    async fn next(&self, buffer: &mut [u8]) -> Option<(ToAdmin, Vec<OwnedFd>)> {
        loop {
            let mut ready = self.0.readable().await.ok()?;
            match descriptors::receive(self.0.get_ref(), buffer, false) {
                Ok(got) if got.bytes == 0 => return None,
                Ok(got) => match decode(&buffer[..got.bytes]) {
                    Ok(message) => return Some((message, got.fds)),
                    Err(error) => {
                        note(Level::Error, &format!("a message of the front is not understood: {error}"));
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(_) => return None,
            }
        }
    }
}

/// All that can fail is done.
struct Prepared {
    setup: AdminSetup,
    measurements: Measurements,
    feed: Feed,
    shared: Arc<Shared>,
    pages: Option<(TcpListener, Option<Arc<rustls::ServerConfig>>)>,
}

impl Prepared {
    fn new(setup: AdminSetup, pages: Option<OwnedFd>, front: &Front) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the admin pages cannot be served: {error}");
        let measurements: Measurements = serde_json::from_value(setup.measurements.clone())
            .map_err(|error| format!("the measurements in the setup are not understood: {error}"))?;
        let tls = measurements.admin_tls.as_ref().map(tls::configuration).transpose()?;
        let listener = match pages {
            Some(socket) => {
                rustix::io::ioctl_fionbio(&socket, true).map_err(|error| failed(error.into()))?;
                Some(TcpListener::from(socket))
            }
            None => None,
        };
        let guard = match &listener {
            Some(listener) => {
                let address = listener.local_addr().map_err(failed)?.to_string();
                let guard = Guard::new(&address, &setup.server_root, tls.is_some()).map_err(failed)?;
                if matches!(guard, Guard::Token { .. }) {
                    let file = setup.server_root.join(TOKEN_FILE);
                    let text =
                        format!("the admin pages on {address} ask for the token in {}", file.display());
                    note(Level::Notice, &text);
                }
                guard
            }
            None => Guard::Loopback,
        };
        // Without pages nobody asks for the past.
        let history =
            listener.as_ref().map(|_| History::start(&setup.server_root)).transpose().map_err(failed)?;
        let (feed, news) = Feed::new();
        let mut hub = Hub::new(feed.clone(), news);
        hub.front = setup.front;
        hub.slow = measurements.slow_requests;
        let front = front.clone();
        let want_stack: WantStack =
            Box::new(move |worker, request| front.say(&FromAdmin::WantStack { worker, request }));
        let shared = Arc::new(Shared {
            hub: Mutex::new(hub),
            history,
            guard,
            readers: Mutex::default(),
            want_stack: Some(want_stack),
        });
        Ok(Self { setup, measurements, feed, shared, pages: listener.map(|listener| (listener, tls)) })
    }

    async fn serve(self, front: &Front) {
        let Self { setup, measurements, feed, shared, pages } = self;
        let exports = Exports::start(&measurements, &setup.server_root, setup.supervisor, &shared);
        if let Some((listener, tls)) = pages {
            tokio::spawn(serve_pages(listener, tls, Arc::clone(&shared)));
        }
        tokio::spawn(turn(shared, feed.clone(), exports));
        let mut buffer = vec![0; MAX_PACKET];
        while let Some((message, fds)) = front.next(&mut buffer).await {
            hear(message, fds, &feed, front);
        }
    }
}

fn hear(message: ToAdmin, fds: Vec<OwnedFd>, feed: &Feed, front: &Front) {
    match message {
        ToAdmin::Figures(figures) => feed.put(figures),
        ToAdmin::Log(log) => gk_sys::log::configure(log.level, log.json),
        ToAdmin::End => {
            let (feed, front) = (feed.clone(), front.clone());
            tokio::spawn(async move {
                feed.end().await;
                front.say(&FromAdmin::Said);
            });
        }
        message => feed.tell_with(message, fds.into_iter().next()),
    }
}

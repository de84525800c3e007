//! The admin process of a front: from descriptors to pages that answer. It ends with the front; if it ends before, the front
//! starts another one.

use crate::door::guard::{Guard, TOKEN_FILE};
use crate::door::tls;
use crate::heard::front_socket::FrontSocket;
use crate::kept::history::History;
use crate::kept::hub::{Front, Hub, SharedHub};
use crate::note;
use crate::once_a_second::{self, Ending, Receivers};
use crate::pages::server::{self, Pages};
use crate::told::exports::Exports;
use gk_config::measurements::Measurements;
use gk_sys::{clock, descriptors};
use gk_wire::feed::{FromAdmin, ToAdmin};
use gk_wire::log::{Area, Level};
use gk_wire::setup::{AdminSetup, CONTROL_FD, PAGES_FD, SETUP_FD};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Start values of the process.
pub struct Parts {
    /// The setup from the front.
    pub setup: AdminSetup,
    /// The socket to the front.
    pub front: OwnedFd,
    /// The listening socket of the pages; `None`: no pages.
    pub pages: Option<OwnedFd>,
}

/// Main function of the process: takes the inherited descriptors and serves until the front is gone. Returns the exit code.
pub fn run() -> i32 {
    match inherit().and_then(serve) {
        Ok(()) => 0,
        // The front logs it too, if the message reached it.
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
    gk_sys::log::configure(&setup.log, Area::Admin);
    let pages = setup.pages.then(|| descriptors::taken(PAGES_FD)).transpose()?;
    Ok(Parts { setup, front, pages })
}

/// Serves on the calling thread until the front is gone. The first message to the front says whether it can.
pub fn serve(parts: Parts) -> Result<(), String> {
    let Parts { setup, front, pages } = parts;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| format!("the event loop cannot be made: {error}"))?;
    runtime.block_on(async {
        let front =
            FrontSocket::new(front).map_err(|error| format!("the front's socket is unusable: {error}"))?;
        match Prepared::new(setup, pages, &front) {
            Ok(prepared) => {
                front.send(&FromAdmin::Ready);
                prepared.serve(&front).await;
                Ok(())
            }
            Err(why) => {
                front.send(&FromAdmin::Refused { why: why.clone() });
                Err(why)
            }
        }
    })
}

/// Everything that can fail has succeeded.
struct Prepared {
    setup: AdminSetup,
    measurements: Measurements,
    hub: SharedHub,
    listening: Option<Listening>,
}

/// The pages before their first connection.
struct Listening {
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    pages: Pages,
}

impl Prepared {
    fn new(setup: AdminSetup, socket: Option<OwnedFd>, front: &FrontSocket) -> Result<Self, String> {
        let measurements: Measurements = Measurements::from_json(setup.measurements.clone())
            .map_err(|error| format!("the measurements in the setup are not understood: {error}"))?;
        let this_front = Front { pid: setup.front, started: setup.front_started };
        let mut hub = Hub::of_this_server(this_front, measurements.slow_requests);
        hub.set_supervisor(setup.supervisor);
        let hub = SharedHub::new(hub);
        let tls = measurements.admin_tls.as_ref().map(tls::configuration).transpose()?;
        let always = measurements.admin_token;
        let listening = socket.map(|socket| listen(socket, tls, always, &setup, &hub, front)).transpose();
        let listening = listening.map_err(|error| format!("the admin pages cannot be served: {error}"))?;
        Ok(Self { setup, measurements, hub, listening })
    }

    async fn serve(self, front: &FrontSocket) {
        let Self { setup, measurements, hub, mut listening } = self;
        let exports = Exports::start(&measurements, &setup.server_root, setup.supervisor, &hub);
        // Without pages nobody asks for the history.
        let history = listening.as_ref().map(|listening| listening.pages.history.clone());
        let stream =
            listening.as_ref().map_or_else(Arc::default, |listening| Arc::clone(&listening.pages.stream));
        let (sender, endings) = mpsc::channel(1);
        let receivers = Receivers { stream, history, exports, front: Some(front.clone()) };
        tokio::spawn(once_a_second::run(hub.clone(), receivers, endings));
        while let Some((message, scoreboard)) = front.receive().await {
            match message {
                ToAdmin::Log(log) => gk_sys::log::configure(&log, Area::Admin),
                ToAdmin::End => drop(tokio::spawn(end(sender.clone(), front.clone()))),
                message => {
                    let asks = matches!(message, ToAdmin::Figures(_));
                    hub.lock().receive(message, scoreboard, clock::epoch_seconds());
                    if asks {
                        front.send(&FromAdmin::Alive);
                        // Before it has figures it would say that a server which serves is not ready. Clients wait in the kernel's queue.
                        if let Some(Listening { listener, tls, pages }) = listening.take() {
                            tokio::spawn(server::serve(listener, tls, pages));
                        }
                    }
                }
            }
        }
    }
}

/// Prepares the pages. `always`: a loopback address asks for the token, too.
fn listen(
    socket: OwnedFd,
    tls: Option<Arc<rustls::ServerConfig>>,
    always: bool,
    setup: &AdminSetup,
    hub: &SharedHub,
    front: &FrontSocket,
) -> io::Result<Listening> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?.to_string();
    let guard = Guard::new(&address, &setup.folder, tls.is_some(), always)?;
    if matches!(guard, Guard::Token { .. }) {
        let file = setup.folder.join(TOKEN_FILE);
        let text = format!("the admin pages on {address} ask for the token in {}", file.display());
        note(Level::Notice, &text);
    }
    let history = History::start(&setup.folder)?;
    let front = front.clone();
    let pages = Pages {
        hub: hub.clone(),
        history,
        guard,
        stream: Arc::default(),
        last_profile: Default::default(),
        request_stack: Some(Box::new(move |worker, request| {
            front.send(&FromAdmin::WantStack { worker, request });
        })),
    };
    Ok(Listening { listener, tls, pages })
}

/// Has the last second passed on, then answers the front.
async fn end(endings: mpsc::Sender<Ending>, front: FrontSocket) {
    let (sender, passed_on) = oneshot::channel();
    if endings.send(sender).await.is_ok() {
        let _ = passed_on.await;
    }
    front.send(&FromAdmin::Said);
}

//! The service manager (systemd) as this process sees it: the socket for notices and the time of its watchdog, from the environment.
//! The plan decides what is said.

pub mod unit;

use crate::plan::action::Notice;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Variables that are for one process alone: no child gets them.
pub const VARIABLES: [&str; 7] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];
/// Those of them that also a server gets that replaces this one.
pub const OF_THE_SERVICE: [&str; 2] = ["NOTIFY_SOCKET", "WATCHDOG_USEC"];

/// Most notices that wait for a full socket.
const WAITING: usize = 64;

/// A service manager that listens.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it expects signs of life.
    pub watchdog: Option<Duration>,
    waiting: VecDeque<String>,
    failed: bool,
}

impl ServiceManager {
    /// From the environment; `None`: nobody listens. `heir`: this process has taken the place of the one that the watchdog names.
    pub fn find(heir: bool) -> Result<Option<Self>, String> {
        let variable = |name: &str| std::env::var_os(name);
        let Some(path) = variable("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else { return Ok(None) };
        let refused = |why: &str| {
            format!(
                "nothing can be told to the service manager: NOTIFY_SOCKET={} {why}",
                path.to_string_lossy()
            )
        };
        let address = address(&path).map_err(|why| refused(&why))?;
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let socket = socket.map_err(|e| refused(&format!("cannot be used: {e}")))?;
        let pid = if heir { None } else { variable("WATCHDOG_PID") };
        let watchdog = watchdog(variable("WATCHDOG_USEC"), pid, std::process::id());
        Ok(Some(Self { socket, address, watchdog, waiting: VecDeque::new(), failed: false }))
    }

    /// Says a notice, now or as soon as there is room. `serving`: what the server serves, in one line.
    pub fn tell(&mut self, notice: &Notice, serving: &str) {
        self.say(text(notice, serving, gk_sys::clock::monotonic_nanos() / 1000));
    }

    /// The service's main process is that one from now on.
    pub fn name_main_process(&mut self, pid: u32) {
        self.say(format!("MAINPID={pid}\nSTATUS=Process {pid} has taken over"));
    }

    fn say(&mut self, text: String) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(text);
        }
        self.flush();
    }

    /// Says what waits. Failures are logged once.
    pub fn flush(&mut self) {
        while let Some(text) = self.waiting.front() {
            match self.socket.send_to_addr(text.as_bytes(), &self.address) {
                Ok(_) => self.failed = false,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    if !std::mem::replace(&mut self.failed, true) {
                        let text = format!("the service manager does not take a notice (NOTIFY_SOCKET): {e}");
                        gk_sys::log::plain(gk_wire::log::Level::Warn, "supervisor", None, &text);
                    }
                }
            }
            self.waiting.pop_front();
        }
    }
}

/// A path, or a name in Linux's space of socket names after `@`.
fn address(path: &OsStr) -> Result<SocketAddr, String> {
    let bytes = path.as_bytes();
    let made = match bytes {
        [b'/', ..] => SocketAddr::from_pathname(path),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => return Err("is neither a path nor @name".to_owned()),
    };
    made.map_err(|e| format!("is no address: {e}"))
}

/// The time of the watchdog, if it is this process's.
fn watchdog(microseconds: Option<OsString>, pid: Option<OsString>, own: u32) -> Option<Duration> {
    let number = |text: OsString| text.to_str().and_then(|text| text.parse::<u64>().ok());
    if pid.is_some_and(|pid| number(pid) != Some(u64::from(own))) {
        return None;
    }
    microseconds.and_then(number).filter(|time| *time > 0).map(Duration::from_micros)
}

/// A notice as the service manager reads it. `now`: microseconds of the monotonic clock.
fn text(notice: &Notice, serving: &str, now: u64) -> String {
    let line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    match notice {
        Notice::Ready => format!("READY=1\nSTATUS={}", line(serving)),
        Notice::Reloading(why) => {
            format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reloading: {}", line(why))
        }
        Notice::Reloaded(how) => format!("READY=1\nSTATUS={}; {}", line(serving), line(how)),
        Notice::Stopping => "STOPPING=1\nSTATUS=Finishing requests".to_owned(),
        Notice::Status(text) => format!("STATUS={}", line(text)),
        Notice::Extend(time) => format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()),
        Notice::Watchdog => "WATCHDOG=1".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_have_the_words_of_the_protocol() {
        let table = [
            (Notice::Ready, "READY=1\nSTATUS=Serving x"),
            (
                Notice::Reloading("signal HUP".into()),
                "RELOADING=1\nMONOTONIC_USEC=7\nSTATUS=Reloading: signal HUP",
            ),
            (Notice::Reloaded("refused: a\nb=1".into()), "READY=1\nSTATUS=Serving x; refused: a"),
            (Notice::Stopping, "STOPPING=1\nSTATUS=Finishing requests"),
            (Notice::Status("a\nREADY=1".into()), "STATUS=a"),
            (Notice::Extend(Duration::from_secs(30)), "EXTEND_TIMEOUT_USEC=30000000"),
            (Notice::Watchdog, "WATCHDOG=1"),
        ];
        for (notice, want) in table {
            assert_eq!(text(&notice, "Serving x", 7), want);
        }
    }

    #[test]
    fn sockets_are_paths_or_abstract_names() {
        for (name, good) in [("/run/x", true), ("@abstract", true), ("x", false), ("vsock:2:1", false)] {
            assert_eq!(address(OsStr::new(name)).is_ok(), good, "{name}");
        }
        assert!(address(OsStr::new(&format!("/{}", "x".repeat(200)))).is_err());
        let abstract_name = address(OsStr::new("@a")).unwrap();
        assert_eq!(abstract_name.as_abstract_name(), Some(&b"a"[..]));
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let text = |text: &str| Some(OsString::from(text));
        let table = [
            (text("2000000"), text("7"), Some(2)),
            (text("2000000"), None, Some(2)),
            (text("2000000"), text("8"), None),
            (text("0"), None, None),
            (text("x"), None, None),
            (None, None, None),
        ];
        for (time, pid, want) in table {
            assert_eq!(
                watchdog(time.clone(), pid.clone(), 7),
                want.map(Duration::from_secs),
                "{time:?} {pid:?}"
            );
        }
    }
}

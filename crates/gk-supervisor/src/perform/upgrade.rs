//! What an upgrade does in the world: the new server's process and its estate, and the moment in which it becomes the server.

use super::{World, log};
use crate::child::Child;
use crate::plan::event::{Event, Succession};
use crate::service_manager;
use gk_sys::child::spawn::{Limit, Spawn, SpawnError, Step, spawn};
use gk_sys::descriptors;
use gk_wire::handover::{ToPredecessor, ToSuccessor, VARIABLE};
use gk_wire::log::Level;
use rustix::process::{getpid, set_child_subreaper, set_parent_process_death_signal};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

impl World {
    /// Starts the new server as a child, in the folder and with the environment of this one, and sends it everything that it takes over.
    pub(super) fn spawn_successor(&mut self, program: &[String], draining: bool) {
        let event = match self.start_successor(program, draining) {
            Ok(pid) => Succession::Started { pid },
            Err(e) => {
                let program = program.first().map(String::as_str).unwrap_or_default();
                Succession::NotStarted { why: format!("{program} cannot be started: {e}") }
            }
        };
        self.events.push_back(Event::Succession(event));
    }

    fn start_successor(&mut self, program: &[String], draining: bool) -> Result<u32, SpawnError> {
        let start = |error: io::Error| SpawnError { step: Step::Start, error };
        let [program, first @ ..] = program else {
            return Err(start(io::Error::other("no program is named")));
        };
        let directory = self.configuration().directory.clone();
        let args = first.iter().map(OsString::from).chain(["serve".into()]);
        let args: Vec<OsString> = args.chain(self.handover.arguments.iter().cloned()).collect();
        let (ours, theirs) = descriptors::packet_pair().map_err(start)?;
        let pid = spawn(&Spawn {
            program: Path::new(program),
            args: &args,
            env: &environment(&directory),
            fds: &[theirs.as_fd()],
            stdout: rustix::stdio::stdout(),
            stderr: rustix::stdio::stderr(),
            identity: None,
            chroot: None,
            directory: Some(&directory),
            no_new_privileges: false,
            umask: None,
            limits: &[(Limit::Descriptors, self.descriptors.0, self.descriptors.1)],
            nice: 0,
        })?;
        let mut successor = Child::new(pid, ours).map_err(start)?;
        if let Err(e) = self.send_estate(&mut successor, draining) {
            let _ = gk_sys::child::reap::signal(pid, gk_sys::signal::SIGKILL);
            self.handover.dying.push(pid);
            return Err(start(e));
        }
        self.handover.successor = Some(successor);
        Ok(pid)
    }

    fn send_estate(&self, successor: &mut Child, draining: bool) -> io::Result<()> {
        let Some(root) = &self.handover.root else { return Err(io::Error::other("there is no server root")) };
        let lock = root.lock().try_clone_to_owned()?;
        let control = self.clients.as_fd().try_clone_to_owned()?;
        successor.send(&ToSuccessor::Root, vec![lock, control]);
        for (socket, purpose, file) in self.listeners.estate() {
            let purpose = serde_json::to_value(purpose).map_err(io::Error::other)?;
            let socket: OwnedFd = socket.try_clone_to_owned()?;
            successor.send(&ToSuccessor::Listener { purpose, file: file.cloned() }, vec![socket]);
        }
        let kept = self.handover.stays || self.handover.keeper.is_some();
        let keeper = self.handover.keeper.as_ref().map(OwnedFd::try_clone).transpose()?;
        let ticket_keys = self.certificates.message().ticket_keys;
        let secret = self.secret.clone();
        successor.send(
            &ToSuccessor::Complete { kept, ticket_keys, secret, draining },
            keeper.into_iter().collect(),
        );
        Ok(())
    }

    /// The new server is the server.
    pub(super) fn hand_over(&mut self) {
        self.clients.close_door();
        self.handover.root.iter_mut().for_each(crate::root::Root::leave);
        self.listeners.leave_files();
        let Some(pid) = self.handover.successor.as_ref().map(|new| new.pid) else { return };
        if self.handover.stays {
            // What the new one leaves behind when it is replaced in its turn becomes a child of this process.
            if let Err(e) = set_child_subreaper(Some(getpid())) {
                log(Level::Warn, None, &format!("a later upgrade may end this process too early: {e}"));
            }
            return;
        }
        if let Some(keeper) = &self.handover.keeper {
            let packet = gk_messages::encode(&ToPredecessor::Successor { pid });
            let _ = descriptors::send(keeper, &packet, &[]);
        }
        self.manager.iter_mut().for_each(|manager| manager.name_main_process(pid));
    }

    /// This server is the server.
    pub(super) fn take_over(&mut self) {
        // The old one may end from now on.
        if let Err(e) = set_parent_process_death_signal(None) {
            log(Level::Error, None, &format!("this server will end with the one that it replaces: {e}"));
        }
        if let Some(Err(e)) = self.handover.root.as_mut().map(crate::root::Root::claim) {
            log(Level::Error, None, &e.0);
        }
        self.listeners.take_files();
        self.clients.open_door();
    }
}

/// Our environment, without what was for this process alone.
fn environment(directory: &Path) -> Vec<(OsString, OsString)> {
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for name in service_manager::VARIABLES {
        if !service_manager::OF_THE_SERVICE.contains(&name) {
            env.remove(std::ffi::OsStr::new(name));
        }
    }
    env.insert("PWD".into(), directory.as_os_str().to_owned());
    env.insert(VARIABLE.into(), std::process::id().to_string().into());
    env.into_iter().collect()
}

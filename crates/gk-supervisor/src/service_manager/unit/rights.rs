//! Under which user a unit's server runs, and which rights are taken from it.

use super::places::Places;
use super::{Lines, Request, escape};
use gk_config::site::{Listen, Site};

/// The user of the service.
#[derive(Debug)]
pub(super) struct Identity {
    /// `None` with `root`: root; else a user that systemd makes up.
    user: Option<(String, Option<String>)>,
    root: bool,
    /// Ports below 1024 are bound by the server.
    low_ports: bool,
    /// A process group changes its root directory, or raises its priority.
    chroot: bool,
    nice: bool,
}

impl Identity {
    /// The user that the request or the site names. Root where process groups have users of their own.
    pub(super) fn of(request: &Request, site: &Site) -> Self {
        let named = |user: &str| user.trim_start_matches('#').to_owned();
        let own = request
            .user
            .clone()
            .or_else(|| site.user.as_deref().map(|user| (named(user), site.group.as_deref().map(named))));
        let others = site.groups.iter().filter_map(|group| group.user.as_deref()).map(named);
        let mut others = others.filter(|user| own.as_ref().is_none_or(|(own, _)| own != user));
        let chroot = site.groups.iter().any(|group| group.chroot.is_some());
        let nice = site.groups.iter().any(|group| group.cpu_priority < 0);
        let root = others.next().is_some() || chroot;
        let low = |listen: &Listen| matches!(listen, Listen::Tcp { port: 1..=1023, .. });
        let low_ports = !request.sockets && site.listen.iter().any(low);
        Self { user: own.filter(|_| !root), root, low_ports, chroot, nice }
    }

    /// Whether the server is started by root, who reads every key.
    pub(super) fn is_root(&self) -> bool {
        self.root
    }

    pub(super) fn write(&self, out: &mut Lines) {
        match &self.user {
            Some((user, group)) => {
                out.line("User", &escape(user));
                group.iter().for_each(|group| out.line("Group", &escape(group)));
            }
            None if self.root => out.remark("Root: process groups have users of their own."),
            None => {
                out.remark("A user that exists while the service runs; User= names another one.");
                out.line("DynamicUser", "yes");
            }
        }
    }

    fn capabilities(&self) -> Vec<&'static str> {
        let mut needed = Vec::new();
        if self.low_ports {
            needed.push("CAP_NET_BIND_SERVICE");
        }
        if self.root {
            // To become the users, to signal their processes, and to give folders and sockets away.
            needed.extend([
                "CAP_SETUID",
                "CAP_SETGID",
                "CAP_KILL",
                "CAP_CHOWN",
                "CAP_DAC_OVERRIDE",
                "CAP_FOWNER",
            ]);
        }
        if self.chroot {
            needed.push("CAP_SYS_CHROOT");
        }
        if self.nice {
            needed.push("CAP_SYS_NICE");
        }
        needed
    }
}

/// Takes away what a server of Python applications does not need.
pub(super) fn harden(out: &mut Lines, places: &Places, identity: &Identity) {
    let needed = identity.capabilities().join(" ");
    out.lines(&["", "NoNewPrivileges=yes"]);
    out.line("CapabilityBoundingSet", &needed);
    if !identity.root && !needed.is_empty() {
        out.line("AmbientCapabilities", &needed);
    }
    out.line("ProtectSystem", "strict");
    out.line("ProtectHome", if places.in_home { "read-only" } else { "yes" });
    if places.in_tmp {
        out.remark("Files of the site are below /tmp, so there is no PrivateTmp=yes.");
    } else {
        out.line("PrivateTmp", "yes");
    }
    if !identity.root {
        // Processes of other users are workers where there are such.
        out.line("ProtectProc", "invisible");
    }
    out.lines(&[
        "PrivateDevices=yes",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
        "RemoveIPC=yes",
        "KeyringMode=private",
        "UMask=0027",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallErrorNumber=EPERM",
        "# Left out, as ctypes, cffi and compilers at run time need it: MemoryDenyWriteExecute=yes",
    ]);
}

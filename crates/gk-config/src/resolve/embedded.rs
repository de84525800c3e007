//! Embedded mode: the processes of the one process group speak HTTP themselves, so that what is one process's own in daemon mode must hold
//! for both sides.

use crate::diagnostic::{Complaint, Journal};
use crate::raw::Raw;
use crate::site::ProcessGroup;

/// Apache's words for the processes, for the group that nobody declared.
pub fn count(raw: &Raw, group: &mut ProcessGroup) {
    let words = &raw.embedded;
    if words.on.is_none() {
        return;
    }
    group.processes = words.processes.unwrap_or(group.processes);
    group.multiprocess |= words.processes.is_some();
    group.threads = words.threads.unwrap_or(group.threads);
    group.maximum_requests = words.maximum_requests.unwrap_or(group.maximum_requests);
}

/// What cannot be said beside it.
pub fn check(raw: &Raw, journal: &mut Journal) {
    let Some(on) = &raw.embedded.on else { return };
    if let Some(word) = &raw.embedded.restricted {
        let message = "WSGIRestrictEmbedded forbids embedded mode, which GilkeeperEmbedded asks for";
        let hint = "take out one of the two";
        journal.say(Complaint::error(message).code("WSGI0143").at(word).hint(hint));
    }
    let mut serving = raw.groups.iter().filter(|(group, _)| !group.service());
    let first = serving.next();
    if let Some((_, word)) = serving.next() {
        let message =
            "in embedded mode there is one process group for requests, whose processes speak HTTP themselves";
        let hint = "take out GilkeeperEmbedded, or all but one WSGIDaemonProcess that has threads";
        journal.say(Complaint::error(message).at(word).hint(hint));
    }
    let Some((group, word)) = first else { return };
    let word = if word.text.is_empty() { on } else { word };
    let own = [
        ("user=", group.user.is_some(), "User"),
        ("group=", group.group.is_some(), "Group"),
        ("supplementary-groups=", group.supplementary_groups.is_some(), "User"),
    ];
    for (option, _, instead) in own.into_iter().filter(|(_, given, _)| *given) {
        let message = format!(
            "{option} is for daemon mode: in embedded mode the processes have the server's sockets and files"
        );
        journal.say(Complaint::error(message).at(word).hint(format!("write {instead} in its place")));
    }
    if group.chroot.is_some() {
        let message = "chroot= is for daemon mode: in embedded mode the processes also serve files by the paths of the configuration";
        journal.say(Complaint::error(message).at(word).hint("take out chroot=, or GilkeeperEmbedded"));
    }
}

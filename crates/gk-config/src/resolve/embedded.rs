//! Which process group speaks HTTP itself: that of embedded mode, or `fronts`, whose processes do nothing else. What is one process's own in
//! daemon mode must hold for both sides there.

use crate::Surroundings;
use crate::diagnostic::{Complaint, Journal};
use crate::directives::daemon_process;
use crate::raw::{Raw, RawEmbedded};
use crate::site::{FRONTS, ProcessGroup};
use crate::token::{Word, key_value, option_word};

/// The embedded group beside others: `%{GLOBAL}`.
const GLOBAL: &str = "global";
/// CPUs that keep one front busy.
const CPUS_OF_A_FRONT: u32 = 8;

/// Makes the one group embedded that is to be, and adds those that nobody declared.
pub fn choose(raw: &mut Raw, surroundings: &Surroundings, journal: &mut Journal) {
    let Some(on) = raw.embedded.on.clone() else {
        return add_fronts(raw, surroundings, journal);
    };
    if let Some((fronts, number)) = &raw.embedded.fronts
        && *number != 1
    {
        let message = "each process of embedded mode is a front: GilkeeperFronts counts those of daemon mode";
        journal
            .say(Complaint::error(message).at(fronts).hint("take out GilkeeperFronts or GilkeeperEmbedded"));
    }
    let implied = |(group, word): &(ProcessGroup, Word)| !group.service() && word.text.is_empty();
    if raw.embedded.beside && !raw.groups.iter().any(implied) {
        add(raw, GLOBAL, &on, journal);
    }
    let Some((group, word)) = raw.groups.iter_mut().find(|(group, _)| !group.service()) else { return };
    group.embedded = true;
    if group.name == FRONTS {
        let message = format!("`{FRONTS}` is the name of the process group that GilkeeperFronts adds");
        journal.say(Complaint::error(message).at(word).hint("choose another name"));
    }
    if word.text.is_empty() {
        take_options(&raw.embedded, group);
        if let Some(word) = raw.lazy_words.remove("") {
            raw.lazy_words.insert(group.name.clone(), word);
        }
    } else if let Some((_, words)) = &raw.embedded.options {
        let message = format!(
            "the embedded group `{}` is declared by WSGIDaemonProcess, which has its options",
            group.name
        );
        journal
            .say(Complaint::error(message).at(&words[0]).hint("move the options of GilkeeperEmbedded there"));
    }
}

/// Adds a group in front of all others.
fn add(raw: &mut Raw, name: &str, word: &Word, journal: &mut Journal) {
    if let Some((_, declared)) = raw.groups.iter().find(|(group, _)| group.name == name) {
        let message = format!("`{name}` is the name of the process group that {} adds", word.text);
        journal.say(Complaint::error(message).at(declared).hint("choose another name"));
    }
    raw.groups.insert(0, (ProcessGroup::named(name), Word::default()));
}

/// The options of `GilkeeperEmbedded`, for the group that nobody declared, and where it has none, Apache's words for the processes.
fn take_options(words: &RawEmbedded, group: &mut ProcessGroup) {
    let mut given: &[Word] = &[];
    if let Some((options, options_words)) = &words.options {
        let name = std::mem::take(&mut group.name);
        *group = ProcessGroup { name, embedded: true, ..options.clone() };
        daemon_process::complete(group);
        given = options_words;
    }
    let is_given = |name: &str| given.iter().filter_map(key_value).any(|(key, _)| key == name);
    if let Some(number) = words.processes.filter(|_| !is_given("processes")) {
        (group.processes, group.multiprocess) = (number, true);
    }
    if let Some(number) = words.threads.filter(|_| !is_given("threads")) {
        group.threads = number;
    }
    if let Some(number) = words.maximum_requests.filter(|_| !is_given("maximum-requests")) {
        group.maximum_requests = number;
    }
}

/// With more than one front, the group whose processes they are: after all others, so that no request is given to it by default.
fn add_fronts(raw: &mut Raw, surroundings: &Surroundings, journal: &mut Journal) {
    let Some((_, number)) = raw.embedded.fronts else { return };
    let cpus = surroundings.machine.map_or(1, |machine| machine.cpus);
    let number = if number == 0 { (cpus / CPUS_OF_A_FRONT).max(1) } else { number };
    if number == 1 {
        return;
    }
    if let Some((_, declared)) = raw.groups.iter().find(|(group, _)| group.name == FRONTS) {
        let message = format!("`{FRONTS}` is the name of the process group that GilkeeperFronts adds");
        journal.say(Complaint::error(message).at(declared).hint("choose another name"));
    }
    // Those who have its connections may take as long as the requests on them.
    let longest = raw.groups.iter().map(|(group, _)| group.graceful_timeout());
    let longest = longest.reduce(|a, b| if a > 0.0 && b > 0.0 { a.max(b) } else { 0.0 });
    let group = ProcessGroup {
        processes: number,
        threads: 1,
        embedded: true,
        graceful_timeout: longest,
        ..ProcessGroup::named(FRONTS)
    };
    raw.groups.push((group, Word::default()));
}

/// A limit that each of several processes counts for itself.
fn note_limits(raw: &Raw, journal: &mut Journal) {
    let several = raw.groups.iter().find(|(group, _)| group.embedded && group.processes > 1);
    let (Some((group, _)), most) = (several, raw.http.max_connections_per_address) else { return };
    let Some(word) = raw.embedded.on.as_ref().or(raw.embedded.fronts.as_ref().map(|(word, _)| word)) else {
        return;
    };
    let processes = group.processes;
    let all = raw.http.max_connections;
    if 0 < all && all < processes as usize {
        let message = format!(
            "{processes} processes accept connections, each at least one: GilkeeperMaxConnections {all} allows {processes}"
        );
        journal.say(Complaint::note(message).at(word));
    }
    if most > 0 {
        let message = format!(
            "{processes} processes accept connections, and each counts for itself: GilkeeperMaxConnectionsPerAddress {most} allows one address \
             up to {} connections",
            most.saturating_mul(processes as usize)
        );
        journal.say(Complaint::note(message).at(word));
    }
}

/// What cannot be said beside it.
pub fn check(raw: &Raw, journal: &mut Journal) {
    note_limits(raw, journal);
    let Some(on) = &raw.embedded.on else { return };
    if let Some(word) = &raw.embedded.restricted {
        let message = "WSGIRestrictEmbedded forbids embedded mode, which GilkeeperEmbedded asks for";
        let hint = "take out one of the two";
        journal.say(Complaint::error(message).code("WSGI0143").at(word).hint(hint));
    }
    let mut serving = raw.groups.iter().filter(|(group, _)| !group.service());
    let first = serving.next();
    if let Some((_, word)) = serving.next().filter(|_| !raw.embedded.beside) {
        let message = "`GilkeeperEmbedded On` makes the one process group embedded, and here are several";
        let hint = "write `GilkeeperEmbedded Beside`, so that they stay and %{GLOBAL} is the embedded one, or take out all but one \
                    WSGIDaemonProcess that has threads";
        journal.say(Complaint::error(message).at(word).hint(hint));
    }
    let Some((group, word)) = first else { return };
    // One that nobody declared has its options behind GilkeeperEmbedded.
    let given = raw.embedded.options.as_ref().map_or(&[][..], |(_, words)| words);
    let at = |option: &str| match word.text.is_empty() {
        true => option_word(given, option.trim_end_matches('=')).unwrap_or(on),
        false => word,
    };
    let own = [
        ("user=", group.user.is_some(), "User"),
        ("group=", group.group.is_some(), "Group"),
        ("supplementary-groups=", group.supplementary_groups.is_some(), "User"),
    ];
    for (option, _, instead) in own.into_iter().filter(|(_, given, _)| *given) {
        let message = format!(
            "{option} is for daemon mode: in embedded mode the processes have the server's sockets and files"
        );
        journal.say(Complaint::error(message).at(at(option)).hint(format!("write {instead} in its place")));
    }
    if group.chroot.is_some() {
        let message = "chroot= is for daemon mode: in embedded mode the processes also serve files by the paths of the configuration";
        journal
            .say(Complaint::error(message).at(at("chroot")).hint("take out chroot=, or GilkeeperEmbedded"));
    }
}

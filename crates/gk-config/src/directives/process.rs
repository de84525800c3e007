//! Process groups: declaring them, selecting one, and the interpreter within it.

use super::daemon_process;
use super::raw::GroupUse;
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope, Status};
use crate::directives::mapping::group_name;
use crate::token::Word;
use crate::values;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("WSGIDaemonProcess", "name [option=value …]", Contexts::SERVER, Arity::options(1), daemon_process::declare)
        .doc("Declares a process group: P processes with T request threads each. [A separate page](../daemon-process-options.md) \
            describes the options. A group declared in a virtual host serves only hosts of that server name; \
              one declared outside serves all. Without any declaration there is one group named `default`, \
              1 process × 15 threads."),
    Directive::honoured("WSGIProcessGroup", "name", Contexts::ANY, Arity::exactly(1), process_group)
        .default("the first group that the host may use")
        .doc("The process group that serves the requests of this scope. `%{ENV:name}` takes the name from the request's variables. \
              `%{GLOBAL}`, embedded mode in mod_wsgi, means the first group that the host may use; with `GilkeeperEmbedded` that is the \
              embedded one. A host that may use no group answers 500 (WSGI0152), of which `gilkeeper check` warns."),
    Directive::honoured("WSGIApplicationGroup", "name", Contexts::ANY, Arity::exactly(1), application_group)
        .default("%{RESOURCE}")
        .doc("The interpreter of the process that runs the application. `%{GLOBAL}` is the main interpreter. `%{SERVER}` is named by \
              host and port, `%{RESOURCE}` by these and SCRIPT_NAME. `%{HOST}` is the host name that the client asks for, so clients \
              determine the number of interpreters. `%{ENV:name}` is a variable of the request. Any other name is a sub-interpreter \
              of that name."),
    Directive::honoured("WSGIRestrictProcess", "name …", Contexts::ANY, Arity::at_least(1), restrict_process)
        .default("any group")
        .doc("The process groups that may be selected in this scope; selecting another one is a 500 (WSGI0149). \
              `%{GLOBAL}` names the first group."),
    Directive::inert("WSGISocketPrefix", "path-prefix", Contexts::GLOBAL,
        "front and workers share a socket pair that has no name in the file system"),
    Directive::inert("WSGISocketRotation", "On|Off", Contexts::GLOBAL,
        "front and workers share a socket pair that has no name in the file system"),
    Directive::inert("WSGIAcceptMutex", "method", Contexts::GLOBAL,
        "the front hands each request to a free worker; workers do not compete for connections"),
    Directive::honoured("GilkeeperEmbedded", "On|Off|Beside [option=value …]", Contexts::GLOBAL, Arity::options(1), embedded)
        .default("Off").ours()
        .doc("Embedded mode: the processes of one process group accept connections and speak HTTP themselves, so no request \
            passes from one process to another. With `On`, this is the `WSGIDaemonProcess` group that has threads, or a group \
            named `default` if there is none. With `Beside`, every `WSGIDaemonProcess` stays a group in daemon mode, and the \
            embedded group runs beside them, as in mod_wsgi: it is `%{GLOBAL}`, its name is `global`, and it serves requests \
            that select no other group. An embedded group that no `WSGIDaemonProcess` declares has its options here, the [same \
            ones](../daemon-process-options.md) as there: `GilkeeperEmbedded On processes=2 request-timeout=60`. Where these do not say \
            it, `StartServers`, `ThreadsPerChild` and `MaxRequestsPerChild` set its processes, threads and requests. \
            `GilkeeperMaxConnections`, \
            `GilkeeperResponseMemory` and `GilkeeperResponseSpool` are divided among the processes. The guide's page \
            \"Embedded mode\" says what it costs."),
    Directive::honoured("GilkeeperFronts", "number|auto", Contexts::GLOBAL, Arity::exactly(1), fronts)
        .default("1").ours()
        .doc("Processes that accept connections and speak HTTP in daemon mode. One is enough for up to eight CPUs; `auto` is one \
            for every eight CPUs. With more than one, each is a process of a group named `fronts` and has its own link to each \
            worker and its own queue; the front process itself then accepts no connections. `GilkeeperMaxConnections`, \
            `GilkeeperResponseMemory` and `GilkeeperResponseSpool` are divided among them, and each counts the connections of an \
            address (`GilkeeperMaxConnectionsPerAddress`) for itself. A reload can change their number, but not go from one \
            to several or back. The page \"Scale\" says when this \
            pays."),
    Directive::honoured("WSGIRestrictEmbedded", "On|Off", Contexts::GLOBAL, Arity::exactly(1), restrict_embedded)
        .default("Off")
        .doc("On: `GilkeeperEmbedded On` or `Beside` is an error."),
    Directive::inert("StartServers", "number", Contexts::SERVER, EMBEDDED_ONLY).judged(start_servers)
        .doc("For an embedded group that no `WSGIDaemonProcess` declares: the number of processes."),
    Directive::inert("ThreadsPerChild", "number", Contexts::SERVER, EMBEDDED_ONLY).judged(threads_per_child)
        .doc("For an embedded group that no `WSGIDaemonProcess` declares: the request threads of each process."),
    Directive::inert("MaxRequestsPerChild", "number", Contexts::SERVER, EMBEDDED_ONLY).judged(requests_per_child)
        .doc("For an embedded group that no `WSGIDaemonProcess` declares: the number of requests after which a process is \
            replaced; 0: without limit."),
    Directive::inert("MaxConnectionsPerChild", "number", Contexts::SERVER, EMBEDDED_ONLY).judged(requests_per_child)
        .doc("Apache's later name of `MaxRequestsPerChild`."),
];

const EMBEDDED_ONLY: &str =
    "outside embedded mode (GilkeeperEmbedded), WSGIDaemonProcess sets processes, threads and requests";

fn embedded(scope: &mut Scope, words: &[Word]) -> Applied {
    let beside = words[0].text.eq_ignore_ascii_case("beside");
    let on = beside
        || values::switch(scope.name, &words[0], &words[0].text).map_err(|_| {
            let message = format!("GilkeeperEmbedded takes one of On, Off, Beside, not `{}`", words[0].text);
            Complaint::error(message).at(&words[0]).hint("Beside leaves the declared groups as they are")
        })?;
    let options = &words[1..];
    if let Some(word) = options.first().filter(|_| !on) {
        let message = "GilkeeperEmbedded Off takes no options: no group is embedded";
        return Err(Complaint::error(message).at(word).hint("write them behind WSGIDaemonProcess"));
    }
    scope.raw.lazy_words.remove("");
    if on && scope.raw.embedded.options.is_some() {
        let message = "this GilkeeperEmbedded replaces an earlier one, whose options do not hold any more";
        scope.say(Complaint::warning(message).at(&words[0]).hint("write all options behind one of them"));
    }
    scope.raw.embedded.options = match options {
        [] => None,
        _ => Some((daemon_process::options(scope, options)?, options.to_vec())),
    };
    if scope.raw.embedded.options.as_ref().is_some_and(|(group, _)| group.service()) {
        let message = "GilkeeperEmbedded takes no threads=0: the embedded group serves requests";
        return Err(Complaint::error(message)
            .at(crate::token::option_word(options, "threads").unwrap_or(&words[0]))
            .hint("give a service script a WSGIDaemonProcess"));
    }
    scope.raw.embedded.on = on.then(|| words[0].clone());
    scope.raw.embedded.beside = beside;
    Ok(())
}

fn fronts(scope: &mut Scope, words: &[Word]) -> Applied {
    let word = &words[0];
    let number = match word.text.eq_ignore_ascii_case("auto") {
        true => 0,
        false => values::whole(scope.name, word, &word.text, 1..=256, "front processes")
            .map_err(|complaint| complaint.hint("`auto` is also accepted"))?,
    };
    scope.raw.embedded.fronts = Some((word.clone(), number as u32));
    Ok(())
}

fn restrict_embedded(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    scope.raw.embedded.restricted = on.then(|| words[0].clone());
    Ok(())
}

fn start_servers(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.embedded.processes = number(scope, words, 1)?;
    Ok(())
}

fn threads_per_child(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.embedded.threads = number(scope, words, 1)?;
    Ok(())
}

fn requests_per_child(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.embedded.maximum_requests = number(scope, words, 0)?.map(u64::from);
    Ok(())
}

/// A word of Apache's. It counts in embedded mode only, which may be asked for further down.
fn number(scope: &mut Scope, words: &[Word], least: u64) -> Result<Option<u32>, Complaint> {
    let Some(word) = words.first() else { return Ok(None) };
    if scope.raw.embedded.on.is_none() {
        return Ok(word.text.parse().ok().filter(|number| u64::from(*number) >= least));
    }
    scope.status = Status::Honoured;
    let most = if least == 0 { u64::from(u32::MAX) } else { 10_000 };
    let number = values::whole(scope.name, word, &word.text, least..=most, "")?;
    Ok(u32::try_from(number).ok())
}

fn process_group(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = group_name(&words[0].text);
    let host = scope.host;
    let used = GroupUse { host, word: words[0].clone(), name: name.clone(), requests: true };
    scope.raw.group_uses.push(used);
    scope.settings().process_group = Some(name);
    Ok(())
}

fn application_group(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.settings().application_group = Some(group_name(&words[0].text));
    Ok(())
}

fn restrict_process(scope: &mut Scope, words: &[Word]) -> Applied {
    let list = scope.settings().restrict_process.get_or_insert_default();
    list.extend(words.iter().map(|w| group_name(&w.text)));
    Ok(())
}

//! Process groups: declaring them, selecting one, and the interpreter within it.

use super::daemon_process;
use super::raw::GroupUse;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::directives::mapping::group_name;
use crate::token::Word;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("WSGIDaemonProcess", "name [option=value …]", Contexts::SERVER, Arity::options(1), daemon_process::declare)
        .doc("Declares a process group: P processes with T request threads each. The options have a page of their own \
              (`daemon-process-options.md`). A group declared in a virtual host serves only hosts of that server name; \
              one declared outside serves all. Without any declaration there is one group named `default`, \
              1 process × 15 threads."),
    Directive::honoured("WSGIProcessGroup", "name", Contexts::ANY, Arity::exactly(1), process_group)
        .default("the first group that was declared")
        .doc("Which process group serves the requests of this scope. `%{ENV:name}` takes the name from the request's \
              variables. `%{GLOBAL}`, embedded mode in mod_wsgi, means the first group."),
    Directive::honoured("WSGIApplicationGroup", "name", Contexts::ANY, Arity::exactly(1), application_group)
        .default("%{RESOURCE}")
        .doc("Which interpreter of the process runs the application. `%{GLOBAL}` is the main interpreter; `%{SERVER}` is \
              the host's name and port, `%{RESOURCE}` that and SCRIPT_NAME; `%{HOST}` has the name that the client asks \
              for, so clients choose how many interpreters there are; `%{ENV:name}` is a variable of the request; any \
              other name is a sub-interpreter of that name."),
    Directive::honoured("WSGIRestrictProcess", "name …", Contexts::ANY, Arity::at_least(1), restrict_process)
        .default("any group")
        .doc("The process groups that may be selected in this scope; another one is answered 500 with WSGI0149. \
              `%{GLOBAL}` names the first group."),
    Directive::inert("WSGISocketPrefix", "path-prefix", Contexts::GLOBAL,
        "front and workers share a socket pair that has no name in the file system"),
    Directive::inert("WSGISocketRotation", "On|Off", Contexts::GLOBAL,
        "front and workers share a socket pair that has no name in the file system"),
    Directive::inert("WSGIAcceptMutex", "method", Contexts::GLOBAL,
        "the front hands each request to a free worker; workers do not compete for connections"),
    Directive::inert("WSGIRestrictEmbedded", "On|Off", Contexts::GLOBAL, "there is no embedded mode to forbid"),
];

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

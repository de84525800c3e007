//! The directive text that `serve` makes of its options.

use super::ServeOptions;
use super::access;
use super::foreign;
use super::https;
use super::options::{self, ServeOption, Takes, Use};
use super::script::{absolute, called, script};
use super::services;
use super::writer::Text;
use crate::Surroundings;
use crate::diagnostic::Complaint;
use crate::directives::LOG_AREAS;
use crate::site::LogForm;
use crate::source::Source;
use crate::token::Word;
use crate::values;
use gk_options::{Kind, Refusal};
use std::path::Path;

/// The text, or one sentence that names the option that is wrong.
pub fn generate(
    given: &ServeOptions,
    source: &dyn Source,
    surroundings: &Surroundings,
) -> Result<String, String> {
    check(given)?;
    let given = &at_working_directory(given, &surroundings.directory);
    let given = &ServeOptions {
        script: absolute(&given.script, &|path| source.is_file(path), &surroundings.directory),
        ..given.clone()
    };
    let home = given.one("working-directory").map(str::to_owned);
    let home = home.unwrap_or_else(|| surroundings.directory.to_string_lossy().into_owned());
    let mut text = Text::default();
    listen(&mut text, given)?;
    directives(&mut text, given);
    logs(&mut text, given);
    telemetry(&mut text, given);
    daemon(&mut text, given, &home);
    mount(&mut text, given, source, &surroundings.directory)?;
    access::sections(&mut text, given, &realm(given));
    https::host(&mut text, given);
    for line in given.many("set") {
        text.out.push_str(line.trim());
        text.out.push('\n');
    }
    text.bad.take().map_or(Ok(()), Err)?;
    Ok(text.finish())
}

/// Reads every value by its row, so that a refusal names the option and not a directive.
fn check(given: &ServeOptions) -> Result<(), String> {
    for option in options::all() {
        let values = given.many(option.name).iter();
        // The lines of `--set` are directives.
        if option.name != "set" && values.clone().any(|value| value.contains(['\n', '\r', '\0'])) {
            return Err(format!("{} takes values of one line", given.called(option.name)));
        }
        let values = values.skip(usize::from(matches!(option.takes, Takes::Pairs(_))));
        let step = if matches!(option.takes, Takes::Pairs(_)) { 2 } else { 1 };
        for value in values.step_by(step) {
            option.kind.read(&given.called(option.name), value, Path::new("/")).map_err(sentence)?;
        }
    }
    https::check(given)?;
    if let Some(level) = given.one("log-level") {
        let complaint = |complaint: Complaint| with_hint(complaint.message, complaint.hint);
        for level in level.split(',') {
            let level = match level.split_once(':') {
                Some((area, level)) if LOG_AREAS.contains(&area) => level,
                Some((area, _)) => {
                    let (called, known) = (given.called("log-level"), LOG_AREAS.join(", "));
                    return Err(format!("{called} knows the areas {known}, not `{area}`"));
                }
                None => level,
            };
            values::level(&given.called("log-level"), &Word::default(), level).map_err(complaint)?;
        }
    }
    if let Some(admin) = given.one("admin").filter(|admin| !admin.eq_ignore_ascii_case("off"))
        && !admin.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    {
        return Err(format!("{} takes HOST:PORT or off, not `{admin}`", given.called("admin")));
    }
    // A file in the working directory with such a name is none that somebody wants.
    if let Some(socket) = given.one("socket").filter(|path| !path.contains('/') || path.starts_with("unix:"))
        && let Some(written) = with_port(socket)
    {
        let called = given.called("socket");
        return Err(format!("{called} takes the path of a socket file, not `{socket}`: write `{written}`"));
    }
    socket_of_mode(given)?;
    for option in options::all().filter(|option| option.kind == Kind::Directories) {
        if let Some(entry) = given.many(option.name).iter().find(|path| path.contains(':')) {
            let called = given.called(option.name);
            return Err(format!("{called} takes one directory at a time, not `{entry}`: repeat the option"));
        }
    }
    let name = or_default(given, "process-group");
    if name.is_empty() || name.contains('=') || name.contains("%{") {
        return Err(format!("{} takes a plain name, not `{name}`", given.called("process-group")));
    }
    access::check(given)?;
    let urls = |option| given.pairs(option).map(move |(url, _)| (option, url));
    let urls = urls("static").chain(urls("url-alias"));
    for (option, url) in urls.chain([("mount-point", or_default(given, "mount-point").as_str())]) {
        if !url.starts_with('/') {
            let called = given.called(option);
            return Err(format!("{called} takes a URL path that begins with a slash, not `{url}`"));
        }
    }
    let odd = |line: &&String| {
        line.contains(['\n', '\r', '\0'])
            || line.trim_start().starts_with('<')
            || line.trim_end().ends_with('\\')
    };
    given.many("set").iter().find(odd).map_or(Ok(()), |line| {
        Err(format!("{} takes one directive on one line, not `{}`", given.called("set"), line.escape_debug()))
    })
}

fn sentence(refusal: Refusal) -> String {
    with_hint(refusal.message, refusal.hint)
}

fn with_hint(message: String, hint: Option<String>) -> String {
    hint.map_or_else(|| message.clone(), |hint| format!("{message} ({hint})"))
}

/// The realm of users: mod_wsgi-express calls it so.
fn realm(given: &ServeOptions) -> String {
    format!("{}:{}", given.one("host").unwrap_or("localhost"), or_default(given, "port"))
}

/// The value of an option, or the default in its row.
fn or_default(given: &ServeOptions, name: &str) -> String {
    let default = || options::find(name).and_then(|option| option.default()).map(|value| value.spelled());
    given.one(name).map(str::to_owned).or_else(default).unwrap_or_default()
}

/// The options with their paths seen from the working directory, where they were typed. Directives would take them from
/// the server root.
fn at_working_directory(given: &ServeOptions, directory: &Path) -> ServeOptions {
    let mut options = given.clone();
    let place = |path: &mut String| *path = directory.join(&*path).to_string_lossy().into_owned();
    for option in options::all() {
        let second = usize::from(matches!(option.takes, Takes::Pairs(_)));
        let values =
            options.values.get_mut(option.name).into_iter().flatten().skip(second).step_by(second + 1);
        values.filter(|value| option.kind.is_path(value)).for_each(place);
    }
    let sockets = options.values.get_mut("telemetry-service").into_iter().flatten();
    for service in sockets {
        if let Some(path) = service.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            *service = format!("unix:{}", directory.join(path).display());
        }
    }
    options
}

/// Whether an option says where to listen.
pub fn names_a_listener(given: &ServeOptions) -> bool {
    ["host", "port", "socket"].iter().any(|name| given.one(name).is_some())
}

/// The `Listen` lines that options beside a configuration file stand for.
pub fn listeners(given: &ServeOptions, directory: &Path) -> Result<String, String> {
    socket_of_mode(given)?;
    let mut text = Text::default();
    if names_a_listener(given) {
        listen(&mut text, &at_working_directory(given, directory))?;
    }
    text.bad.take().map_or(Ok(()), Err)?;
    Ok(text.finish())
}

fn listen(text: &mut Text, given: &ServeOptions) -> Result<(), String> {
    let socket = given.one("socket");
    if let Some(path) = socket {
        let mode = given.one("socket-mode").map(|mode| format!("mode={mode}"));
        let words = [Some(format!("unix:{path}")), mode];
        text.line("Listen", &words.iter().flatten().map(String::as_str).collect::<Vec<_>>());
    }
    if socket.is_none() || given.one("port").is_some() || given.one("host").is_some() {
        text.line("Listen", &[&address(given, &or_default(given, "port"))?]);
    }
    if let Some(port) = given.one("https-port") {
        text.line("Listen", &[&address(given, port)?, "https"]);
    }
    Ok(())
}

/// A mode is the mode of a socket.
fn socket_of_mode(given: &ServeOptions) -> Result<(), String> {
    match given.one("socket-mode").is_some() && given.one("socket").is_none() {
        true => Err(format!("{} goes with --socket PATH", given.called("socket-mode"))),
        false => Ok(()),
    }
}

/// The argument of `Listen`.
fn address(given: &ServeOptions, port: &str) -> Result<String, String> {
    let Some(host) = given.one("host") else { return Ok(port.to_owned()) };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare = if bare.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { bare };
    match bare.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(address)) => Ok(format!("[{address}]:{port}")),
        Ok(std::net::IpAddr::V4(address)) => Ok(format!("{address}:{port}")),
        Err(_) => {
            let hint = match host {
                "*" | "0" => "; without it the server listens on all addresses".to_owned(),
                _ => with_port(host).map(|written| format!(": write `{written}`")).unwrap_or_default(),
            };
            Err(format!(
                "{} takes a numeric address such as 127.0.0.1 or ::1, or localhost, not `{host}`{hint}",
                given.called("host")
            ))
        }
    }
}

/// An address with its port, or a socket, as the options that name it.
fn with_port(text: &str) -> Option<String> {
    foreign::address(text).filter(|_| text.contains(':'))
}

/// The lines of options that stand for one directive.
fn directives(text: &mut Text, given: &ServeOptions) {
    text.line("MaxKeepAliveRequests", &["0"]);
    text.line("WSGIPassAuthorization", &["On"]);
    for ServeOption { name, takes, used, .. } in options::all() {
        match (used, takes) {
            (Use::Directive(directive), Takes::Pairs(_)) => {
                given.pairs(name).for_each(|(first, second)| text.line(directive, &[first, second]));
            }
            (Use::Directive(directive), Takes::Many) => {
                given.many(name).iter().for_each(|value| text.line(directive, &[value]));
            }
            (Use::Directive(directive), _) => text.given(directive, given.one(name)),
            (Use::Enclosed(directive, before, after), _) => {
                let value = given.one(name).map(|value| format!("{before}{value}{after}"));
                text.given(directive, value.as_deref());
            }
            (Use::Switch(directive, words), _) if given.flag(name) => {
                text.line(directive, &words.split(' ').collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    // The interval also of interpreters with a GIL of their own.
    text.given("WSGISwitchInterval", given.one("switch-interval"));
    let stall = given.one("socket-timeout").filter(|seconds| seconds.parse() != Ok(0.0));
    text.given("Timeout", stall);
}

fn logs(text: &mut Text, given: &ServeOptions) {
    let place = |name: &str| match given.one("log-directory") {
        Some(directory) if !given.flag("log-to-terminal") => {
            Path::new(directory).join(or_default(given, name)).to_string_lossy().into_owned()
        }
        _ => "-".to_owned(),
    };
    text.line("ErrorLog", &[&place("error-log-name")]);
    let both = given.one("log-format");
    text.given("ErrorLogFormat", given.one("error-log-format").or(both));
    let format = given.one("access-log-format");
    if given.flag("access-log") || format.is_some() {
        let usual = both.filter(|form| LogForm::named(form).is_some()).unwrap_or("combined");
        let place = match given.one("access-log-name") {
            Some("-") => "-".to_owned(),
            _ => place("access-log-name"),
        };
        text.line("CustomLog", &[&place, format.unwrap_or(usual)]);
    }
}

fn telemetry(text: &mut Text, given: &ServeOptions) {
    if let Some(service) = given.one("telemetry-service") {
        let interval = or_default(given, "telemetry-interval");
        text.line("WSGITelemetryService", &[service, &format!("interval={interval}")]);
    }
}

fn daemon(text: &mut Text, given: &ServeOptions, home: &str) {
    let debug = given.flag("debug-mode");
    let python_path = given.many("python-path").join(":");
    let mut options = vec![("home", home.to_owned())];
    for option in options::all() {
        let Use::Process(row) = option.used else { continue };
        let value = match row.name {
            "processes" if debug => None,
            "threads" if debug => Some("1".to_owned()),
            "reload-on-changes" | "watch" if given.flag("disable-reloading") => None,
            _ if option.kind == Kind::Directories => {
                Some(given.many(option.name).join(":")).filter(|paths| !paths.is_empty())
            }
            _ if option.kind == Kind::Switch => given.flag(option.name).then(|| "On".to_owned()),
            _ => {
                let own =
                    || row.serve.and_then(|serve| serve.default(option.kind)).map(|value| value.spelled());
                given.one(option.name).map(str::to_owned).or_else(own)
            }
        };
        options.extend(value.map(|value| (row.name, value)));
    }
    text.process_group(&or_default(given, "process-group"), &options);
    services::daemons(text, given, home, &python_path);
}

/// An `Alias` line. A slash at the end changes nothing here, unlike in the directive.
fn alias(text: &mut Text, url: &str, path: &str) {
    match url.trim_end_matches('/') {
        "" => text.line("Alias", &["/", &format!("{}/", path.trim_end_matches('/'))]),
        bare => text.line("Alias", &[bare, path]),
    }
}

fn mount(text: &mut Text, given: &ServeOptions, source: &dyn Source, directory: &Path) -> Result<(), String> {
    for (url, path) in given.pairs("static") {
        alias(text, url, path);
        let url =
            text.word(if url.trim_end_matches('/').is_empty() { "/" } else { url.trim_end_matches('/') });
        text.out.push_str(&format!("<Location {url}>\nGilkeeperPrecompressed br gzip\n</Location>\n"));
    }
    for (url, path) in given.pairs("url-alias") {
        alias(text, url, path);
    }
    let (target, callable) = script(&given.script, &|path| source.is_file(path), directory)?;
    let group = or_default(given, "process-group");
    // The main interpreter never has a GIL of its own: who asks for one means a named interpreter.
    let own_gil = given.flag("per-interpreter-gil") || given.one("interpreters").is_some_and(|n| n != "1");
    let application = given.one("application-group").unwrap_or(if own_gil { &group } else { "%{GLOBAL}" });
    let callable = given.one("callable-object").or(callable);
    let application_of = given.flag("factory").then(|| called(callable));
    let callable = application_of.as_deref().or(callable);
    let url = or_default(given, "mount-point");
    let mut line = format!("WSGIScriptAlias {} {}", text.word(&url), text.word(&target));
    for (key, value) in [
        ("process-group", Some(group.as_str())),
        ("application-group", Some(application)),
        ("callable-object", callable),
    ] {
        if let Some(value) = value {
            let value = text.word(value);
            line.push_str(&format!(" {key}={value}"));
        }
    }
    text.out.push_str(&line);
    text.out.push('\n');
    for url in given.many("ignore-activity") {
        let url = text.word(url);
        text.out.push_str(&format!("<Location {url}>\nWSGIIgnoreActivity On\n</Location>\n"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;

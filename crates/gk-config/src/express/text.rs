//! The directive text `serve` makes of its options.

use super::ServeOptions;
use super::script::{is_file, script};
use super::services;
use super::writer::Text;
use crate::Surroundings;
use crate::diagnostic::Complaint;
use crate::token::Word;
use crate::values;
use std::path::Path;

/// Defaults that differ from the directives' own, taken over from mod_wsgi-express.
const THREADS: &str = "5";
const STARTUP_TIMEOUT: &str = "15";
const REQUEST_TIMEOUT: &str = "60";
const QUEUE_TIMEOUT: &str = "45";
const DEADLOCK_TIMEOUT: &str = "60";
const GROUP: &str = "default";

/// The text, or one sentence that names the option that is wrong.
pub fn generate(options: &ServeOptions, surroundings: &Surroundings) -> Result<String, String> {
    let options = &at_working_directory(options, &surroundings.directory);
    let mut text = Text::default();
    server(&mut text, options)?;
    logs(&mut text, options)?;
    python(&mut text, options)?;
    let given = options.working_directory.as_deref();
    let home = given.map_or_else(|| surroundings.directory.clone(), |path| surroundings.directory.join(path));
    daemon(&mut text, options, &home)?;
    mount(&mut text, options)?;
    for line in &options.set {
        if line.contains(['\n', '\r', '\0'])
            || line.trim_start().starts_with('<')
            || line.trim_end().ends_with('\\')
        {
            return Err(format!("--set takes one directive on one line, not `{}`", line.escape_debug()));
        }
        text.out.push_str(line.trim());
        text.out.push('\n');
    }
    Ok(text.finish())
}

/// The options with their paths seen from the working directory, where they were typed. Directives would take them from
/// the server root.
fn at_working_directory(options: &ServeOptions, directory: &Path) -> ServeOptions {
    let mut o = options.clone();
    let place = |path: &mut String| *path = directory.join(&*path).to_string_lossy().into_owned();
    if is_file(&o.script) {
        place(&mut o.script);
    }
    // A name without a slash is looked for on PATH.
    o.python.iter_mut().filter(|python| python.contains('/')).for_each(place);
    for path in [
        &mut o.socket,
        &mut o.ssl_certificate_file,
        &mut o.ssl_certificate_key_file,
        &mut o.document_root,
        &mut o.python_home,
        &mut o.log_directory,
        &mut o.server_root,
        &mut o.pid_file,
    ] {
        path.iter_mut().for_each(place);
    }
    o.python_path.iter_mut().for_each(place);
    let socket = o.telemetry_service.as_deref().and_then(|service| service.strip_prefix("unix:"));
    if let Some(path) = socket.filter(|path| !path.is_empty()) {
        o.telemetry_service = Some(format!("unix:{}", directory.join(path).display()));
    }
    o.url_alias.iter_mut().chain(&mut o.service_script).for_each(|(_, path)| place(path));
    o
}

/// Turns the complaint about a value into one sentence.
fn sentence(complaint: Complaint) -> String {
    match complaint.hint {
        Some(hint) => format!("{} ({hint})", complaint.message),
        None => complaint.message,
    }
}

/// Checks that no value breaks the text, and returns the reason if one does.
fn sound(text: &mut Text) -> Result<(), String> {
    text.bad.take().map_or(Ok(()), Err)
}

fn seconds<'o>(option: &str, value: &'o Option<String>) -> Result<Option<&'o str>, String> {
    if let Some(text) = value {
        values::seconds(option, &Word::default(), text).map_err(sentence)?;
    }
    Ok(value.as_deref())
}

fn whole<'o>(
    option: &str,
    value: &'o Option<String>,
    least: u64,
    most: u64,
    unit: &str,
) -> Result<Option<&'o str>, String> {
    if let Some(text) = value {
        values::whole(option, &Word::default(), text, least..=most, unit).map_err(sentence)?;
    }
    Ok(value.as_deref())
}

fn server(text: &mut Text, o: &ServeOptions) -> Result<(), String> {
    let port = whole("--port", &o.port, 0, 65535, "")?;
    if let Some(path) = &o.socket {
        text.line("Listen", &[&format!("unix:{path}")]);
    }
    if o.socket.is_none() || port.is_some() || o.host.is_some() {
        text.line("Listen", &[&address(o.host.as_deref(), port.unwrap_or("8000"))?]);
    }
    if o.https_port.is_some() {
        return Err("--https-port is refused: TLS for applications is not built yet, it would speak plain HTTP; end TLS in a \
                    proxy in front (--trust-proxy, --trust-proxy-header X-Forwarded-Proto)"
            .to_owned());
    }
    text.given("SSLCertificateFile", o.ssl_certificate_file.as_deref());
    text.given("SSLCertificateKeyFile", o.ssl_certificate_key_file.as_deref());
    text.given("ServerName", o.server_name.as_deref());
    for alias in &o.server_alias {
        text.line("ServerAlias", &[alias]);
    }
    text.given("ServerRoot", o.server_root.as_deref());
    text.given("PidFile", o.pid_file.as_deref());
    text.given("User", o.user.as_deref());
    text.given("Group", o.group.as_deref());
    if let Some(admin) = &o.admin {
        let ok = admin.eq_ignore_ascii_case("off")
            || admin.rsplit_once(':').is_some_and(|(h, p)| !h.is_empty() && p.parse::<u16>().is_ok());
        if !ok {
            return Err(format!("--admin takes HOST:PORT or off, not `{admin}`"));
        }
        text.line("GilkeeperAdmin", &[admin]);
    }
    if let Some(service) = &o.telemetry_service {
        let interval = seconds("--telemetry-interval", &o.telemetry_interval)?.unwrap_or("1");
        text.line("WSGITelemetryService", &[service, &format!("interval={interval}")]);
    }
    text.given("WSGISlowRequests", seconds("--slow-requests", &o.slow_requests)?);
    if let Some(seconds) = seconds("--socket-timeout", &o.socket_timeout)?.filter(|s| *s != "0") {
        text.line("Timeout", &[seconds]);
    }
    text.given("KeepAliveTimeout", seconds("--keep-alive-timeout", &o.keep_alive_timeout)?);
    text.line("MaxKeepAliveRequests", &["0"]);
    for (stage, option, value) in
        [("header", "--header-timeout", &o.header_timeout), ("body", "--body-timeout", &o.body_timeout)]
    {
        if let Some(seconds) = seconds(option, value)? {
            text.line("RequestReadTimeout", &[&format!("{stage}={seconds}")]);
        }
    }
    text.given("ListenBacklog", whole("--server-backlog", &o.server_backlog, 1, 65535, "connections")?);
    text.given(
        "GilkeeperMaxConnections",
        whole("--max-clients", &o.max_clients, 0, u32::MAX.into(), "connections")?,
    );
    text.given(
        "LimitRequestBody",
        whole("--limit-request-body", &o.limit_request_body, 0, i64::MAX as u64, "bytes")?,
    );
    sound(text)
}

/// What `Listen` takes.
fn address(host: Option<&str>, port: &str) -> Result<String, String> {
    let Some(host) = host else { return Ok(port.to_owned()) };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare = if bare.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { bare };
    match bare.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V6(address)) => Ok(format!("[{address}]:{port}")),
        Ok(std::net::IpAddr::V4(address)) => Ok(format!("{address}:{port}")),
        Err(_) => Err(format!("--host takes a numeric address such as 127.0.0.1 or ::1, not `{host}`")),
    }
}

fn logs(text: &mut Text, o: &ServeOptions) -> Result<(), String> {
    let place = |name: &str| match &o.log_directory {
        Some(directory) if !o.log_to_terminal => {
            Path::new(directory).join(name).to_string_lossy().into_owned()
        }
        _ => "-".to_owned(),
    };
    text.line("ErrorLog", &[&place(o.error_log_name.as_deref().unwrap_or("error_log"))]);
    if let Some(level) = &o.log_level {
        values::level("--log-level", &Word::default(), level).map_err(sentence)?;
        text.line("LogLevel", &[level]);
    }
    text.given("ErrorLogFormat", o.error_log_format.as_deref());
    if o.access_log || o.access_log_format.is_some() {
        let format = o.access_log_format.as_deref().unwrap_or("combined");
        text.line("CustomLog", &[&place(o.access_log_name.as_deref().unwrap_or("access_log")), format]);
    }
    sound(text)
}

fn python(text: &mut Text, o: &ServeOptions) -> Result<(), String> {
    text.given("WSGIPythonHome", o.python_home.as_deref());
    for filter in &o.python_warnings {
        text.line("WSGIPythonWarnings", &[filter]);
    }
    if o.free_threading {
        text.line("WSGIFreeThreading", &["On"]);
    }
    if o.per_interpreter_gil {
        text.line("WSGIPerInterpreterGIL", &["On"]);
    }
    if let Some(interval) = &o.switch_interval {
        values::positive_seconds("--switch-interval", &Word::default(), interval).map_err(sentence)?;
        text.line("WSGISwitchInterval", &[interval]);
    }
    if o.orphan_interpreter {
        text.line("WSGIDestroyInterpreter", &["Off"]);
    }
    sound(text)
}

fn daemon(text: &mut Text, o: &ServeOptions, home: &Path) -> Result<(), String> {
    let mut line = String::from("WSGIDaemonProcess ");
    let name = o.process_group.as_deref().unwrap_or(GROUP);
    if name.is_empty() || name.contains('=') || name.contains("%{") {
        return Err(format!("--process-group takes a plain name, not `{name}`"));
    }
    line.push_str(&text.word(name));
    let mut option = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            let value = text.word(value);
            line.push_str(&format!(" {key}={value}"));
        }
    };
    let processes = whole("--processes", &o.processes, 1, 10_000, "processes")?;
    let threads = whole("--threads", &o.threads, 1, 65533, "threads")?;
    option("processes", if o.debug_mode { None } else { processes });
    option("threads", Some(if o.debug_mode { "1" } else { threads.unwrap_or(THREADS) }));
    option("interpreters", whole("--interpreters", &o.interpreters, 1, 256, "interpreters")?);
    option("home", Some(&home.to_string_lossy()));
    option("python", o.python.as_deref());
    if let Some(entry) = o.python_path.iter().find(|p| p.contains(':')) {
        return Err(format!("--python-path takes one directory at a time, not `{entry}`: repeat the option"));
    }
    let python_path = o.python_path.join(":");
    option("python-path", Some(python_path.as_str()).filter(|p| !p.is_empty()));
    option("lang", o.lang.as_deref());
    option("locale", o.locale.as_deref());
    option("umask", o.umask.as_deref());
    option("switch-interval", o.switch_interval.as_deref());
    let number = |option, value| whole(option, value, 0, u64::MAX, "requests");
    option("maximum-requests", number("--maximum-requests", &o.maximum_requests)?);
    option("maximum-requests-jitter", number("--maximum-requests-jitter", &o.maximum_requests_jitter)?);
    option("cpu-time-limit", whole("--cpu-time-limit", &o.cpu_time_limit, 0, u64::MAX, "seconds")?);
    option("listen-backlog", whole("--daemon-backlog", &o.daemon_backlog, 1, 1_000_000, "requests")?);
    let timers: [(&str, &Option<String>, Option<&str>); 12] = [
        ("startup-timeout", &o.startup_timeout, Some(STARTUP_TIMEOUT)),
        ("shutdown-timeout", &o.shutdown_timeout, None),
        ("graceful-timeout", &o.graceful_timeout, None),
        ("eviction-timeout", &o.eviction_timeout, None),
        ("restart-interval", &o.restart_interval, None),
        ("deadlock-timeout", &o.deadlock_timeout, Some(DEADLOCK_TIMEOUT)),
        ("inactivity-timeout", &o.inactivity_timeout, None),
        ("request-timeout", &o.request_timeout, Some(REQUEST_TIMEOUT)),
        ("interrupt-timeout", &o.interrupt_timeout, None),
        ("connect-timeout", &o.connect_timeout, None),
        ("socket-timeout", &o.socket_timeout, None),
        ("response-socket-timeout", &o.response_socket_timeout, None),
    ];
    for (key, value, default) in timers {
        option(key, seconds(&format!("--{key}"), value)?.or(default));
    }
    option("queue-timeout", seconds("--queue-timeout", &o.queue_timeout)?.or(Some(QUEUE_TIMEOUT)));
    if o.reload_on_changes && !o.disable_reloading {
        option("reload-on-changes", Some("On"));
    }
    text.out.push_str(&line);
    text.out.push('\n');
    services::daemons(text, o, &home.to_string_lossy(), &python_path);
    sound(text)
}

fn mount(text: &mut Text, o: &ServeOptions) -> Result<(), String> {
    text.line("WSGIPassAuthorization", &["On"]);
    for (set, name, value) in [
        (o.disable_reloading, "WSGIScriptReloading", "Off"),
        (o.error_override, "WSGIErrorOverride", "On"),
        (o.enable_sendfile, "WSGIEnableSendfile", "On"),
    ] {
        if set {
            text.line(name, &[value]);
        }
    }
    for (name, value) in &o.setenv {
        text.line("SetEnv", &[name, value]);
    }
    for (name, values) in [
        ("PassEnv", &o.passenv),
        ("WSGITrustedProxyHeaders", &o.trust_proxy_header),
        ("WSGITrustedProxies", &o.trust_proxy),
    ] {
        for value in values {
            text.line(name, &[value]);
        }
    }
    text.given("DocumentRoot", o.document_root.as_deref());
    for (url, path) in &o.url_alias {
        if !url.starts_with('/') {
            return Err(format!(
                "--url-alias takes a URL path that begins with a slash and a path, not `{url}`"
            ));
        }
        text.line("Alias", &[url, path]);
    }
    let url = o.mount_point.as_deref().unwrap_or("/");
    if !url.starts_with('/') {
        return Err(format!("--mount-point takes a URL path that begins with a slash, not `{url}`"));
    }
    let (target, callable) = script(&o.script)?;
    let group = o.process_group.as_deref().unwrap_or(GROUP);
    // The main interpreter never has a GIL of its own: who asks for one means a named interpreter.
    let own_gil = o.per_interpreter_gil || o.interpreters.as_deref().is_some_and(|n| n != "1");
    let application = o.application_group.as_deref().unwrap_or(if own_gil { group } else { "%{GLOBAL}" });
    let callable = o.callable_object.as_deref().or(callable);
    let mut line = format!("WSGIScriptAlias {} {}", text.word(url), text.word(&target));
    for (key, value) in [
        ("process-group", Some(group)),
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
    for url in &o.ignore_activity {
        let url = text.word(url);
        text.out.push_str(&format!("<Location {url}>\nWSGIIgnoreActivity On\n</Location>\n"));
    }
    sound(text)
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;

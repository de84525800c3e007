//! The error log and the access logs.

use super::raw::{Need, RawLog};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::site::{LogCondition, LogForm, TERMINAL};
use crate::token::Word;
use crate::values;
use std::path::PathBuf;

const SERVER: Contexts = Contexts::SERVER;

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("ErrorLog", "path", SERVER, Arity::exactly(1), error_log)
        .default("standard error")
        .doc("The file that the error log is appended to; `-` or `/dev/stderr` is the terminal. A virtual host's file gets the lines \
              about its requests, from applications and from the server, and all lines of the process groups that the virtual host \
              declares."),
    Directive::honoured("LogLevel", "level [area:level …]", Contexts::ANY, Arity::at_least(1), log_level)
        .default("warn")
        .doc("Lowest level that is written: emerg, alert, crit, error, warn, notice, info, debug, trace1 … trace8. `wsgi:level` \
              overrides the general level; `supervisor:`, `front:`, `admin:` and `worker:` override both for the lines of these \
              processes. Other module names are accepted and not used. The level holds for the whole server: one in a virtual host \
              or section is ignored, with a warning."),
    Directive::honoured("ErrorLogFormat", "text | json | logfmt | format", SERVER, Arity::at_least(1), error_log_format)
        .default("text")
        .doc("`json` writes one JSON object on a line, `logfmt` one line of `name=value`, `text` is Apache's format (only here). \
              Apache's format strings are accepted and not used."),
    Directive::honoured("CustomLog", "path format-or-nickname [env=[!]variable|expr=expression]", SERVER, Arity::between(2, 3), custom_log)
        .doc("An access log. The format is a LogFormat string or a nickname; `common`, `combined`, `vhost_combined`, `json` and \
              `logfmt` are predefined. `-` or `/dev/stdout` is standard output. With `env=variable`, only requests for which the \
              variable is set are logged, with `env=!variable` the others. With `expr=expression`, those for which an \
              [expression](conditions.md) is true when the response is known, such as `\"expr=%{REQUEST_STATUS} -ge 400\"`. A \
              request without a response, or that was not understood, is logged in any case."),
    Directive::honoured("TransferLog", "path", SERVER, Arity::exactly(1), transfer_log)
        .doc("An access log in the format of the last LogFormat without nickname, else `common`."),
    Directive::honoured("GilkeeperLogConfig", "path", Contexts::GLOBAL, Arity::exactly(1), log_config)
        .ours().doc("A file with a dictionary for `logging.config.dictConfig()`, in JSON or TOML (`.toml`). Each interpreter applies it \
              before it imports the application. Every log record then has `request_id`, for `format`. A file that cannot be read is \
              an error of the configuration; a dictionary that Python refuses ends the start."),
    Directive::honoured("LogFormat", "format [nickname]", SERVER, Arity::between(1, 2), log_format)
        .doc("Defines a nickname for an access log format."),
];

/// Nicknames that are there from the start.
pub const NICKNAMES: &[(&str, &str)] = &[
    ("common", "%h %l %u %t \"%r\" %>s %b"),
    ("combined", "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""),
    ("vhost_combined", "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""),
    ("CLF", "%h %l %u %t \"%r\" %>s %b"),
];

/// Processes that may have a level of their own.
pub const LOG_AREAS: [&str; 4] = ["supervisor", "front", "admin", "worker"];

/// The nickname LogFormat without nickname defines, for TransferLog.
const UNNAMED: &str = "\u{0}";

/// A log's file; `None`: the terminal's stream.
fn place(scope: &Scope, word: &Word, stream: &str) -> Result<Option<PathBuf>, Complaint> {
    let text = word.text.as_str();
    if text.starts_with('|') || text.to_ascii_lowercase().starts_with("syslog") {
        let message = format!("{} to a program or to syslog is not supported", scope.name);
        let hint = "name a file, or `-` for the terminal, and let the service manager take it from there";
        return Err(Complaint::error(message).at(word).hint(hint));
    }
    Ok(if text == "-" || text == stream { None } else { Some(scope.path(text)) })
}

fn need(scope: &mut Scope, log: Option<&PathBuf>, word: &Word) {
    if let Some(path) = log {
        scope.need(Need::LogFile(path.clone()), word);
    }
}

fn error_log(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = place(scope, &words[0], TERMINAL)?;
    if words[0].text.contains(char::is_control) {
        return Err(Complaint::error("the name of a log holds no control characters").at(&words[0]));
    }
    need(scope, path.as_ref(), &words[0]);
    if scope.is_main() {
        scope.raw.error_log.path = path;
    } else {
        scope.host().error_log = Some(path.unwrap_or_else(|| TERMINAL.into()));
    }
    Ok(())
}

fn log_level(scope: &mut Scope, words: &[Word]) -> Applied {
    let (mut general, mut ours, mut areas) = (None, None, Vec::new());
    for (word, text) in words.iter().flat_map(|word| word.text.split(',').map(move |text| (word, text))) {
        match text.rsplit_once(':') {
            None => general = Some(values::level(scope.name, word, text)?),
            Some((module, level)) => {
                let level = values::level(scope.name, word, level)?;
                let name = module.to_ascii_lowercase();
                if ["wsgi", "wsgi_module", "mod_wsgi.c", "gilkeeper"].contains(&name.as_str()) {
                    ours = Some(level);
                } else if LOG_AREAS.contains(&name.as_str()) {
                    areas.push((name, level));
                } else {
                    let message = format!(
                        "LogLevel of the module {module} has no effect: there is no such module here"
                    );
                    scope.say(Complaint::note(message).partly().at(word));
                }
            }
        }
    }
    if !scope.is_main() {
        let message = "LogLevel holds for the whole server; the one of a virtual host or section is ignored";
        scope.say(Complaint::warning(message).ignored().hint("move it out of there, or delete it"));
        return Ok(());
    }
    if let Some(level) = ours.or(general) {
        scope.raw.error_log.level = level;
    }
    scope.raw.error_log.areas.extend(areas);
    Ok(())
}

fn error_log_format(scope: &mut Scope, words: &[Word]) -> Applied {
    let text = words[0].text.as_str();
    let form = match words.len() {
        1 if ["text", "apache"].iter().any(|name| text.eq_ignore_ascii_case(name)) => Some(LogForm::Text),
        1 => LogForm::named(text),
        _ => None,
    };
    match form {
        Some(form) => scope.raw.error_log.form = form,
        None => scope.say(
            Complaint::warning("format strings of the error log are not used, only text, json and logfmt")
                .ignored()
                .hint("delete the line, or write `ErrorLogFormat json`"),
        ),
    }
    Ok(())
}

fn log_config(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = scope.path(&words[0].text);
    scope.raw.log_config = Some((path, words[0].clone()));
    Ok(())
}

fn custom_log(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = place(scope, &words[0], "/dev/stdout")?;
    need(scope, path.as_ref(), &words[0]);
    let when = match words.get(2).map(|word| (word, LogCondition::parse(&word.text))) {
        None => None,
        Some((_, Ok(condition))) => Some(condition),
        Some((word, Err(mistake))) => {
            let message = format!("{}; every request is logged", mistake.message);
            let complaint = Complaint::warning(message).partly().at(word);
            scope.say(match mistake.hint {
                Some(hint) => complaint.hint(hint),
                None => complaint,
            });
            None
        }
    };
    let log = RawLog { path, format: words[1].text.clone(), when, word: words[1].clone() };
    scope.host().access_logs.push(log);
    Ok(())
}

fn transfer_log(scope: &mut Scope, words: &[Word]) -> Applied {
    let path = place(scope, &words[0], "/dev/stdout")?;
    need(scope, path.as_ref(), &words[0]);
    let unnamed = scope.host().formats.contains_key(UNNAMED);
    let format = if unnamed { UNNAMED } else { "common" };
    let log = RawLog { path, format: format.to_owned(), when: None, word: words[0].clone() };
    scope.host().access_logs.push(log);
    Ok(())
}

fn log_format(scope: &mut Scope, words: &[Word]) -> Applied {
    let format = words[0].text.clone();
    let nickname = words.get(1).map_or(UNNAMED, |w| w.text.as_str()).to_owned();
    if nickname.contains('%') {
        return Err(Complaint::error("a nickname of LogFormat holds no percent sign").at(&words[1]));
    }
    scope.host().formats.insert(nickname, format);
    Ok(())
}

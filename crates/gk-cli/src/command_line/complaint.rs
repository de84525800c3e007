//! What is wrong with a command line, in one sentence: what was typed, what it is called here, where the rest is listed.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use gk_config::express::foreign;
use gk_config::express::options;
use gk_config::nearest::nearest;
use std::ffi::OsString;

/// `clap`'s complaint without usage and without line breaks, or a better one for names of other servers. `commands`: the names of
/// all commands; `argv` is complete.
pub fn sentence(error: &clap::Error, commands: &[&str], argv: &[OsString]) -> String {
    let words: Vec<String> = argv.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let command = words.first().map(String::as_str).filter(|word| commands.contains(word));
    let own = match (error.kind(), context(error)) {
        (ErrorKind::UnknownArgument, Some(typed)) => unknown_argument(&typed, command, &words),
        (ErrorKind::InvalidSubcommand, Some(typed)) => unknown_command(&typed),
        (ErrorKind::ArgumentConflict, _) => python_file(&words),
        _ => None,
    };
    own.unwrap_or_else(|| plain(error, command))
}

fn context(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand];
    kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(typed) => Some(typed.clone()),
        _ => None,
    })
}

/// An option or a further word.
fn unknown_argument(typed: &str, command: Option<&str>, words: &[String]) -> Option<String> {
    let serves = matches!(command, None | Some("serve" | "dev" | "check"));
    if !serves {
        return of_another_command(typed, command?, words);
    }
    let listed = listed(Some(command.unwrap_or("serve")));
    if !typed.starts_with('-') {
        let address = foreign::address(typed)?;
        return Some(format!("`{typed}` stands where nothing is expected: write `{address}`{listed}"));
    }
    let name = typed.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or(name);
    let shown = if typed.starts_with("--") { format!("--{name}") } else { typed.to_owned() };
    if command == Some("dev") {
        if foreign::is_of_development(name) {
            return Some(format!("`{shown}` is what `gilkeeper dev` always does{listed}"));
        }
        if ["c", "config"].contains(&name) {
            return Some(format!(
                "`{shown}` is no option of `gilkeeper dev`, which takes SCRIPT; `gilkeeper serve -c FILE` serves a configuration file{listed}"
            ));
        }
    }
    if let Some(meaning) = foreign::meaning(name, value(typed, words)) {
        return Some(format!("`{shown}` {meaning}{listed}"));
    }
    let of_serve = command.is_none() && options::find(name).is_some();
    of_serve.then(|| {
        format!("`{shown}` is an option of a command: write `gilkeeper serve SCRIPT {shown} …`{listed}")
    })
}

/// An option of another server behind a command that has an option of this meaning.
fn of_another_command(typed: &str, command: &str, words: &[String]) -> Option<String> {
    let name = typed.trim_start_matches('-').split('=').next()?;
    let option = foreign::option(name)?;
    let whole = super::command();
    let mut known = whole.find_subcommand(command)?.get_arguments();
    known.find(|argument| argument.get_long() == Some(option))?;
    let (shown, meaning) = (typed.split('=').next()?, foreign::meaning(name, value(typed, words))?);
    Some(format!("`{shown}` {meaning}{}", listed(Some(command))))
}

/// A file of Python behind `-c`, as gunicorn takes it.
fn python_file(words: &[String]) -> Option<String> {
    let after = words.iter().skip_while(|word| !["-c", "--config"].contains(&word.as_str())).nth(1);
    after.filter(|file| file.ends_with(".py")).map(|file| no_python(file))
}

/// Why a file of Python is no configuration.
pub fn no_python(file: &str) -> String {
    format!(
        "-c takes a file in the directive language, and {file} is Python; options stand in gilkeeper.toml by their names"
    )
}

/// The value that was typed for an unknown option: the rest of its word, or the next one.
fn value<'a>(typed: &str, words: &'a [String]) -> Option<&'a str> {
    let at = words.iter().position(|word| word.starts_with(typed))?;
    match words[at][typed.len()..].trim_start_matches('=') {
        "" => words.get(at + 1).map(String::as_str),
        rest => Some(rest),
    }
}

fn unknown_command(typed: &str) -> Option<String> {
    if typed == "version" {
        return Some("`version` is `gilkeeper --version` here".to_owned());
    }
    if let Some(command) = foreign::command(typed) {
        return Some(format!("`{typed}` is `gilkeeper {command}` here{}", listed(Some(command))));
    }
    let is_script = typed.contains([':', '.', '/']) || ["app", "wsgi", "main"].contains(&typed);
    is_script.then(|| format!("`{typed}` is no command; to serve it, write `gilkeeper serve {typed}`"))
}

/// Where everything is listed, as the end of a sentence.
fn listed(command: Option<&str>) -> String {
    match command {
        Some(command) => format!("; `gilkeeper {command} --help` lists the options"),
        None => "; `gilkeeper --help` lists the commands".to_owned(),
    }
}

fn plain(error: &clap::Error, command: Option<&str>) -> String {
    let rendered = error.render().to_string();
    let text = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    let text = text.split("\n\n").next().unwrap_or(text);
    let mut sentence = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let near = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let near = near.iter().find_map(|kind| match error.get(*kind)? {
        ContextValue::String(one) => Some(one.clone()),
        // The nearest one stands last.
        ContextValue::Strings(many) => many.last().cloned(),
        _ => None,
    });
    let is_name = matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand);
    let near = near.filter(|near| !is_name || context(error).is_none_or(|typed| is_near(&typed, near)));
    match near {
        Some(near) => {
            let listed = listed(command);
            sentence.push_str(&format!("; did you mean '{near}'?{}", listed.trim_start_matches(';')));
        }
        None => sentence.push_str(&listed(command)),
    }
    sentence
}

/// Whether a name could be a misspelt other one: most letters are the same, or one has all words of the other. `clap` alone takes
/// `--insecure` for `--user`.
fn is_near(typed: &str, other: &str) -> bool {
    let words = |name: &str| -> Vec<String> {
        let bare = name.trim_start_matches('-').split('=').next().unwrap_or(name);
        bare.split('-').map(str::to_owned).collect()
    };
    let (ones, others) = (words(typed), words(other));
    let has_all = |all: &[String], some: &[String]| some.iter().all(|word| all.contains(word));
    nearest(&ones.join("-"), [others.join("-").as_str()]).is_some()
        || has_all(&ones, &others)
        || has_all(&others, &ones)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: `--insecure` led to `--user`, and `--with-cgi` to `--switch-interval`. Met by everybody who types an option that is
    /// not there.
    #[test]
    fn only_near_names_are_suggested() {
        for (typed, other, near) in [
            ("--proceses", "--processes", true),
            ("--proceses=2", "--processes", true),
            ("--log-access-format", "--access-log-format", true),
            ("--deadlock", "--deadlock-timeout", true),
            ("--unix-socket-path", "--socket", true),
            ("--insecure", "--user", false),
            ("--with-cgi", "--switch-interval", false),
            ("--metrics-port", "--https-port", false),
            ("serv", "serve", true),
            ("serv", "dev", false),
        ] {
            assert_eq!(is_near(typed, other), near, "{typed} {other}");
        }
    }
}
